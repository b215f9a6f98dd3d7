//! Whom a listener lets in, as Envoy's RBAC filters: refusals first, then what is let in.

use serde_json::{Value, json};

use super::{extension, set};
use crate::routing::{Access, Grant, Need, Part, Text};

/// HTTP filters, in order; none where everybody is let in.
pub fn http(access: &Access) -> Vec<Value> {
    let kind = "envoy.extensions.filters.http.rbac.v3.RBAC";
    rules(access).map(|rules| extension("envoy.filters.http.rbac", kind, json!({ "rules": rules }))).collect()
}

/// Network filters, in order; none where everybody is let in.
pub fn tcp(access: &Access) -> Vec<Value> {
    let kind = "envoy.extensions.filters.network.rbac.v3.RBAC";
    let config = |rules| json!({ "rules": rules, "stat_prefix": "tcp." });
    rules(access).map(|rules| extension("envoy.filters.network.rbac", kind, config(rules))).collect()
}

fn rules(access: &Access) -> impl Iterator<Item = Value> {
    let deny = (!access.deny.is_empty()).then(|| one("DENY", &access.deny));
    let allow = access.allow.as_ref().map(|all| one("ALLOW", all));
    deny.into_iter().chain(allow)
}

fn one(action: &str, grants: &[Grant]) -> Value {
    let mut policies = json!({});
    for grant in grants {
        let policy = json!({
            "permissions": either(&grant.to, &PERMISSION, permission),
            "principals": either(&grant.from, &PRINCIPAL, principal)
        });
        set(&mut policies, &grant.name, Some(policy));
    }
    json!({ "action": action, "policies": policies })
}

/// How Envoy's messages put conditions together.
struct Words {
    or: &'static str,
    and: &'static str,
    not: &'static str,
    list: &'static str,
}

const PERMISSION: Words = Words { or: "or_rules", and: "and_rules", not: "not_rule", list: "rules" };
const PRINCIPAL: Words = Words { or: "or_ids", and: "and_ids", not: "not_id", list: "ids" };

/// One of these lists, each as a whole; without any, everything.
fn either(lists: &[Vec<Need>], words: &Words, one: fn(Part, &Text) -> Value) -> Vec<Value> {
    let need = |n: &Need| {
        let any: Vec<Value> = n.any_of.iter().map(|t| one(n.part, t)).collect();
        let met = json!({ words.or: { words.list: any } });
        if n.negated { json!({ words.not: met }) } else { met }
    };
    let whole = |list: &Vec<Need>| {
        let met: Vec<Value> = list.iter().map(need).collect();
        if met.is_empty() { json!({ "any": true }) } else { json!({ words.and: { words.list: met } }) }
    };
    if lists.is_empty() { vec![json!({ "any": true })] } else { lists.iter().map(whole).collect() }
}

fn principal(_: Part, text: &Text) -> Value {
    json!({ "authenticated": { "principal_name": matcher(text) } })
}

fn permission(part: Part, text: &Text) -> Value {
    let header = |name: &str| json!({ "header": { "name": name, "string_match": matcher(text) } });
    match (part, text) {
        (Part::Port, Text::Exact(port)) => json!({ "destination_port": port.parse::<u16>().unwrap_or_default() }),
        (Part::Method, _) => header(":method"),
        (Part::Host, _) => header(":authority"),
        (Part::Path, _) => json!({ "url_path": { "path": matcher(text) } }),
        (Part::Port | Part::Caller, _) => json!({ "any": true }),
    }
}

fn matcher(text: &Text) -> Value {
    match text {
        Text::Any => json!({ "safe_regex": { "regex": ".+" } }),
        Text::Exact(text) => json!({ "exact": text }),
        Text::Prefix(text) => json!({ "prefix": text }),
        Text::Suffix(text) => json!({ "suffix": text }),
        Text::Contains(text) => json!({ "contains": text }),
    }
}
