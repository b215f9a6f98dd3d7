//! Golden pairs: documents in, resources out.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::support::{failctl, golden, root};

fn cases() -> Vec<PathBuf> {
    let dir = root().join("tests/golden/gloo");
    let mut cases: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()).collect();
    cases.sort();
    cases
}

/// `failctl render` of one case, from inside its folder, so that no path of this machine is in its words.
pub fn render(case: &Path, more: &[&str]) -> Output {
    let mut arguments = vec!["render".to_string(), "-f".into(), "in.yaml".into()];
    let mut files: Vec<_> = std::fs::read_dir(case).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap();
        let stem = file.file_stem().unwrap().to_str().unwrap();
        let document = name.ends_with(".yaml") || name.ends_with(".json");
        if document && !["in", "out"].contains(&stem) {
            arguments.extend(["-f".into(), format!("{stem}={name}")]);
        }
    }
    let mut command = Command::new(failctl());
    command.current_dir(case).env_remove("FAILCTL_FILE").args(arguments).args(more).output().unwrap()
}

#[test]
fn every_case_renders_to_what_is_written_down() {
    let cases = cases();
    assert!(cases.len() >= 30);
    for case in cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let out = render(&case, &[]);
        let (stdout, stderr) = (String::from_utf8(out.stdout).unwrap(), String::from_utf8(out.stderr).unwrap());
        assert!(out.status.success(), "{name}: {stderr}");
        golden(&format!("tests/golden/gloo/{name}/out.yaml"), &stdout);
        golden(&format!("tests/golden/gloo/{name}/err.txt"), &stderr);
    }
}

#[test]
fn yaml_and_json_say_the_same() {
    for case in cases() {
        let yaml = String::from_utf8(render(&case, &[]).stdout).unwrap();
        let json = String::from_utf8(render(&case, &["-o", "json"]).stdout).unwrap();
        let yaml: Vec<_> = failctl::yaml::parse(&yaml).unwrap().into_iter().map(|d| d.value).collect();
        let json: Vec<serde_json::Value> = json.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
        assert!(!json.is_empty());
        assert_eq!(yaml, json, "{}", case.display());
    }
}

#[test]
fn every_document_carries_its_cluster_and_names_a_cluster_of_the_fleet() {
    for case in cases() {
        let text = String::from_utf8(render(&case, &[]).stdout).unwrap();
        let comments: Vec<_> = text.lines().filter(|l| l.starts_with("# failctl render: cluster ")).collect();
        let documents = failctl::yaml::parse(&text).unwrap();
        assert_eq!(comments.len(), documents.len());
        for (comment, document) in comments.iter().zip(&documents) {
            let cluster = document.value["metadata"]["annotations"]["failctl.dev/cluster"].as_str().unwrap();
            assert!(comment.starts_with(&format!("# failctl render: cluster {cluster}, ")), "{comment}");
        }
    }
}

#[test]
fn the_guides_documents_come_out_as_they_stand() {
    let case = root().join("tests/golden/gloo/guide");
    let text = String::from_utf8(render(&case, &[]).stdout).unwrap();
    let mut out: Vec<_> = failctl::yaml::parse(&text).unwrap().into_iter().map(|d| d.value).collect();
    let mut given = Vec::new();
    for cluster in ["local", "remote"] {
        let text = std::fs::read_to_string(case.join(format!("{cluster}.yaml"))).unwrap();
        given.extend(failctl::yaml::parse(&text).unwrap().into_iter().map(|d| (cluster, d.value)));
    }
    assert_eq!((out.len(), given.len()), (8, 8));
    for (cluster, document) in given {
        let same = |o: &serde_json::Value| {
            o["kind"] == document["kind"] && o["metadata"]["name"] == document["metadata"]["name"]
        };
        let found = out.iter_mut().find(|o| same(o)).unwrap();
        let annotations = found["metadata"].as_object_mut().unwrap().remove("annotations").unwrap();
        assert_eq!(annotations["failctl.dev/cluster"], cluster);
        assert_eq!(*found, document);
    }
}
