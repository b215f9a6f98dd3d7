//! The protobuf bodies of `kubectl create`, recorded from kubectl 1.32, against what the same commands print as JSON.

use base64::Engine;
use failctl::sandbox::api::{protobuf, schema::Shape};
use serde_json::Value;

fn cases() -> Vec<Value> {
    let text = include_str!("../golden/protobuf.jsonl");
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn body(case: &Value) -> Vec<u8> {
    base64::engine::general_purpose::STANDARD.decode(case["body"].as_str().unwrap()).unwrap()
}

#[test]
fn what_kubectl_sends_in_protobuf_is_what_it_prints_as_json() {
    for case in cases() {
        let command = &case["command"];
        let bytes = body(&case);
        assert!(protobuf::is(&bytes), "{command}");
        let got = protobuf::decode(&bytes).unwrap_or_else(|e| panic!("{command}: {e}"));
        let mut want = case["object"].clone();
        let api_version = want["apiVersion"].as_str().unwrap().to_owned();
        let (group, version) = api_version.split_once('/').unwrap_or(("", &api_version));
        Shape::builtin(group, version, want["kind"].as_str().unwrap()).unwrap().prune(&mut want);
        // kubectl fills the namespace of what it prints, but not of what it sends.
        if let Some(meta) = want["metadata"].as_object_mut()
            && got["metadata"].get("namespace").is_none()
        {
            meta.shift_remove("namespace");
        }
        assert_eq!(got, want, "{command}");
    }
}

#[test]
fn a_body_cut_anywhere_is_an_error_or_an_object_and_never_a_panic() {
    for case in cases() {
        let bytes = body(&case);
        for end in 0..bytes.len().min(400) {
            let _: Result<Value, protobuf::Error> = protobuf::decode(&bytes[..end]);
            let mut bent = bytes.clone();
            bent[end] ^= 0x55;
            let _: Result<Value, protobuf::Error> = protobuf::decode(&bent);
        }
    }
}

#[test]
fn a_kind_that_is_not_known_is_named() {
    let mut bytes = b"k8s\0".to_vec();
    bytes.extend([10, 13, 10, 2, b'v', b'1', 18, 7]);
    bytes.extend(b"Unknown");
    let error = protobuf::decode(&bytes).unwrap_err().to_string();
    assert!(error.contains("Unknown") && error.contains("send JSON"), "{error}");
}
