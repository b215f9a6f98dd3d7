//! Which names Kubernetes accepts. Pure.

use serde_json::Value;

use super::super::kinds::Resource;
use super::super::status::Cause;

/// RFC 1123 label: lower-case letters, digits and `-`, at most 63.
pub fn is_label(name: &str) -> bool {
    let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (1..=63).contains(&name.len()) && name.chars().all(inner) && !name.starts_with('-') && !name.ends_with('-')
}

/// RFC 1123 subdomain: dot-separated labels, at most 253.
fn is_subdomain(name: &str) -> bool {
    let part = |p: &str| {
        let inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        !p.is_empty() && p.chars().all(inner) && !p.starts_with('-') && !p.ends_with('-')
    };
    (1..=253).contains(&name.len()) && name.split('.').all(part)
}

/// What is wrong with an object's name.
pub fn check(kind: &Resource, object: &Value) -> Vec<Cause> {
    let metadata = &object["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    let mut causes = Vec::new();
    let lax = kind.group == "rbac.authorization.k8s.io";
    let as_label = matches!((kind.group.as_str(), kind.kind.as_str()), ("", "Namespace" | "Service"));
    if name.is_empty() {
        causes.push(Cause::required("metadata.name", "name or generateName is required"));
    } else if lax && (name.contains(['/', '%']) || name == "." || name == "..") {
        causes.push(Cause::invalid("metadata.name", &metadata["name"], "may not contain '/' or '%'"));
    } else if as_label && !is_label(name) {
        let told = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start \
                    and end with an alphanumeric character";
        causes.push(Cause::invalid("metadata.name", &metadata["name"], told));
    } else if !lax && !as_label && !is_subdomain(name) {
        let told = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and \
                    must start and end with an alphanumeric character";
        causes.push(Cause::invalid("metadata.name", &metadata["name"], told));
    }
    causes
}

/// The end of a generated name: five characters that form no words, as Kubernetes draws them.
pub fn suffix() -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let draw = |_| char::from(LETTERS[rand::random_range(0..LETTERS.len())]);
    (0..5).map(draw).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_rfc_1123() {
        assert!(is_label("blue-pod") && !is_label("Blue") && !is_label("-x") && !is_label("a.b"));
        assert!(is_subdomain("a.b-c.d") && !is_subdomain("a..b") && !is_subdomain("x_y"));
        assert_eq!(suffix().len(), 5);
    }
}
