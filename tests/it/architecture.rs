//! The house rules that a machine can check.

use std::fs;
use std::path::{Path, PathBuf};

/// The rooms in order: a room may use only what stands before it.
const ROOMS: [&str; 18] = [
    "model", "yaml", "manifest", "resource", "spec", "compile", "pki", "plan", "routing", "envoy", "sim", "judge",
    "report", // edges
    "cluster", "probe", "sandbox", "drill", "ui",
];

/// The pure rooms: no Kubernetes client, no runtime, no clock, no terminal.
const PURE: usize = 13;

/// Words a pure room must not say.
const EDGE_WORDS: [&str; 6] =
    ["kube::", "tokio::", "SystemTime::now", "Instant::now", "std::process::", "std::net::TcpStream"];

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn files_of(room: &str) -> Vec<PathBuf> {
    let (dir, file) = (source().join(room), source().join(format!("{room}.rs")));
    if dir.is_dir() { rust_files(&dir) } else { vec![file] }
}

/// Code without its comments, so that prose may name what code may not.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    text.lines().filter(|l| !l.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_room_uses_only_what_stands_before_it() {
    let mut broken = Vec::new();
    for (i, room) in ROOMS.iter().enumerate() {
        for path in files_of(room) {
            let code = code(&path);
            let later = ROOMS[i + 1..].iter().chain(["cli"].iter());
            broken.extend(
                later
                    .filter(|l| code.contains(&format!("crate::{l}")))
                    .map(|l| format!("{room} must not use {l} ({})", path.display())),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn the_pure_rooms_know_no_client_no_runtime_and_no_clock() {
    let mut broken = Vec::new();
    for room in &ROOMS[..PURE] {
        for path in files_of(room) {
            let code = code(&path);
            broken.extend(
                EDGE_WORDS
                    .iter()
                    .filter(|w| code.contains(**w))
                    .map(|w| format!("{room} must not say {w} ({})", path.display())),
            );
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_yaml_rs_names_the_yaml_crate() {
    let mut named = rust_files(&source()).into_iter().filter(|p| code(p).contains("serde_saphyr"));
    assert!(named.all(|p| p.ends_with("src/yaml.rs")), "ask yaml.rs instead");
}

/// Ways to write through the Kubernetes client.
const WRITES: [&str; 12] = [
    "PatchParams",
    "PostParams",
    "DeleteParams",
    "Method::PATCH",
    "Method::PUT",
    "Method::DELETE",
    "Request::patch(",
    "Request::put(",
    "Request::delete(",
    "delete_collection(",
    ".evict(",
    ".create_token_request(",
];

#[test]
fn only_cluster_write_writes_to_users_clusters() {
    let mine = source().join("cluster/write.rs");
    let sandbox = source().join("sandbox");
    let elsewhere: Vec<_> = rust_files(&source())
        .into_iter()
        .filter(|p| *p != mine && !p.starts_with(&sandbox))
        .flat_map(|p| {
            let code = code(&p);
            WRITES.iter().filter(move |w| code.contains(**w)).map(move |w| format!("{} says {w}", p.display()))
        })
        .collect();
    assert!(elsewhere.is_empty(), "ask cluster::write instead:\n{}", elsewhere.join("\n"));
    assert!(code(&mine).contains("Method::PATCH"), "cluster/write.rs is where writing happens");
}

/// Ways to create through the Kubernetes client that are no objects of their own.
const POSTS: [&str; 2] = ["serviceaccounts/{account}/token", "selfsubjectaccessreviews"];

#[test]
fn only_cluster_credential_asks_for_tokens_and_for_what_one_may() {
    let mine = source().join("cluster/credential.rs");
    let sandbox = source().join("sandbox");
    let elsewhere: Vec<_> = rust_files(&source())
        .into_iter()
        .filter(|p| *p != mine && !p.starts_with(&sandbox))
        .filter(|p| POSTS.iter().any(|w| code(p).contains(w)))
        .collect();
    assert!(elsewhere.is_empty(), "ask cluster::mint and cluster::allowed instead: {elsewhere:?}");
    let own = code(&mine);
    assert!(POSTS.iter().all(|w| own.contains(w)), "cluster/credential.rs is where credentials come from");
    assert_eq!(own.matches("Request::post(").count(), 1, "one way to send them");
}

#[test]
fn every_module_says_what_it_is() {
    let silent: Vec<_> =
        rust_files(&source()).into_iter().filter(|p| !fs::read_to_string(p).unwrap().starts_with("//!")).collect();
    assert!(silent.is_empty(), "{silent:?}");
}

#[test]
fn no_test_file_is_forgotten() {
    for binary in ["it", "controlplane"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(binary);
        let main = fs::read_to_string(dir.join("main.rs")).unwrap();
        let modules = fs::read_dir(&dir).unwrap().map(|e| e.unwrap().path());
        for path in modules.filter(|p| p.extension().is_some_and(|e| e == "rs") || p.join("mod.rs").is_file()) {
            let name = path.file_stem().unwrap().to_str().unwrap();
            let named = name == "main" || main.contains(&format!("mod {name};"));
            assert!(named, "tests/{binary}/main.rs does not name {name}");
        }
    }
}
