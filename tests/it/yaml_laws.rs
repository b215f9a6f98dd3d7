//! Laws of reading and writing YAML: what is written is read back equal, by us and by kubectl, and twice is the same.

use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::support::{kubectl, root};

/// Texts that some reader of YAML takes for something else than text, or that need care to be written at all.
const AWKWARD: [&str; 72] = [
    "",
    " ",
    "yes",
    "Yes",
    "no",
    "NO",
    "on",
    "off",
    "y",
    "n",
    "Y",
    "N",
    "true",
    "False",
    "null",
    "Null",
    "~",
    "1",
    "-1",
    "+1",
    "1.0",
    "1.",
    ".5",
    "1e3",
    "1E-3",
    "0x1F",
    "0o17",
    "017",
    "08",
    "1_000",
    "1:30",
    "190:20:30",
    ".inf",
    "-.Inf",
    ".nan",
    "2001-01-01",
    "2001-01-01T00:00:00Z",
    "=",
    "<<",
    "*a",
    "&a",
    "!t",
    "%x",
    "@x",
    "`x",
    "|",
    ">",
    "-",
    "- a",
    "?",
    "? a",
    ":",
    ": a",
    "a: b",
    "a #b",
    "#c",
    "[a]",
    "{a: b}",
    "\"q\"",
    "'s'",
    "a\\b",
    "tab\there",
    "two\nlines",
    "ends\n",
    "\nbegins",
    "  indented\n deeper\n",
    "trailing  ",
    "ünïcödé ✓",
    "\u{1f600}",
    "\u{85}",
    "\u{7}bell",
    "\u{feff}bom",
];

fn value() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        proptest::sample::select(&AWKWARD[..]).prop_map(str::to_string),
        "[ -~]{0,100}",
        "[\\PC\n\t]{0,24}",
    ];
    let leaf = prop_oneof![
        text.clone().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 4, move |inner| {
        let map = proptest::collection::vec((text.clone(), inner.clone()), 0..4);
        prop_oneof![
            proptest::collection::vec(inner, 0..4).prop_map(Value::from),
            map.prop_map(|fields| Value::Object(Map::from_iter(fields))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_equal(value in value()) {
        let wrapped = json!({ "value": value });
        let text = failctl::yaml::emit(&wrapped);
        let read = failctl::yaml::parse(&text).unwrap();
        prop_assert_eq!(read.len(), 1, "{}", text);
        prop_assert_eq!(&read[0].value, &wrapped, "{}", text);
        prop_assert_eq!(failctl::yaml::emit(&read[0].value), text);
    }

    #[test]
    fn no_text_at_all_makes_the_reader_panic(text in "[\\PC\n\t:\\-&*#\\[\\]{}'\"|>]{0,80}") {
        let _ = failctl::yaml::parse(&text);
    }
}

#[test]
fn kubectl_reads_every_awkward_text_back_as_it_was() {
    let data: Map<String, Value> = AWKWARD
        .iter()
        .enumerate()
        .filter(|(_, t)| !t.contains('\u{feff}'))
        .map(|(i, t)| (format!("k{i}"), (*t).into()))
        .collect();
    let words: Map<String, Value> =
        ["yes", "on", "null", "1", "1.5", "~x"].iter().map(|k| (k.to_string(), "v".into())).collect();
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "awkward", "annotations": words}, "data": data});
    let read = kubectl_reads(&failctl::yaml::emit(&map));
    assert_eq!(read["data"], map["data"]);
    assert_eq!(read["metadata"]["annotations"], map["metadata"]["annotations"]);
}

/// What kubectl makes of a document, without a cluster.
fn kubectl_reads(text: &str) -> Value {
    let mut command = Command::new(kubectl());
    command.args(["patch", "--local", "-f", "-", "--type", "merge", "-p", "{}", "-o", "json"]);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success(), "{}\n{text}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

#[test]
fn kubectl_reads_what_is_rendered_as_we_do() {
    for case in ["guide", "federation", "several-groups-upstream", "mixed", "node-port-federation"] {
        let text = std::fs::read_to_string(root().join(format!("tests/golden/gloo/{case}/out.yaml"))).unwrap();
        // `patch --local` takes one document at a time.
        for document in text.split("\n---\n") {
            let ours = &failctl::yaml::parse(document).unwrap()[0].value;
            let mut read = kubectl_reads(document);
            // kubectl fills this in for the kinds it knows.
            if ours.pointer("/spec/template/metadata/creationTimestamp").is_none() {
                read.pointer_mut("/spec/template/metadata")
                    .and_then(Value::as_object_mut)
                    .map(|m| m.remove("creationTimestamp"));
            }
            assert!(contains(&read, ours), "{case}\n{document}\nread as {read:#}");
        }
    }
}

/// Whether everything in `part` is in `whole`; kubectl adds empty fields to kinds it knows.
fn contains(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(w), Value::Object(p)) => p.iter().all(|(k, v)| match w.get(k) {
            Some(there) => contains(there, v),
            None => v.is_null() || v.as_object().is_some_and(Map::is_empty),
        }),
        (Value::Array(w), Value::Array(p)) => w.len() == p.len() && w.iter().zip(p).all(|(w, p)| contains(w, p)),
        (Value::Number(w), Value::Number(p)) => w.as_f64() == p.as_f64(),
        (w, p) => w == p,
    }
}
