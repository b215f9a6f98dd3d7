//! In which form an answer is wanted: objects, a Table for kubectl's columns, or metadata alone.
//! What comes in: the Accept header. What goes out: a [`Form`]. Pure.

use serde_json::{Value, json};

use super::status::Status;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Whole objects.
    Objects,
    /// `meta.k8s.io/v1 Table`.
    Table,
    /// `meta.k8s.io/v1 PartialObjectMetadata` or its list.
    Metadata,
}

/// The first form in an Accept header that this server can give.
///
/// # Errors
/// 406 when there is none.
pub fn form(accept: &str) -> Result<Form, Status> {
    if accept.trim().is_empty() {
        return Ok(Form::Objects);
    }
    let ranges = accept.split(',').map(str::trim);
    let mut forms = ranges.filter_map(|range| {
        let mut parts = range.split(';').map(str::trim);
        let media = parts.next().unwrap_or_default();
        if !matches!(media, "application/json" | "*/*" | "application/*") {
            return None;
        }
        let parameter = |name: &str| parts.clone().find_map(|p| p.strip_prefix(name)?.strip_prefix('='));
        match (parameter("as"), parameter("v")) {
            (None, _) => Some(Form::Objects),
            (Some("Table"), Some("v1")) => Some(Form::Table),
            (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1")) => Some(Form::Metadata),
            _ => None,
        }
    });
    forms.next().ok_or_else(Status::not_acceptable)
}

/// An object's metadata alone.
pub fn metadata_only(object: &Value) -> Value {
    json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object["metadata"]})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_form_that_can_be_given_wins() {
        let kubectl = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json";
        assert_eq!(form(kubectl), Ok(Form::Table));
        assert_eq!(form("application/vnd.kubernetes.protobuf,application/json"), Ok(Form::Objects));
        assert_eq!(form("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"), Ok(Form::Metadata));
        assert_eq!(form("*/*"), Ok(Form::Objects));
        assert_eq!(form("text/html").unwrap_err().code(), 406);
    }
}
