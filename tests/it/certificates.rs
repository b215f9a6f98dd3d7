//! Certificates as others see them: openssl's strict verification, a real mutual TLS handshake, findings by code.

use std::process::Command;
use std::sync::Arc;

use failctl::model::name::ClusterName;
use failctl::pki::{Algorithm, Issued, Key, Party, Role, check_pair, check_side, issue_leaf, issue_root, keeps};
use jiff::Timestamp;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};

fn now() -> Timestamp {
    Timestamp::now()
}

fn party(cluster: &str, role: Role) -> Party {
    Party { cluster: ClusterName::new(cluster).unwrap(), role }
}

struct Set {
    root: Issued,
    server: Issued,
    client: Issued,
}

fn set(algorithm: Algorithm, at: Timestamp) -> Set {
    let key = || Key::generate(algorithm).unwrap();
    let root = issue_root("demo", key(), at, 3650, [1; 16]).unwrap();
    let server = issue_leaf("demo", &party("remote", Role::Server), key(), &root, at, 365, [2; 16]).unwrap();
    let client = issue_leaf("demo", &party("local", Role::Client), key(), &root, at, 365, [3; 16]).unwrap();
    Set { root, server, client }
}

fn codes(findings: &[failctl::pki::Finding]) -> Vec<&str> {
    findings.iter().map(|f| f.code).collect()
}

#[test]
fn openssl_verifies_every_chain_strictly_and_only_for_its_purpose() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Rsa2048] {
        let set = set(algorithm, now());
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let ca = file("ca.crt", &set.root.certificate);
        let leaves = [("server", &set.server.certificate), ("client", &set.client.certificate)];
        for (name, leaf) in leaves {
            let leaf = file(name, leaf);
            for purpose in ["server", "client"] {
                let out = Command::new("openssl")
                    .args(["verify", "-x509_strict", "-purpose", &format!("ssl{purpose}"), "-CAfile"])
                    .args([&ca, &leaf])
                    .output()
                    .expect("openssl is needed for this test");
                let text = String::from_utf8_lossy(&out.stdout).to_string() + &String::from_utf8_lossy(&out.stderr);
                assert_eq!(out.status.success(), purpose == name, "{algorithm:?} {name} as {purpose}: {text}");
            }
        }
    }
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn roots(pem: &str) -> Arc<rustls::RootCertStore> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(pem.as_bytes()).unwrap()).unwrap();
    Arc::new(roots)
}

fn identity(of: &Issued) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    let chain = CertificateDer::pem_slice_iter(of.certificate.as_bytes()).map(Result::unwrap).collect();
    (chain, PrivateKeyDer::from_pem_slice(of.key.pem().as_bytes()).unwrap())
}

/// A handshake over memory, and a byte each way: whether both sides accept.
fn handshake(server: &Issued, client: &Issued, server_trusts: &str, client_trusts: &str) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(roots(server_trusts), provider());
    let (chain, key) = identity(server);
    let acceptor = rustls::ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier.build().unwrap())
        .with_single_cert(chain, key)
        .unwrap();
    let (chain, key) = identity(client);
    let connector = rustls::ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots(client_trusts))
        .with_client_auth_cert(chain, key)
        .unwrap();
    runtime.block_on(async {
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let (near, far) = tokio::io::duplex(64 * 1024);
        let name = ServerName::try_from("remote.gateway.demo.failctl.internal").unwrap();
        let accept = async {
            let mut stream = tokio_rustls::TlsAcceptor::from(Arc::new(acceptor)).accept(far).await?;
            stream.write_all(b"!").await?;
            stream.read_u8().await
        };
        let connect = async {
            let mut stream = tokio_rustls::TlsConnector::from(Arc::new(connector)).connect(name, near).await?;
            let byte = stream.read_u8().await?;
            stream.write_all(b"?").await?;
            Ok::<_, std::io::Error>(byte)
        };
        let (a, c) = tokio::join!(accept, connect);
        a.map_err(|e| format!("server: {e}"))?;
        c.map_err(|e| format!("client: {e}"))?;
        Ok(())
    })
}

#[test]
fn both_sides_shake_hands_and_a_wrong_root_is_refused_on_either_side() {
    for algorithm in [Algorithm::EcdsaP256, Algorithm::Rsa2048] {
        let (ours, other) = (set(algorithm, now()), set(algorithm, now()));
        let (ca, wrong) = (ours.root.certificate.as_str(), other.root.certificate.as_str());
        handshake(&ours.server, &ours.client, ca, ca).unwrap();
        assert!(handshake(&ours.server, &ours.client, wrong, ca).is_err(), "the server must refuse a strange client");
        assert!(handshake(&ours.server, &ours.client, ca, wrong).is_err(), "the client must refuse a strange server");
        assert!(handshake(&ours.client, &ours.client, ca, ca).is_err(), "a client certificate is no server's");
    }
}

