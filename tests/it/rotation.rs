//! Certificates of a fleet with gateways and meshes: what is made and installed, roots that users bring, what status
//! says, and a root replaced while real TLS handshakes between everybody go on.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use failctl::pki::{Algorithm, Cacerts, Key, chained, issue_root, issue_workload};
use jiff::{SignedDuration, Timestamp};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};

use crate::support::fleet::{COLOR, Fault, Ground};

const FLEET: &str = "apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  clusters:
  - name: local
    context: gloo-fed
    gloo: {edition: enterprise, version: 1.18.3, federation: {}}
    istio: {version: 1.27.0}
    trustDomain: kind2
  - name: remote
    context: gloo-fed-2
    gloo: {edition: open-source, version: 1.18.3}
    istio: {version: 1.27.0}
    trustDomain: kind3
";

fn ground() -> Ground {
    let ground = Ground::new();
    ground.write("failctl.yaml", &format!("{FLEET}---\n{COLOR}"));
    for (cluster, own, other) in [("local", "kind2", "kind3"), ("remote", "kind3", "kind2")] {
        ground.put(cluster, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}));
        ground.put(
            cluster,
            json!({"apiVersion": "v1", "kind": "ConfigMap",
            "metadata": {"name": "istio", "namespace": "istio-system"},
            "data": {"mesh": format!("trustDomain: {own}\ntrustDomainAliases:\n- {other}\n")}}),
        );
    }
    ground
}

fn secret(ground: &Ground, cluster: &str, namespace: &str, name: &str) -> Value {
    let path = format!("/api/v1/namespaces/{namespace}/secrets/{name}");
    ground.ask(cluster, "GET", &path, "application/json", None)
}

/// One end of a connection: who it is, and whom it trusts.
#[derive(Clone)]
struct End {
    what: String,
    chain: String,
    key: String,
    roots: String,
}

/// What a gateway has.
fn gateway(ground: &Ground, cluster: &str, name: &str) -> End {
    let secret = secret(ground, cluster, "gloo-system", name);
    let text = |k: &str| {
        let bytes = base64::engine::general_purpose::STANDARD.decode(secret["data"][k].as_str().unwrap()).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    End { what: format!("{cluster} {name}"), chain: text("tls.crt"), key: text("tls.key"), roots: text("ca.crt") }
}

/// What a workload gets from its mesh's authority now.
fn workload(ground: &Ground, cluster: &str, domain: &str) -> End {
    let cacerts = Cacerts::read(&secret(ground, cluster, "istio-system", "cacerts")).unwrap();
    let spiffe = format!("spiffe://{domain}/ns/default/sa/app");
    let key = Key::generate(Algorithm::EcdsaP256).unwrap();
    let day = SignedDuration::from_hours(24);
    let leaf = issue_workload(&cacerts.authority, &spiffe, key, Timestamp::now(), day, rand::random()).unwrap();
    let chain = chained(&leaf.certificate, &cacerts.chain).unwrap();
    End { what: format!("{cluster} workload"), chain, key: leaf.key.pem().to_string(), roots: cacerts.roots }
}

fn ends(ground: &Ground) -> (Vec<End>, Vec<End>) {
    let gateways =
        vec![gateway(ground, "local", "failover-upstream"), gateway(ground, "remote", "failover-downstream")];
    (gateways, vec![workload(ground, "local", "kind2"), workload(ground, "remote", "kind3")])
}

/// A client that checks chains as a mesh does: the root, not the name.
#[derive(Debug)]
struct Chains(Vec<CertificateDer<'static>>, CryptoProvider);

impl ServerCertVerifier for Chains {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let anchors: Vec<_> = self.0.iter().map(|c| webpki::anchor_from_trusted_cert(c).unwrap()).collect();
        let end = webpki::EndEntityCert::try_from(leaf).map_err(|e| rustls::Error::General(e.to_string()))?;
        let usage = webpki::KeyUsage::server_auth();
        end.verify_for_usage(webpki::ALL_VERIFICATION_ALGS, &anchors, chain, now, usage, None, None)
            .map(|_| ServerCertVerified::assertion())
            .map_err(|e| rustls::Error::General(e.to_string()))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.1.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.1.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.1.signature_verification_algorithms.supported_schemes()
    }
}

fn ders(pem: &str) -> Vec<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).map(Result::unwrap).collect()
}

