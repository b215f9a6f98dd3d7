//! A mesh's certificates as others see them: openssl's strict verification of every chain, the exact Secret that
//! istiod takes, and what must not be signed.

use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use failctl::model::identity;
use failctl::model::name::ClusterName;
use failctl::pki::{
    Algorithm, Cacerts, Intermediate, Issued, Key, chained, issue_intermediate, issue_mesh_root, issue_root,
    issue_self_signed, issue_workload,
};
use jiff::{SignedDuration, Timestamp};

fn key(algorithm: Algorithm) -> Key {
    Key::generate(algorithm).unwrap()
}

fn intermediate(root: &Issued, cluster: &str, algorithm: Algorithm, at: Timestamp) -> Issued {
    let name = ClusterName::new(cluster).unwrap();
    let party = Intermediate { fleet: "shop", cluster: &name, trust_domain: cluster, namespace: "istio-system" };
    issue_intermediate(&party, key(algorithm), root, at, 730, [5; 16]).unwrap()
}

fn file(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).unwrap();
    path
}

fn openssl(args: &[&str], files: &[&PathBuf]) -> (bool, String) {
    let out = Command::new("openssl").args(args).args(files).output().expect("openssl is needed for this test");
    let text = String::from_utf8_lossy(&out.stdout).to_string() + &String::from_utf8_lossy(&out.stderr);
    (out.status.success(), text)
}

#[test]
fn openssl_verifies_a_workload_through_its_intermediate_strictly_and_for_both_purposes() {
    let now = Timestamp::now();
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Rsa2048] {
        let root = issue_root("shop", key(algorithm), now, 3650, [1; 16]).unwrap();
        let ca = intermediate(&root, "kind2", algorithm, now);
        let spiffe = identity::workload("kind2", "default", "bookinfo-reviews");
        let day = SignedDuration::from_hours(24);
        let leaf = issue_workload(&ca, &spiffe, key(algorithm), now, day, [7; 16]).unwrap();
        let cacerts = Cacerts::new(ca, &root.certificate, &root.certificate);
        let presented = chained(&leaf.certificate, &cacerts.chain).unwrap();
        assert_eq!(presented.matches("BEGIN CERTIFICATE").count(), 2, "leaf and intermediate, the root is known");
        let dir = tempfile::tempdir().unwrap();
        let root = file(dir.path(), "root.pem", &cacerts.roots);
        let chain = file(dir.path(), "chain.pem", &cacerts.chain);
        let leaf = file(dir.path(), "leaf.pem", &leaf.certificate);
        for purpose in ["sslserver", "sslclient"] {
            let args = ["verify", "-x509_strict", "-purpose", purpose, "-CAfile"];
            let out = Command::new("openssl").args(args).arg(&root).arg("-untrusted").args([&chain, &leaf]).output();
            let out = out.expect("openssl is needed for this test");
            assert!(out.status.success(), "{algorithm:?} {purpose}: {}", String::from_utf8_lossy(&out.stderr));
        }
        let (_, text) = openssl(&["x509", "-noout", "-text", "-in"], &[&leaf]);
        assert!(text.contains(&format!("URI:{spiffe}")), "{text}");
        assert!(text.contains("Subject Alternative Name: critical"), "there is no subject, so the name must count");
        let (_, text) = openssl(&["x509", "-noout", "-text", "-in"], &[&chain]);
        for part in ["CA:TRUE, pathlen:0", "DNS:istiod.istio-system.svc", "URI:spiffe://kind2", "L = kind2"] {
            assert!(text.replace("L=", "L = ").contains(part), "{part} in {text}");
        }
    }
}

#[test]
fn cacerts_has_exactly_the_four_parts_that_istiod_takes_and_reads_back() {
    let now = Timestamp::now();
    let root = issue_root("shop", key(Algorithm::EcdsaP256), now, 3650, [1; 16]).unwrap();
    let ca = intermediate(&root, "kind2", Algorithm::EcdsaP256, now);
    let cluster = ClusterName::new("kind2").unwrap();
    let manifest = Cacerts::new(ca, &root.certificate, &root.certificate).manifest(&cluster, "istio-system");
    let data = manifest.body["data"].as_object().unwrap();
    let mut names: Vec<_> = data.keys().map(String::as_str).collect();
    names.sort_unstable();
    assert_eq!(names, ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"]);
    assert_eq!(manifest.body["metadata"]["name"], "cacerts");
    let text = |name: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(data[name].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    assert_eq!(text("cert-chain.pem"), text("ca-cert.pem") + &text("root-cert.pem"));
    let read = Cacerts::read(&manifest.body).unwrap();
    assert_eq!(read.authority.certificate, text("ca-cert.pem"));
    for gone in ["ca-cert.pem", "ca-key.pem", "cert-chain.pem", "root-cert.pem"] {
        let mut broken = manifest.body.clone();
        broken["data"].as_object_mut().unwrap().shift_remove(gone);
        let why = Cacerts::read(&broken).err().unwrap().to_string();
        assert_eq!(why, format!("the Secret is no cacerts: {gone} is missing"));
    }
    let mut broken = manifest.body.clone();
    let other = key(Algorithm::EcdsaP256).pem();
    broken["data"]["ca-key.pem"] = base64::engine::general_purpose::STANDARD.encode(other.as_bytes()).into();
    assert!(Cacerts::read(&broken).is_err(), "a key of another certificate");
}

#[test]
fn a_leaf_never_outlives_its_authority_and_leaf_signing_roots_get_no_authority_below_them() {
    let now: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let root = issue_root("shop", key(Algorithm::EcdsaP256), now, 10, [1; 16]).unwrap();
    let ca = intermediate(&root, "kind2", Algorithm::EcdsaP256, now);
    let end =
        |of: &Issued| failctl::pki::facts(&failctl::pki::certificates(&of.certificate).unwrap()[0]).unwrap().not_after;
    assert_eq!(end(&ca), end(&root), "two years were asked for, ten days are left");
    let year = SignedDuration::from_hours(24 * 365);
    let leaf = issue_workload(&ca, "spiffe://kind2/ns/a/sa/b", key(Algorithm::EcdsaP256), now, year, [2; 16]).unwrap();
    assert_eq!(end(&leaf), end(&root));
    let cluster = ClusterName::new("kind3").unwrap();
    let party = Intermediate { fleet: "shop", cluster: &cluster, trust_domain: "kind3", namespace: "istio-system" };
    let below = issue_intermediate(&party, key(Algorithm::EcdsaP256), &ca, now, 1, [3; 16]);
    assert!(below.err().unwrap().to_string().contains("path length 0"));
    // What a mesh makes for itself, and what openssl makes, may.
    for root in [
        issue_mesh_root("kind3", key(Algorithm::EcdsaP256), now, 10, [4; 16]).unwrap(),
        issue_self_signed("solo.io", key(Algorithm::EcdsaP256), now, 10, [4; 16]).unwrap(),
    ] {
        issue_intermediate(&party, key(Algorithm::EcdsaP256), &root, now, 1, [5; 16]).unwrap();
    }
}