#[test]
fn findings_have_codes_for_what_stops_a_handshake() {
    let at: Timestamp = "2026-03-01T00:00:00Z".parse().unwrap();
    let days = |n: i64| jiff::SignedDuration::from_hours(24 * n);
    let (set, other) = (set(Algorithm::EcdsaP256, at), set(Algorithm::EcdsaP256, at));
    let (ca, leaf) = (set.root.certificate.as_str(), set.server.certificate.as_str());
    let server = party("remote", Role::Server);
    assert!(keeps(Role::Server, &server.dns("demo"), leaf, &set.server.key, ca, at).is_ok());
    let of = |ca: &str, key: &Key, name: &str, at: Timestamp| {
        let findings = check_side(Role::Server, leaf, ca, Some(key), Some(name), at);
        findings.iter().map(|f| f.code).collect::<Vec<_>>()
    };
    let name = server.dns("demo");
    assert_eq!(of(ca, &set.server.key, &name, at), [""; 0]);
    assert_eq!(of(ca, &set.server.key, &name, at + days(366)), ["FCK0102"]);
    assert_eq!(of(ca, &set.server.key, &name, at - days(1)), ["FCK0103"]);
    assert_eq!(of(ca, &set.server.key, &name, at + days(350)), ["FCK0111"]);
    assert_eq!(of(ca, &set.client.key, &name, at), ["FCK0105"]);
    assert_eq!(of("", &set.server.key, &name, at), ["FCK0106"]);
    assert_eq!(of(ca, &set.server.key, "someone.else", at), ["FCK0108"]);
    assert_eq!(of(&other.root.certificate, &set.server.key, &name, at), ["FCK0104"]);
    let wrong_role = check_side(Role::Client, leaf, ca, None, None, at);
    assert_eq!(codes(&wrong_role), ["FCK0109"]);
    let client = set.client.certificate.as_str();
    assert_eq!(codes(&check_pair((leaf, ca), (client, ca), at)), [""; 0]);
    assert_eq!(codes(&check_pair((leaf, ca), (client, &other.root.certificate), at)), ["FCK0107"]);
    assert_eq!(codes(&check_pair((leaf, &other.root.certificate), (client, ca), at)), ["FCK0110"]);
}

#[test]
fn the_guides_own_certificates_pass_with_warnings() {
    let dir = tempfile::tempdir().unwrap();
    let pem = |name: &str| {
        let path = dir.path().join(name);
        let out = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-days", "365", "-newkey", "rsa:2048", "-subj", "/CN=solo.io", "-keyout"])
            .arg(dir.path().join(format!("{name}.key")))
            .arg("-out")
            .arg(&path)
            .output()
            .expect("openssl is needed for this test");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        std::fs::read_to_string(&path).unwrap()
    };
    let (server, client) = (pem("tls.crt"), pem("mtls.crt"));
    let findings = check_side(Role::Server, &server, &client, None, None, now());
    assert_eq!(codes(&findings), ["FCK0108", "FCK0104"]);
    let findings = check_side(Role::Client, &client, "", None, None, now());
    assert_eq!(codes(&findings), ["FCK0108", "FCK0106"]);
    assert_eq!(codes(&check_pair((&server, &client), (&client, ""), now())), [""; 0]);
}

#[test]
fn algorithms_that_envoy_cannot_use_are_refused_with_the_reason() {
    for (word, part) in
        [("ed25519", "Envoy refuses Ed25519"), ("ecdsa-p384", "TLS 1.2"), ("rsa", "rsa-2048"), ("dsa", "none of")]
    {
        let why = Algorithm::parse(word).unwrap_err();
        assert!(why.contains(part), "{word}: {why}");
    }
    assert_eq!(Algorithm::parse("rsa-4096"), Ok(Algorithm::Rsa4096));
}

#[test]
fn a_root_that_is_none_or_not_ours_signs_nothing() {
    let set = set(Algorithm::EcdsaP256, now());
    let key = || Key::generate(Algorithm::EcdsaP256).unwrap();
    let mixed = Issued { certificate: set.root.certificate.clone(), key: key() };
    let leaf = issue_leaf("demo", &party("local", Role::Client), key(), &mixed, now(), 1, [9; 16]);
    assert_eq!(leaf.err().unwrap().to_string(), "the root's private key does not belong to its certificate");
    let no_ca = Issued { certificate: set.server.certificate.clone(), key: key() };
    let leaf = issue_leaf("demo", &party("local", Role::Client), key(), &no_ca, now(), 1, [9; 16]);
    assert_eq!(leaf.err().unwrap().to_string(), "the root is no certificate authority");
}
