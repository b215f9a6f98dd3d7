//! Documents that are wrong: each is refused with everything that is wrong with it, at its place.

use std::path::PathBuf;
use std::process::Command;

use super::support::{failctl, golden, root};

fn cases() -> Vec<PathBuf> {
    let files = std::fs::read_dir(root().join("tests/bad")).unwrap().map(|e| e.unwrap().path());
    let mut cases: Vec<_> = files.filter(|p| p.extension().is_some_and(|e| e == "yaml")).collect();
    cases.sort();
    cases
}

/// The first line of a case says how it is given; `%` is its own name.
fn arguments(file: &str, text: &str) -> Vec<String> {
    let line = text.lines().next().unwrap().strip_prefix("# failctl ").unwrap();
    line.split(' ').map(|word| word.replace('%', file)).collect()
}

#[test]
fn every_bad_input_is_refused_with_the_message_that_is_written_down() {
    let cases = cases();
    assert!(cases.len() >= 45, "{}", cases.len());
    for case in cases {
        let file = case.file_name().unwrap().to_str().unwrap();
        let arguments = arguments(file, &std::fs::read_to_string(&case).unwrap());
        let mut command = Command::new(failctl());
        let out = command.current_dir(root().join("tests/bad")).env_remove("FAILCTL_FILE").args(arguments).output();
        let out = out.unwrap();
        let stderr = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(3), "{file}: {stderr}");
        assert!(out.stdout.is_empty(), "{file} printed data although it was refused");
        assert!(stderr.contains("error["), "{file}: {stderr}");
        golden(&format!("tests/bad/{}.txt", file.trim_end_matches(".yaml")), &stderr);
    }
}

#[test]
fn a_secret_is_never_repeated_in_a_message() {
    for case in cases() {
        let text = std::fs::read_to_string(case.with_extension("txt")).unwrap();
        assert!(!text.contains("hunter"), "{}", case.display());
    }
}

#[test]
fn every_code_is_documented_and_used() {
    let mut used = std::collections::BTreeSet::new();
    let mut pending = vec![root().join("src")];
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
        } else if !path.ends_with("model/code.rs") {
            let text = std::fs::read_to_string(path).unwrap();
            let codes = text.match_indices("\"FCT0").filter_map(|(at, _)| text.get(at + 1..at + 8));
            used.extend(codes.map(str::to_string));
        }
    }
    let documented: Vec<_> = failctl::model::code::ALL.iter().map(|(code, _)| code.to_string()).collect();
    assert_eq!(documented, used.into_iter().collect::<Vec<_>>());
}

#[test]
fn the_page_of_problem_codes_is_current() {
    let mut page = String::from(
        "# Problem codes\n\nEvery message about a document, a target, an object in a cluster, a drill or a status carries one of these. A code is\n\
         never reused. Plans (`FCP`), clusters (`FCC`) and certificates (`FCK`) have codes of their own.\n\n| code | meaning |\n|---|---|\n",
    );
    for (code, sentence) in failctl::model::code::ALL {
        page += &format!("| {code} | {sentence} |\n");
    }
    super::support::golden("docs/problems.md", &page);
}