/// A real handshake in memory, both sides verifying; why it failed, if it did.
fn handshake(server: &End, client: &End) -> Result<(), String> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = |end: &End| PrivateKeyDer::from_pem_slice(end.key.as_bytes()).unwrap();
    let mut roots = rustls::RootCertStore::empty();
    ders(&server.roots).into_iter().for_each(|c| roots.add(c).unwrap());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let accepts = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(ders(&server.chain), key(server))
        .unwrap();
    let verifier = Arc::new(Chains(ders(&client.roots), aws_lc_rs::default_provider()));
    let connects = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_auth_cert(ders(&client.chain), key(client))
        .unwrap();
    let mut server = rustls::ServerConnection::new(Arc::new(accepts)).unwrap();
    let mut client = rustls::ClientConnection::new(Arc::new(connects), "x.test".try_into().unwrap()).unwrap();
    for _ in 0..10 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            server.read_tls(&mut rest).unwrap();
            server.process_new_packets().map_err(|e| format!("the server: {e}"))?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            client.read_tls(&mut rest).unwrap();
            client.process_new_packets().map_err(|e| format!("the client: {e}"))?;
        }
    }
    if server.is_handshaking() || client.is_handshaking() { Err("no end".into()) } else { Ok(()) }
}

/// Gateways with each other's opposite end, workloads with each other, in both directions: as they are, and as those
/// are that have not been told of the last step yet.
fn everybody_talks(when: &str, now: &(Vec<End>, Vec<End>), before: &(Vec<End>, Vec<End>)) {
    let mut count = 0;
    for (client, server) in [(&now.0[0], &now.0[1]), (&before.0[0], &now.0[1]), (&now.0[0], &before.0[1])] {
        handshake(server, client).unwrap_or_else(|e| panic!("{when}: {} → {}: {e}", client.what, server.what));
        count += 1;
    }
    let workloads: Vec<&End> = now.1.iter().chain(&before.1).collect();
    for client in &workloads {
        for server in &workloads {
            handshake(server, client).unwrap_or_else(|e| panic!("{when}: {} → {}: {e}", client.what, server.what));
            count += 1;
        }
    }
    assert_eq!(count, 19);
}

fn root_of(ground: &Ground) -> String {
    std::fs::read_to_string(ground.dir.path().join("failctl-certs/ca.crt")).unwrap()
}

const ROTATE: [&str; 5] = ["certs", "rotate", "--after", "0s", "--yes"];

#[test]
fn a_root_is_replaced_while_everybody_talks_whatever_is_killed_on_the_way() {
    let ground = ground();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    let old = root_of(&ground);
    let mut before = ends(&ground);
    everybody_talks("before", &before, &before);
    let begin = ["certs", "rotate", "--begin", "--after", "0s", "--yes"];
    for step in 1..=3 {
        let args = if step == 1 { &begin[..] } else { &ROTATE[..] };
        // Killed in its first write: the backup's cluster has begun to take the step, the primary's has not.
        ground.clusters["remote"].fault(Fault::Hang(1));
        let mut child = ground.start(args);
        ground.until("the write that hangs", || ground.clusters["remote"].hangs());
        std::thread::sleep(std::time::Duration::from_millis(100));
        child.kill().unwrap();
        child.wait().unwrap();
        ground.clusters["remote"].fault(Fault::None);
        ground.clusters["remote"].break_hung();
        everybody_talks(&format!("step {step}, killed on the way"), &ends(&ground), &before);
        let ran = ground.ok(&ROTATE);
        assert!(ran.err.contains(&format!("step {step} of 3")), "{}", ran.err);
        let now = ends(&ground);
        everybody_talks(&format!("after step {step}"), &now, &before);
        before = now;
        if step < 3 {
            assert_eq!(ground.run(&["certs", "generate"]).code, Some(3), "nothing disturbs it");
            assert_eq!(ground.run(&["certs", "install", "--yes"]).code, Some(3));
            let status = ground.run(&["certs", "status"]);
            assert_eq!(status.code, Some(0), "{}{}", status.out, status.err);
            assert!(status.err.contains("a root is being replaced"), "{}", status.err);
        }
    }
    let new = root_of(&ground);
    assert_ne!(old, new);
    for end in before.0.iter().chain(&before.1) {
        assert_eq!(end.roots.trim(), new.trim(), "{} trusts the new root alone", end.what);
    }
    assert!(!ground.dir.path().join("failctl-certs/next").exists());
    assert_eq!(ground.run(&["certs", "status"]).code, Some(0));
    ground.ok(&["certs", "generate"]);
    let again = ground.ok(&["certs", "install", "--yes"]);
    assert!(again.out.contains("unchanged") && !again.out.contains("\nchanged"), "{}", again.out);
    let idle = ground.ok(&["certs", "rotate"]);
    assert!(idle.err.contains("--begin starts"), "{}", idle.err);
}

