//! A root that the user brings. What comes in: a certificate and a key as PEM, the time. What goes out: an authority
//! that can sign for the fleet, or everything that stands against it. May not know: where the files lie.

use jiff::Timestamp;

use super::facts::{Facts, certificates, facts};
use super::issue::Issued;
use super::key::Key;
use crate::model::problem::Problem;

/// Takes a root. `meshes`: whether it must sign authorities, not leaves alone. `files`: what to call the two in
/// messages.
///
/// # Errors
/// Everything that stands against it.
pub fn brought(
    certificate: &str,
    key: &str,
    meshes: bool,
    files: (&str, &str),
    now: Timestamp,
) -> Result<Issued, Vec<Problem>> {
    let mut problems = Vec::new();
    let root = read(certificate, files.0, &mut problems);
    let key = private(key, files.1, &mut problems);
    if let Some(root) = &root {
        judge(root, meshes, files.0, now, &mut problems);
        if key.as_ref().is_some_and(|k| k.public() != root.public_key) {
            let what = format!("{} is not the key of {}", files.1, files.0);
            problems.push(Problem::error("FCK0105", what).hint("both must be the root's own"));
        }
    }
    match (root, key, problems.is_empty()) {
        (Some(root), Some(key), true) => Ok(Issued { certificate: pem(&root), key }),
        _ => Err(problems),
    }
}

fn pem(root: &Facts) -> String {
    use base64::Engine;
    let text = base64::engine::general_purpose::STANDARD.encode(&root.der);
    let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.extend(line.iter().map(|b| char::from(*b)));
        pem.push('\n');
    }
    pem + "-----END CERTIFICATE-----\n"
}

fn read(certificate: &str, file: &str, problems: &mut Vec<Problem>) -> Option<Facts> {
    let all = certificates(certificate).and_then(|all| all.iter().map(facts).collect::<Result<Vec<_>, _>>());
    match all {
        Err(e) => {
            problems.push(Problem::error("FCK0101", format!("{file}: {e}")));
            None
        }
        Ok(mut all) if all.len() == 1 => all.pop(),
        Ok(all) => {
            let what = format!("{file} holds {} certificates; a root is one", all.len());
            problems.push(Problem::error("FCK0121", what).hint("give the root alone, without what it signed"));
            None
        }
    }
}

fn private(key: &str, file: &str, problems: &mut Vec<Problem>) -> Option<Key> {
    // RFC 5958 (PKCS#8) and RFC 1421 (PKCS#1 and SEC1 as openssl writes them).
    if key.contains("BEGIN ENCRYPTED PRIVATE KEY") || key.contains("Proc-Type: 4,ENCRYPTED") {
        let what = format!("{file} is encrypted, and failctl asks for no passphrase");
        let hint = format!(
            "decrypt it first, into a file only you can read: umask 077; openssl pkey -in {file} -out root.key"
        );
        problems.push(Problem::error("FCK0122", what).hint(hint));
        return None;
    }
    match Key::read(key) {
        Ok(key) if key.is_ed25519() => {
            let what = format!("{file} is an Ed25519 key; what it signs, Envoy does not accept");
            problems.push(Problem::error("FCK0123", what).hint("take an ECDSA or RSA root"));
            None
        }
        Ok(key) => Some(key),
        Err(e) => {
            let hint = "PEM in the forms PKCS#8, PKCS#1 (RSA PRIVATE KEY) and SEC1 (EC PRIVATE KEY) is read";
            problems.push(Problem::error("FCK0115", format!("{file}: {e}")).hint(hint));
            None
        }
    }
}

fn judge(root: &Facts, meshes: bool, file: &str, now: Timestamp, problems: &mut Vec<Problem>) {
    let mut wrong = |code, what: String, hint: &str| problems.push(Problem::error(code, what).hint(hint));
    if !root.is_ca {
        let what = format!("{file} is no certificate authority (basicConstraints CA:TRUE is missing)");
        wrong("FCK0117", what, "nobody would accept what it signs");
    } else if !root.may_sign {
        let what = format!("{file} may not sign certificates (its key usage lacks keyCertSign)");
        wrong("FCK0117", what, "nobody would accept what it signs");
    }
    if root.subject != root.issuer {
        let what = format!("{file} is no root: {} signed it", root.issuer);
        wrong("FCK0121", what, "proxies verify up to a certificate that signed itself; give that one");
    }
    if now > root.not_after {
        let what = format!("{file} expired on {}", root.not_after.strftime("%Y-%m-%d"));
        wrong("FCK0102", what, "nothing it signs would be accepted");
    }
    if now < root.not_before {
        let what = format!("{file} is valid only from {}", root.not_before.strftime("%Y-%m-%d"));
        wrong("FCK0103", what, "nothing it signs would be accepted before");
    }
    if meshes && root.path_length == Some(0) {
        let what = format!("{file} may sign leaves only (pathlen:0), and each mesh needs an authority of its own");
        wrong("FCK0124", what, "a root with pathlen:1 or more, or without a path length, can sign those");
    }
}
