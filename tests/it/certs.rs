//! `failctl certs`: keys that nobody else reads, secrets that both gateways accept, a table that tells the truth.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use serde_json::{Value, json};

use crate::support::fleet::{Ground, exists};

fn files(dir: &Path) -> BTreeMap<String, (u32, String)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            let inner = files(&path).into_iter();
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            found.extend(inner.map(|(n, f)| (format!("{name}/{n}"), f)));
        } else {
            let mode = path.metadata().unwrap().permissions().mode() & 0o777;
            let name = path.file_name().unwrap().to_str().unwrap().to_string();
            found.insert(name, (mode, std::fs::read_to_string(&path).unwrap()));
        }
    }
    found
}

/// Dates differ from day to day.
fn undated(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("20") {
        let date = rest.get(at..at + 10).unwrap_or_default();
        let is_date = date.len() == 10 && date.as_bytes()[4] == b'-' && date.as_bytes()[7] == b'-';
        out += &rest[..at];
        out += if is_date { "YYYY-MM-DD" } else { "20" };
        rest = &rest[at + if is_date { 10 } else { 2 }..];
    }
    // openssl's are valid from now on, and a day is counted when it is whole: how many are left depends on the second.
    (out + rest).replace(" 365 ", " 364 ")
}

fn golden(ground: &Ground, name: &str, args: &[&str]) -> Option<i32> {
    let ran = ground.run(args);
    let code = ran.code.map_or("a signal".into(), |c| c.to_string());
    let text =
        format!("$ failctl {}\n--- exit code {code}\n--- stdout\n{}--- stderr\n{}", args.join(" "), ran.out, ran.err);
    crate::support::golden(&format!("tests/golden/cli/{name}.txt"), &undated(&text));
    ran.code
}

#[test]
fn generate_makes_a_root_and_what_each_gateway_needs_and_keeps_it_the_second_time() {
    let ground = Ground::new();
    golden(&ground, "certs_generate", &["certs", "generate"]);
    let dir = ground.dir.path().join("failctl-certs");
    let made = files(&dir);
    let names: Vec<_> = made.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        [".lock", "ca.crt", "ca.key", "local/client.crt", "local/client.key", "remote/server.crt", "remote/server.key"]
    );
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    for (name, (mode, _)) in made.iter().filter(|(n, _)| n.ends_with(".key")) {
        assert_eq!(*mode, 0o600, "{name}");
    }
    golden(&ground, "certs_generate_again", &["certs", "generate"]);
    assert_eq!(files(&dir), made);
    golden(&ground, "certs_renew", &["certs", "generate", "--renew"]);
    let renewed = files(&dir);
    assert_eq!(renewed["ca.key"], made["ca.key"]);
    assert_ne!(renewed["remote/server.key"], made["remote/server.key"]);
}

#[test]
fn what_is_no_good_any_more_is_renewed_and_the_reason_said() {
    let ground = Ground::new();
    ground.ok(&["certs", "generate"]);
    let dir = ground.dir.path().join("failctl-certs");
    std::fs::copy(dir.join("local/client.crt"), dir.join("remote/server.crt")).unwrap();
    golden(&ground, "certs_generate_mended", &["certs", "generate"]);
    assert_eq!(ground.ok(&["certs", "status", "--disk"]).code, Some(0));
    std::fs::remove_file(dir.join("ca.key")).unwrap();
    ground.ok(&["certs", "generate"]);
    std::fs::remove_file(dir.join("local/client.key")).unwrap();
    assert_eq!(golden(&ground, "certs_generate_no_root_key", &["certs", "generate"]), Some(3));
    ground.ok(&["certs", "generate", "--renew-root"]);
    assert_eq!(ground.ok(&["certs", "status", "--disk"]).code, Some(0));
}

#[test]
fn algorithms_are_a_choice_and_bad_ones_are_refused_with_the_reason() {
    let ground = Ground::new();
    let openssl = |file: &str| {
        let path = ground.dir.path().join("keys").join(file);
        let out = Command::new("openssl").args(["x509", "-noout", "-text", "-in"]).arg(path).output();
        String::from_utf8(out.expect("openssl is needed for this test").stdout).unwrap()
    };
    ground.ok(&["certs", "generate", "--dir", "keys", "--algorithm", "rsa-2048", "--days", "10"]);
    let text = openssl("remote/server.crt");
    assert!(
        text.contains("Public-Key: (2048 bit)") && text.contains("DNS:remote.gateway.shop.failctl.internal"),
        "{text}"
    );
    assert_eq!(golden(&ground, "certs_ed25519", &["certs", "generate", "--algorithm", "ed25519"]), Some(2));
    assert!(!exists(&ground, "failctl-certs"));
}

