//! The `default` ServiceAccount of every namespace, and the tokens of Secrets made for ServiceAccounts.
//! What comes in: everything observed. What goes out: accounts to create, token Secrets to fill and delete.
//! May not know: clients, how tokens are made.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::kind::Kind;
use super::object::{annotation, deleting, name, namespace, text, uid};
use super::observed::Observed;
use super::runner::Pass;
use super::write::{Ref, Write};

/// What this controller reads.
pub const READS: &[Kind] = &[Kind::Namespace, Kind::ServiceAccount, Kind::Secret];

/// The type of Secrets that carry a ServiceAccount's token.
pub const TOKEN_TYPE: &str = "kubernetes.io/service-account-token";
/// Annotation naming the account.
pub const ACCOUNT: &str = "kubernetes.io/service-account.name";
/// Annotation with the account's uid, so that a token does not outlive its account.
const ACCOUNT_UID: &str = "kubernetes.io/service-account.uid";

/// One pass over all namespaces and token Secrets.
pub fn reconcile(seen: &Observed, _now: Timestamp) -> Pass {
    let mut writes = Vec::new();
    for space in seen.all(Kind::Namespace).filter(|n| !deleting(n) && text(n, "/status/phase") != "Terminating") {
        if seen.get(Kind::ServiceAccount, name(space), "default").is_none() {
            writes.push(Write::Create(json!({"apiVersion": "v1", "kind": "ServiceAccount",
                "metadata": {"name": "default", "namespace": name(space)}})));
        }
    }
    for secret in seen.all(Kind::Secret).filter(|s| s["type"] == TOKEN_TYPE && !deleting(s)) {
        writes.extend(token(secret, seen));
    }
    writes.into()
}

fn token(secret: &Value, seen: &Observed) -> Option<Write> {
    let of = Ref::to(Kind::Secret, secret);
    let account = annotation(secret, ACCOUNT)?;
    let found = seen.get(Kind::ServiceAccount, namespace(secret), account);
    let stamped = annotation(secret, ACCOUNT_UID);
    match (found, stamped) {
        // The account is gone, or another one took its name: its token goes with it.
        (None, Some(_)) => Some(Write::Delete(of)),
        (Some(a), Some(stamp)) if uid(a) != stamp => Some(Write::Delete(of)),
        (Some(a), None) => {
            let patch = json!({"metadata": {"annotations": {ACCOUNT_UID: uid(a)}}});
            Some(Write::Merge { of, subresource: None, patch })
        }
        (Some(_), Some(_)) if text(secret, "/data/token").is_empty() => {
            Some(Write::Token { secret: of, account: account.into() })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(objects: Vec<Value>) -> Vec<Write> {
        reconcile(&Observed::of(objects), "2026-01-01T00:00:00Z".parse().unwrap()).writes
    }

    fn account() -> Value {
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "fed", "namespace": "n", "uid": "1"}})
    }

    fn secret(stamp: Option<&str>) -> Value {
        let mut annotations = json!({ACCOUNT: "fed"});
        if let Some(stamp) = stamp {
            annotations[ACCOUNT_UID] = json!(stamp);
        }
        json!({"apiVersion": "v1", "kind": "Secret", "type": TOKEN_TYPE,
            "metadata": {"name": "fed-secret", "namespace": "n", "uid": "s", "annotations": annotations}})
    }

    #[test]
    fn every_living_namespace_gets_a_default_account() {
        let space = |name: &str, phase: &str| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}, "status": {"phase": phase}});
        let writes = run(vec![space("a", "Active"), space("b", "Terminating")]);
        assert!(matches!(&writes[..], [Write::Create(body)] if namespace(body) == "a"), "{writes:?}");
    }

    #[test]
    fn a_token_secret_is_stamped_then_filled_and_goes_with_its_account() {
        assert!(matches!(&run(vec![account(), secret(None)])[..], [Write::Merge { .. }]));
        assert!(
            matches!(&run(vec![account(), secret(Some("1"))])[..], [Write::Token { account, .. }] if account == "fed")
        );
        assert!(matches!(&run(vec![account(), secret(Some("0"))])[..], [Write::Delete(_)]));
        assert!(matches!(&run(vec![secret(Some("1"))])[..], [Write::Delete(_)]));
        assert_eq!(run(vec![secret(None)]), []);
    }
}
