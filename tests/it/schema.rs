//! `failctl schema`, and whether the committed schemas are current and say what documents are.

use serde_json::Value;
use tempfile::TempDir;

use super::support::fleet::{Ground, Ran};
use super::support::offline::{out, run, said};
use super::support::{golden, root};

#[test]
fn the_committed_schemas_are_current() {
    for (name, text) in failctl::cli::schema::all() {
        golden(&format!("schema/{name}"), &text);
    }
    let dir = TempDir::new().unwrap();
    for (arguments, name) in
        [(vec!["schema"], "failctl"), (vec!["schema", "fleet"], "fleet"), (vec!["schema", "failover"], "failover")]
    {
        let (code, stdout, stderr) = out(run(dir.path(), &arguments));
        assert_eq!((code, stderr.as_str()), (0, ""));
        assert_eq!(stdout, std::fs::read_to_string(root().join(format!("schema/{name}.json"))).unwrap());
    }
    said("schema-unknown", out(run(dir.path(), &["schema", "flete"])));
}

fn validator(name: &str) -> jsonschema::Validator {
    let text = std::fs::read_to_string(root().join(format!("schema/{name}.json"))).unwrap();
    jsonschema::validator_for(&serde_json::from_str(&text).unwrap()).unwrap()
}

/// failctl's own documents in a text, with their kinds.
fn ours(text: &str) -> Vec<(String, Value)> {
    let documents = failctl::yaml::parse(text).unwrap().into_iter().map(|d| d.value);
    let ours = documents.filter(|d| d["apiVersion"].as_str().is_some_and(|v| v.starts_with("failctl.dev/")));
    ours.map(|d| (d["kind"].as_str().unwrap_or_default().to_string(), d)).collect()
}

#[test]
fn every_example_fits_the_schema_and_what_has_a_wrong_shape_does_not() {
    let (any, fleet, failover) = (validator("failctl"), validator("fleet"), validator("failover"));
    let mut good = 0;
    for case in std::fs::read_dir(root().join("tests/golden/gloo")).unwrap().map(|e| e.unwrap().path()) {
        if !case.is_dir() {
            continue;
        }
        for (kind, document) in ours(&std::fs::read_to_string(case.join("in.yaml")).unwrap()) {
            let by_kind = if kind == "Fleet" { &fleet } else { &failover };
            let wrong = by_kind.iter_errors(&document).map(|e| e.to_string()).collect::<Vec<_>>();
            assert!(wrong.is_empty(), "{}: {wrong:?}", case.display());
            assert!(any.is_valid(&document));
            good += 1;
        }
    }
    assert!(good > 50);
    for case in [
        "17-unknown-fields",
        "19-missing-fields",
        "21-wrong-types",
        "24-ports",
        "25-words",
        "27-durations",
        "42-weight-zero",
    ] {
        let text = std::fs::read_to_string(root().join(format!("tests/bad/{case}.yaml"))).unwrap();
        for (_, document) in ours(&text) {
            assert!(!any.is_valid(&document), "{case}");
        }
    }
}

/// A report validated by the schema of its kind.
fn fits(ran: &Ran, kind: &str) {
    let report: Value =
        serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{kind}: {e}\n{}{}", ran.out, ran.err));
    let name: String =
        kind.chars().flat_map(|c| if c.is_uppercase() { vec!['-', c.to_ascii_lowercase()] } else { vec![c] }).collect();
    assert_eq!(report["kind"], kind);
    assert_eq!(report["apiVersion"], "failctl.dev/v1alpha1");
    let wrong: Vec<_> = validator(name.trim_start_matches('-')).iter_errors(&report).map(|e| e.to_string()).collect();
    assert!(wrong.is_empty(), "{kind}: {wrong:?}\n{}", ran.out);
}

#[test]
fn what_commands_print_for_scripts_fits_the_schemas_of_reports() {
    let ground = Ground::new();
    let json = |args: &[&str]| ground.run(&[args, &["-o", "json"]].concat());
    fits(&json(&["certs", "status"]), "CertificateReport");
    ground.ok(&["certs", "generate"]);
    fits(&json(&["certs", "install", "--yes"]), "ApplyReport");
    fits(&json(&["certs", "status"]), "CertificateReport");
    fits(&json(&["diff"]), "DiffReport");
    fits(&json(&["apply", "--dry-run"]), "PlanReport");
    fits(&json(&["apply", "--dry-run=server"]), "ApplyReport");
    fits(&json(&["apply", "--yes"]), "ApplyReport");
    fits(&json(&["diff"]), "DiffReport");
    fits(&json(&["status"]), "StatusReport");
    ground.stop("remote");
    fits(&json(&["certs", "status"]), "CertificateReport");
    fits(&json(&["diff"]), "DiffReport");
    fits(&json(&["delete", "--yes"]), "ApplyReport");
}