#[test]
fn install_writes_tls_secrets_with_the_ca_on_both_sides_and_openssl_verifies_them() {
    let ground = Ground::new();
    ground.ok(&["certs", "generate"]);
    golden(&ground, "certs_install", &["certs", "install", "--yes"]);
    golden(&ground, "certs_install_again", &["certs", "install", "--yes"]);
    let decode = |secret: &Value, key: &str| {
        base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap()
    };
    let server = ground.get("remote", "Secret", "failover-downstream");
    let client = ground.get("local", "Secret", "failover-upstream");
    for (from, to, purpose) in [(&server, &client, "sslserver"), (&client, &server, "sslclient")] {
        assert_eq!(from["type"], "kubernetes.io/tls");
        ground.write("leaf.crt", &String::from_utf8(decode(from, "tls.crt")).unwrap());
        ground.write("other.crt", &String::from_utf8(decode(to, "ca.crt")).unwrap());
        let out = Command::new("openssl")
            .args(["verify", "-x509_strict", "-purpose", purpose, "-CAfile", "other.crt", "leaf.crt"])
            .current_dir(ground.dir.path())
            .output()
            .expect("openssl is needed for this test");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }
    assert_eq!(golden(&ground, "certs_status", &["certs", "status"]), Some(0));
    let report: Value = serde_json::from_str(&ground.ok(&["certs", "status", "-o", "json"]).out).unwrap();
    assert_eq!(report["kind"], "CertificateReport");
    assert_eq!(report["verdict"], "ok");
    assert_eq!(report["certificates"].as_array().unwrap().len(), 5);
    assert_eq!(report["certificates"][1]["daysLeft"], 364, "whole days of the 365");
}

#[test]
fn nothing_is_installed_that_is_not_there_or_no_good() {
    let ground = Ground::new();
    assert_eq!(golden(&ground, "certs_install_nothing", &["certs", "install", "--yes"]), Some(3));
    ground.ok(&["certs", "generate"]);
    let dir = ground.dir.path().join("failctl-certs");
    std::fs::copy(dir.join("local/client.key"), dir.join("remote/server.key")).unwrap();
    assert_eq!(golden(&ground, "certs_install_bad", &["certs", "install", "--yes"]), Some(3));
    assert!(ground.get("local", "Secret", "failover-upstream").is_null());
}

#[test]
fn status_tells_what_is_missing_expired_mismatched_or_unknown() {
    let ground = Ground::new();
    assert_eq!(golden(&ground, "certs_status_nothing", &["certs", "status"]), Some(1));
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["certs", "generate", "--renew-root", "--dir", "other"]);
    ground.remove("local", "Secret", "failover-upstream");
    ground.ok(&["certs", "install", "--yes", "--dir", "other", "--force"]);
    let foreign = ground.get("local", "Secret", "failover-upstream");
    ground.ok(&["certs", "install", "--yes", "--force"]);
    let data = json!({"data": foreign["data"]});
    ground.patch_as("local", "somebody", "Secret", "failover-upstream", data);
    assert_eq!(golden(&ground, "certs_status_mismatch", &["certs", "status"]), Some(1));
    ground.patch_as("remote", "somebody", "Secret", "failover-downstream", json!({"data": {"ca.crt": null}}));
    let ran = ground.run(&["certs", "status", "-o", "yaml"]);
    assert!(ran.out.contains("code: FCK0106"), "{}", ran.out);
    ground.ok(&["certs", "install", "--yes", "--force"]);
    ground.stop("remote");
    assert_eq!(ground.run(&["certs", "status"]).code, Some(8));
}

#[test]
fn the_guides_secrets_are_shown_for_what_they_are() {
    let ground = Ground::new();
    let pem = |name: &str| {
        let out = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "365", "-newkey", "rsa:2048", "-subj", "/CN=solo.io"])
            .args(["-keyout", &format!("{name}.key"), "-out", &format!("{name}.crt")])
            .current_dir(ground.dir.path())
            .output()
            .expect("openssl is needed for this test");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    };
    pem("tls");
    pem("mtls");
    let text =
        |f: &str| base64::engine::general_purpose::STANDARD.encode(std::fs::read(ground.dir.path().join(f)).unwrap());
    let secret = |name: &str, data: Value| {
        json!({"apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
            "metadata": {"name": name, "namespace": "gloo-system"}, "data": data})
    };
    let down = json!({"tls.crt": text("tls.crt"), "tls.key": text("tls.key"), "ca.crt": text("mtls.crt")});
    ground.put("remote", secret("failover-downstream", down));
    ground.put("local", secret("failover-upstream", json!({"tls.crt": text("mtls.crt"), "tls.key": text("mtls.key")})));
    assert_eq!(golden(&ground, "certs_status_guide", &["certs", "status"]), Some(0));
    ground.ok(&["certs", "generate"]);
    assert_eq!(golden(&ground, "certs_install_guide", &["certs", "install", "--yes"]), Some(5));
}

#[test]
fn no_key_appears_in_any_output() {
    let ground = Ground::new();
    let mut all = String::new();
    for args in [
        &["certs", "generate"][..],
        &["certs", "generate", "-o", "json"],
        &["certs", "install", "--dry-run"],
        &["certs", "install", "--yes", "-vv"],
        &["certs", "install", "--yes", "-o", "yaml"],
        &["certs", "status", "-o", "json"],
        &["diff", "-vv"],
        &["apply", "--yes", "-vv"],
        &["delete", "--yes", "-vv"],
    ] {
        let ran = ground.run(args);
        all += &(ran.out + &ran.err);
    }
    let keys = files(&ground.dir.path().join("failctl-certs"));
    for (name, (_, text)) in keys.iter().filter(|(n, _)| n.ends_with(".key")) {
        let body: Vec<&str> = text.lines().filter(|l| !l.starts_with("-----")).collect();
        let encoded = base64::engine::general_purpose::STANDARD.encode(text);
        for secret in body.iter().copied().chain([&encoded[40..80]]) {
            assert!(!all.contains(secret), "{name} leaks");
        }
    }
    assert!(!all.contains("PRIVATE KEY"));
}