#[test]
fn a_rotation_waits_for_workloads_and_for_clusters_that_do_not_answer() {
    let ground = ground();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["certs", "rotate", "--begin", "--yes"]);
    let early = ground.run(&["certs", "rotate", "--yes"]);
    assert_eq!(early.code, Some(5), "{}", early.err);
    assert!(early.err.contains("too early") && early.err.contains("--after 0s"), "{}", early.err);
    ground.stop("remote");
    let away = ground.run(&ROTATE);
    assert_eq!(away.code, Some(4), "{}", away.err);
    assert!(away.err.contains("remote cannot be asked"), "{}", away.err);
}

#[test]
fn a_mesh_is_never_cut_in_two_by_an_install() {
    let ground = ground();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["certs", "generate", "--renew-root"]);
    let ran = ground.run(&["certs", "install", "--yes"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("FCK0119") && ran.err.contains("certs rotate --begin"), "{}", ran.err);
    ground.ok(&["certs", "install", "--yes", "--force"]);
    // What made failovers go leaves a mesh's trust alone.
    ground.ok(&["delete", "--all", "--yes"]);
    Cacerts::read(&secret(&ground, "local", "istio-system", "cacerts")).unwrap();
}

#[test]
fn status_names_the_pairs_of_meshes_that_cannot_talk() {
    let ground = ground();
    ground.ok(&["certs", "generate"]);
    let nothing = ground.run(&["certs", "status"]);
    assert_eq!(nothing.code, Some(1));
    assert!(nothing.out.contains("istiod signs with a root of its own"), "{}", nothing.out);
    ground.ok(&["certs", "install", "--yes"]);
    assert_eq!(ground.run(&["certs", "status"]).code, Some(0));
    // Another root on one side.
    let other =
        issue_root("shop", Key::generate(Algorithm::EcdsaP256).unwrap(), Timestamp::now(), 10, [3; 16]).unwrap();
    let encoded = base64::engine::general_purpose::STANDARD.encode(&other.certificate);
    let path = "/api/v1/namespaces/istio-system/secrets/cacerts";
    let patch = json!({"data": {"root-cert.pem": encoded}});
    ground.ask("remote", "PATCH", path, "application/merge-patch+json", Some(patch));
    let ran = ground.run(&["certs", "status", "-o", "json"]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    let codes = |from: &str, to: &str| -> Vec<String> {
        let pairs = report["pairs"].as_array().unwrap().iter();
        let found =
            pairs.filter(|p| p["from"] == from && p["to"] == to).flat_map(|p| p["findings"].as_array().unwrap());
        found.map(|f| f["code"].as_str().unwrap().to_string()).collect()
    };
    assert_eq!(codes("local", "remote"), ["FCK0110"], "remote's servers refuse local's callers");
    assert_eq!(codes("remote", "local"), ["FCK0107"], "remote's callers refuse local's servers");
    ground.ok(&["certs", "install", "--yes", "--force"]);
    // A trust domain that is not taken: a warning as long as no failover needs the pair.
    let config = "/api/v1/namespaces/istio-system/configmaps/istio";
    let patch = json!({"data": {"mesh": "trustDomain: kind3\n"}});
    ground.ask("remote", "PATCH", config, "application/merge-patch+json", Some(patch));
    let ran = ground.run(&["certs", "status"]);
    assert!(ran.code == Some(0) && ran.out.contains("warning[FCK0120]: local → remote"), "{}", ran.out);
    let reviews = COLOR.replace("  route: {hosts: [\"*\"], prefix: /}\n", "  target: istioAggregate\n").replace(
        "activeHealthCheck: {path: /health, interval: 1s, timeout: 1s}",
        "outlierDetection: {consecutive5xx: 1}",
    );
    ground.write("failctl.yaml", &format!("{FLEET}---\n{}", reviews.replace("name: color", "name: reviews")));
    let ran = ground.run(&["certs", "status"]);
    assert!(ran.code == Some(1) && ran.out.contains("error[FCK0120]: local → remote"), "{}{}", ran.out, ran.err);
    // Unknown is never green.
    ground.ask("remote", "DELETE", config, "application/json", None);
    let ran = ground.run(&["certs", "status"]);
    assert!(ran.code == Some(8) && ran.out.contains("FCK0116"), "{}", ran.out);
}

#[test]
fn gloo_gets_an_identity_in_the_mesh_from_the_meshs_own_authority() {
    let ground = ground();
    let fleet = FLEET
        .replace("trustDomain: kind2", "trustDomain: kind2\n    gateway: {host: 192.0.2.2}")
        .replace("trustDomain: kind3", "trustDomain: kind3\n    gateway: {host: 192.0.2.3}");
    let failover = COLOR.replace(
        "{name: remote, service: {name: service-green}}",
        "{name: remote, service: {name: service-green}, serviceAccount: green}",
    );
    ground.write("failctl.yaml", &format!("{fleet}---\n{failover}  mesh: {{identity: true}}\n"));
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    let (_, workloads) = ends(&ground);
    for (cluster, domain) in [("local", "kind2"), ("remote", "kind3")] {
        let gloo = gateway(&ground, cluster, "failctl-mesh-identity");
        let leaf = failctl::pki::facts(&ders(&gloo.chain)[0]).unwrap();
        assert_eq!(leaf.names, [format!("spiffe://{domain}/ns/gloo-system/sa/gateway-proxy")]);
        for workload in &workloads {
            handshake(workload, &gloo).unwrap_or_else(|e| panic!("{cluster} → {}: {e}", workload.what));
        }
    }
    assert_eq!(ground.run(&["certs", "status"]).code, Some(0));
    // A new authority is followed by a new identity.
    std::fs::remove_file(ground.dir.path().join("failctl-certs/local/istio-ca.crt")).unwrap();
    let ran = ground.ok(&["certs", "generate"]);
    assert!(ran.out.contains("the authority of its mesh is new"), "{}", ran.out);
}

fn openssl(dir: &Path, line: &str) {
    let out = Command::new("bash").args(["-c", line]).current_dir(dir).output().expect("bash");
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn a_root_of_ones_own_is_read_in_every_form_and_refused_when_it_cannot_do_its_work() {
    let ground = ground();
    let dir = ground.dir.path();
    let ca = "-addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign";
    openssl(
        dir,
        "openssl genrsa -out pkcs8.key 2048 && openssl rsa -in pkcs8.key -traditional -out pkcs1.key && \
        openssl ecparam -name prime256v1 -genkey -noout -out sec1.key && openssl genpkey -algorithm ed25519 -out ed.key && \
        openssl pkcs8 -topk8 -in pkcs8.key -passout pass:x -out enc8.key && openssl rsa -in pkcs8.key -traditional -aes256 -passout pass:x -out enc1.key",
    );
    for (key, crt) in [("pkcs8", "rsa"), ("sec1", "ec"), ("ed", "ed")] {
        openssl(
            dir,
            &format!(
                "openssl req -x509 -new -key {key}.key -subj '/O=Corp/CN=Corp Root' -days 900 {ca} -out {crt}.crt"
            ),
        );
    }
    openssl(
        dir,
        "openssl req -x509 -new -key pkcs8.key -subj /CN=leaf -days 9 -addext basicConstraints=CA:FALSE -out leaf.crt && \
        openssl req -x509 -new -key pkcs8.key -subj /CN=short -days 9 -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign -out short.crt && \
        openssl req -new -key sec1.key -subj /CN=below -out below.csr && printf 'basicConstraints=CA:TRUE' > ext && \
        openssl x509 -req -in below.csr -CA rsa.crt -CAkey pkcs8.key -days 9 -extfile ext -out below.crt && cat rsa.crt ec.crt > two.crt",
    );
    let past: Timestamp = "2020-01-01T00:00:00Z".parse().unwrap();
    let expired = issue_root("shop", Key::generate(Algorithm::EcdsaP256).unwrap(), past, 10, [3; 16]).unwrap();
    ground.write("expired.crt", &expired.certificate);
    ground.write("expired.key", &expired.key.pem());
    for (n, (crt, key)) in [("rsa", "pkcs8"), ("rsa", "pkcs1"), ("ec", "sec1")].into_iter().enumerate() {
        let (crt, key, to) = (format!("{crt}.crt"), format!("{key}.key"), format!("own{n}"));
        let args = ["certs", "generate", "--root-cert", &crt, "--root-key", &key, "--dir", &to];
        ground.ok(&args);
        let again = ground.ok(&args);
        assert!(!again.out.contains("renewed") && !again.out.contains("created"), "{}", again.out);
        ground.ok(&["certs", "generate", "--dir", &to]);
        assert_eq!(ground.run(&["certs", "status", "--disk", "--dir", &to]).code, Some(0));
        openssl(
            &dir.join(&to),
            "openssl verify -x509_strict -purpose sslserver -CAfile ca.crt remote/server.crt && \
            openssl verify -x509_strict -CAfile ca.crt remote/istio-ca.crt && \
            openssl verify -x509_strict -purpose sslclient -CAfile ca.crt -untrusted local/istio-ca.crt local/mesh-identity.crt",
        );
    }
    for (name, crt, key) in [
        ("encrypted_pkcs8", "rsa", "enc8"),
        ("encrypted_pkcs1", "rsa", "enc1"),
        ("no_authority", "leaf", "pkcs8"),
        ("no_room", "short", "pkcs8"),
        ("no_root", "below", "sec1"),
        ("two", "two", "pkcs8"),
        ("expired", "expired", "expired"),
        ("another_key", "rsa", "sec1"),
        ("ed25519", "ed", "ed"),
        ("no_key", "rsa", "rsa.crt"),
        ("no_certificate", "pkcs8.key", "pkcs8"),
    ] {
        let crt = if crt.contains('.') { crt.to_string() } else { format!("{crt}.crt") };
        let key = if key.contains('.') { key.to_string() } else { format!("{key}.key") };
        let args = ["certs", "generate", "--root-cert", &crt, "--root-key", &key, "--dir", "refused"];
        let ran = ground.golden(&format!("certs_root_{name}"), &args);
        assert_eq!(ran.code, Some(3), "{name}: {}", ran.err);
        assert!(!dir.join("refused/ca.crt").exists(), "{name}: nothing is half-applied");
    }
    let ran = ground.run(&["certs", "generate", "--root-cert", "ec.crt", "--root-key", "sec1.key", "--dir", "own0"]);
    assert!(ran.code == Some(3) && ran.err.contains("certs rotate --begin --root-cert"), "{}", ran.err);
    assert_eq!(ground.run(&["certs", "generate", "--root-cert", "ec.crt"]).code, Some(2));
}

#[test]
fn one_goes_over_to_a_root_of_ones_own_without_an_outage() {
    let ground = ground();
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    openssl(
        ground.dir.path(),
        "openssl ecparam -name prime256v1 -genkey -noout -out corp.key && openssl req -x509 -new -key corp.key \
        -subj '/O=Corp/CN=Corp Root' -days 900 -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign -out corp.crt",
    );
    let mut before = ends(&ground);
    ground.ok(&[
        "certs",
        "rotate",
        "--begin",
        "--root-cert",
        "corp.crt",
        "--root-key",
        "corp.key",
        "--after",
        "0s",
        "--yes",
    ]);
    for step in 1..=3 {
        let now = ends(&ground);
        everybody_talks(&format!("step {step}"), &now, &before);
        before = now;
        ground.ok(&ROTATE);
    }
    assert_eq!(root_of(&ground), std::fs::read_to_string(ground.dir.path().join("corp.crt")).unwrap());
    assert_eq!(ground.run(&["certs", "status"]).code, Some(0));
}
