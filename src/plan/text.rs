//! A part of a text in somebody else's object. What comes in: a manifest that says the whole text, and the object.
//! What goes out: a change that is refused when the object moved on since it was read. May not know: what texts mean.

use serde_json::{Map, Value, json};

use super::between::{guarded, merge_into};
use super::items::patch_at;

/// The text at a path.
pub fn at<'a>(object: &'a Value, path: &[String]) -> Option<&'a str> {
    path.iter().try_fold(object, |o, p| o.get(p))?.as_str()
}

/// The patch that makes the text and the record of our part what they are to be; empty when they are.
pub fn wanted(there: &Value, body: &Value, path: &[String], annotation: &str) -> Map<String, Value> {
    let mut patch = Map::new();
    if let Some(text) = at(body, path).filter(|t| at(there, path) != Some(t)) {
        merge_into(&mut patch, patch_at(path, text.into()));
    }
    let record = recorded(body, annotation);
    if record != recorded(there, annotation) {
        merge_into(&mut patch, json!({"metadata": {"annotations": {annotation: record}}}));
    }
    patch
}

/// The write that takes our part out again, and what it leaves; nothing when there is none.
pub fn without(there: &Value, text: &str, path: &[String], annotation: &str) -> Option<(super::Write, Value)> {
    recorded(there, annotation)?;
    let mut patch = patch_at(path, text.into()).as_object().cloned().unwrap_or_default();
    merge_into(&mut patch, json!({"metadata": {"annotations": {annotation: null}}}));
    Some(guarded(there, patch))
}

fn recorded<'a>(object: &'a Value, annotation: &str) -> Option<&'a str> {
    object.get("metadata")?.get("annotations")?.get(annotation)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(text: &str, record: Option<&str>) -> Value {
        let mut map = json!({"metadata": {"name": "istio", "resourceVersion": "7"}, "data": {"mesh": text}});
        if let Some(record) = record {
            map["metadata"]["annotations"] = json!({"part": record});
        }
        map
    }

    #[test]
    fn a_text_is_written_only_over_the_one_it_was_made_from() {
        let path = ["data".to_string(), "mesh".to_string()];
        let patch = wanted(&map("a\n", None), &map("a\nb\n", Some("b")), &path, "part");
        let (write, after) = guarded(&map("a\n", None), patch);
        let super::super::Write::Merge { patch, .. } = write else { panic!("a merge patch") };
        assert_eq!(patch["metadata"]["resourceVersion"], "7");
        assert_eq!(
            (&after["data"]["mesh"], &after["metadata"]["annotations"]["part"]),
            (&json!("a\nb\n"), &json!("b"))
        );
        assert!(wanted(&after, &map("a\nb\n", Some("b")), &path, "part").is_empty());
        let (_, back) = without(&after, "a\n", &path, "part").unwrap();
        assert_eq!(back["data"]["mesh"], "a\n");
        assert!(without(&back, "a\n", &path, "part").is_none());
    }
}
