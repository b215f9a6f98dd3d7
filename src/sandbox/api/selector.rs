//! Label and field selectors: the text of a query in, a predicate over objects out. Pure.

use serde_json::Value;

use super::kinds::Resource;
use super::status::Status;

/// One requirement on a label.
#[derive(Clone, Debug, PartialEq)]
enum Label {
    In(String, Vec<String>),
    NotIn(String, Vec<String>),
    Exists(String),
    Missing(String),
}

/// One requirement on a field.
#[derive(Clone, Debug, PartialEq)]
struct Field {
    path: String,
    value: String,
    equal: bool,
}

/// Which objects are meant.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    labels: Vec<Label>,
    fields: Vec<Field>,
}

impl Selector {
    /// From `labelSelector` and `fieldSelector`.
    ///
    /// # Errors
    /// 400 when a selector cannot be read or names a field that the kind does not offer.
    pub fn parse(kind: &Resource, labels: &str, fields: &str) -> Result<Selector, Status> {
        let labels = split_outside_parentheses(labels).map(label).collect::<Result<_, _>>()?;
        let fields = fields.split(',').map(str::trim).filter(|f| !f.is_empty());
        let fields = fields.map(|f| field(kind, f)).collect::<Result<_, _>>()?;
        Ok(Selector { labels, fields })
    }

    /// Whether an object is meant.
    pub fn matches(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        let value = |key: &str| labels.get(key).and_then(Value::as_str);
        let label = |l: &Label| match l {
            Label::In(key, values) => value(key).is_some_and(|v| values.iter().any(|w| w == v)),
            Label::NotIn(key, values) => value(key).is_none_or(|v| values.iter().all(|w| w != v)),
            Label::Exists(key) => value(key).is_some(),
            Label::Missing(key) => value(key).is_none(),
        };
        let field = |f: &Field| (at(object, &f.path) == f.value) == f.equal;
        self.labels.iter().all(label) && self.fields.iter().all(field)
    }
}

/// The text at a dotted path; empty when there is none.
fn at(object: &Value, path: &str) -> String {
    match path.split('.').fold(object, |value, step| &value[step]) {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}

fn split_outside_parentheses(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let parts = text.split(move |c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    });
    parts.map(str::trim).filter(|p| !p.is_empty())
}

fn label(text: &str) -> Result<Label, Status> {
    let unreadable = || Status::bad_request(format!("unable to parse requirement: {text:?}"));
    let key = |k: &str| {
        let ok = |c: char| c.is_ascii_alphanumeric() || "-_./".contains(c);
        let k = k.trim();
        if k.is_empty() || !k.chars().all(ok) { Err(unreadable()) } else { Ok(k.to_string()) }
    };
    if let Some((words, list)) = text.split_once('(') {
        let list = list.strip_suffix(')').ok_or_else(unreadable)?;
        let values = list.split(',').map(|v| v.trim().to_string()).collect();
        return match words.split_whitespace().collect::<Vec<_>>()[..] {
            [k, "in"] => Ok(Label::In(key(k)?, values)),
            [k, "notin"] => Ok(Label::NotIn(key(k)?, values)),
            _ => Err(unreadable()),
        };
    }
    if let Some((k, v)) = text.split_once("!=") {
        return Ok(Label::NotIn(key(k)?, vec![v.trim().to_string()]));
    }
    if let Some((k, v)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Label::In(key(k)?, vec![v.trim().to_string()]));
    }
    match text.strip_prefix('!') {
        Some(k) => Ok(Label::Missing(key(k)?)),
        None => Ok(Label::Exists(key(text)?)),
    }
}

/// The fields a kind can be selected by, besides name and namespace.
fn selectable(kind: &Resource) -> &'static [&'static str] {
    const EVENT: &[&str] = &[
        "involvedObject.kind",
        "involvedObject.namespace",
        "involvedObject.name",
        "involvedObject.uid",
        "involvedObject.apiVersion",
        "involvedObject.resourceVersion",
        "involvedObject.fieldPath",
        "reason",
        "reportingComponent",
        "source",
        "type",
    ];
    match (kind.group.as_str(), kind.kind.as_str()) {
        ("", "Pod") => &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
        ("", "Node") => &["spec.unschedulable"],
        ("", "Namespace") => &["status.phase"],
        ("", "Secret") => &["type"],
        ("", "Service") => &["spec.clusterIP", "spec.type"],
        ("apps", "ReplicaSet") => &["status.replicas"],
        ("", "Event") => EVENT,
        _ => &[],
    }
}

fn field(kind: &Resource, text: &str) -> Result<Field, Status> {
    let parts = text.split_once("!=").map(|(path, value)| (path, value, false));
    let parts = parts.or_else(|| text.split_once("==").map(|(path, value)| (path, value, true)));
    let parts = parts.or_else(|| text.split_once('=').map(|(path, value)| (path, value, true)));
    let (path, value, equal) =
        parts.ok_or_else(|| Status::bad_request(format!("invalid selector: '{text}'; can't understand '{text}'")))?;
    // events.k8s.io names the same field differently; objects are stored in the core form.
    let path = path.replace("regarding.", "involvedObject.").replace("reportingController", "reportingComponent");
    let kind_event = kind.kind == "Event" && (kind.group.is_empty() || kind.group == "events.k8s.io");
    let known = matches!(path.as_str(), "metadata.name" | "metadata.namespace")
        || selectable(kind).contains(&path.as_str())
        || (kind_event && path.starts_with("involvedObject."))
        || kind.custom.as_ref().is_some_and(|c| c.selectable.contains(&path));
    if !known {
        return Err(Status::bad_request(format!("field label not supported: {path}")));
    }
    Ok(Field { path, value: value.to_string(), equal })
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Registry;
    use super::*;
    use serde_json::json;

    fn pods() -> std::sync::Arc<Resource> {
        Registry::new(std::iter::empty()).find("", "v1", "pods").unwrap()
    }

    #[test]
    fn label_selectors_mean_what_kubernetes_says() {
        let pod = json!({"metadata": {"labels": {"app": "blue", "tier": "web"}}});
        let cases = [
            ("app=blue", true),
            ("app==green", false),
            ("app!=green,tier", true),
            ("missing!=x", true),
            ("app in (green, blue),tier notin (db)", true),
            ("!app", false),
            ("!missing", true),
            ("app in (green)", false),
        ];
        for (text, expected) in cases {
            assert_eq!(Selector::parse(&pods(), text, "").unwrap().matches(&pod), expected, "{text}");
        }
        assert_eq!(Selector::parse(&pods(), "a b", "").unwrap_err().code(), 400);
    }

    #[test]
    fn field_selectors_know_the_fields_of_a_kind() {
        let pod = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n"}, "status": {"phase": "Running"}});
        let select = |text| Selector::parse(&pods(), "", text);
        assert!(select("spec.nodeName=n,status.phase!=Failed,metadata.name=a").unwrap().matches(&pod));
        assert!(!select("spec.nodeName=").unwrap().matches(&pod));
        assert_eq!(select("spec.color=red").unwrap_err().message(), "field label not supported: spec.color");
    }
}
