//! Which webhooks are asked about which write. Pure.
//! What comes in: stored configurations, a write. What goes out: webhooks, and whether they are concerned.
//!
//! As Kubernetes decides it, but for two things: rules match the version of the request only (`matchPolicy` makes no
//! difference), and `matchConditions` are not evaluated: a webhook that has some is asked without them being looked at.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Selector, SelectorExt as _};
use serde_json::Value;

use super::super::auth::User;
use super::super::kinds::{Resource, Sub};
use super::super::status::Status;

/// One write, as webhooks are told of it.
pub struct Asked {
    /// The kind in the request's version.
    pub kind: Arc<Resource>,
    /// The part of the object that is written.
    pub sub: Option<Sub>,
    /// CREATE or UPDATE.
    pub operation: &'static str,
    /// The object as it would be stored.
    pub object: Value,
    /// The object as it is stored.
    pub old: Option<Value>,
    /// Who writes.
    pub user: User,
    /// Whether nothing will be stored.
    pub dry_run: bool,
}

impl Asked {
    /// The object's name.
    pub fn name(&self) -> &str {
        self.object["metadata"]["name"].as_str().unwrap_or_default()
    }
}

/// One webhook of a configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Hook(Value);

impl Hook {
    /// The webhooks of a stored configuration, in their order.
    pub fn of(configuration: &Value) -> Vec<Hook> {
        configuration["webhooks"].as_array().into_iter().flatten().cloned().map(Hook).collect()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0["name"].as_str().unwrap_or_default()
    }

    /// Where it is.
    pub fn client(&self) -> &Value {
        &self.0["clientConfig"]
    }

    /// How long it may take.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.0["timeoutSeconds"].as_u64().unwrap_or(10))
    }

    /// Whether a write goes on when it cannot be asked.
    pub fn may_fail(&self) -> bool {
        self.0["failurePolicy"] == "Ignore"
    }

    /// Whether it may be asked about a dry run.
    pub fn harmless(&self) -> bool {
        matches!(self.0["sideEffects"].as_str(), Some("None" | "NoneOnDryRun"))
    }

    /// The refusal of a write because it could not be asked.
    pub fn failed(&self, why: &str) -> Status {
        let (name, why) = (self.name(), why);
        Status::internal(format!("failed calling webhook {name:?}: failed to call webhook: {why}"))
    }

    /// Whether its rules and its namespace selector mean this kind in this namespace. What is to be done does not
    /// count yet.
    pub fn wants(&self, kind: &Resource, sub: Option<Sub>, namespace: Option<&Value>) -> bool {
        let rules = self.0["rules"].as_array().into_iter().flatten();
        let of_kind = rules.into_iter().any(|rule| rule_means(rule, kind, sub));
        of_kind && namespace.is_none_or(|n| selects(&self.0["namespaceSelector"], n))
    }

    /// Whether it is to be asked about a write of a kind it wants.
    pub fn concerns(&self, asked: &Asked) -> bool {
        let rules = self.0["rules"].as_array().into_iter().flatten();
        let wanted = rules.into_iter().any(|rule| {
            rule_means(rule, &asked.kind, asked.sub) && any(&rule["operations"], |o| o == "*" || o == asked.operation)
        });
        // A namespace is in itself.
        let inside = !asked.kind.is("", "Namespace") || selects(&self.0["namespaceSelector"], &asked.object);
        let mut states = [Some(&asked.object), asked.old.as_ref()].into_iter().flatten();
        wanted && inside && states.any(|object| selects(&self.0["objectSelector"], object))
    }
}

fn any(list: &Value, mut means: impl FnMut(&str) -> bool) -> bool {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).any(&mut means)
}

fn rule_means(rule: &Value, kind: &Resource, sub: Option<Sub>) -> bool {
    let word = |list: &str, text: &str| any(&rule[list], |w| w == "*" || w == text);
    let scope = match rule["scope"].as_str() {
        Some("Namespaced") => kind.namespaced,
        Some("Cluster") => !kind.namespaced,
        _ => true,
    };
    let sub = sub.map(Sub::segment);
    let resource = any(&rule["resources"], |w| match (w.split_once('/'), sub) {
        (None, None) => w == "*" || w == kind.plural,
        (Some((of, part)), _) => {
            let part_means = part == "*" || sub == Some(part);
            (of == "*" || of == kind.plural) && part_means && (sub.is_some() || part == "*")
        }
        (None, Some(_)) => false,
    });
    word("apiGroups", &kind.group) && word("apiVersions", &kind.version) && resource && scope
}

/// Whether a label selector selects an object. One that cannot be read selects nothing.
fn selects(selector: &Value, object: &Value) -> bool {
    if selector.is_null() {
        return true;
    }
    let labels = object["metadata"]["labels"].as_object();
    let labels: BTreeMap<String, String> =
        labels.into_iter().flatten().filter_map(|(k, v)| Some((k.clone(), v.as_str()?.to_owned()))).collect();
    let read = serde_json::from_value::<LabelSelector>(selector.clone()).ok();
    read.and_then(|s| Selector::try_from(s).ok()).is_some_and(|s| s.matches(&labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::api::kinds::Registry;
    use serde_json::json;

    fn hook(rule: Value) -> Hook {
        Hook(json!({"name": "h.example.com", "rules": [rule],
            "namespaceSelector": {"matchLabels": {"istio-injection": "enabled"}},
            "objectSelector": {"matchExpressions": [
                {"key": "sidecar.istio.io/inject", "operator": "NotIn", "values": ["false"]}]}}))
    }

    fn pods(operation: &str) -> Value {
        json!({"operations": [operation], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]})
    }

    fn asked(operation: &'static str, labels: Value) -> Asked {
        let kind = Registry::new(std::iter::empty()).find("", "v1", "pods").unwrap();
        let object = json!({"metadata": {"name": "p", "labels": labels}});
        Asked { kind, sub: None, operation, object, old: None, user: User::admin(), dry_run: false }
    }

    #[test]
    fn rules_name_kinds_and_parts_of_them_with_stars() {
        let registry = Registry::new(std::iter::empty());
        let means = |resources: Value, plural: &str, group: &str, sub| {
            let rule = json!({"apiGroups": ["*"], "apiVersions": ["*"], "resources": resources});
            rule_means(&rule, &registry.find(group, "v1", plural).unwrap(), sub)
        };
        assert!(means(json!(["pods"]), "pods", "", None) && !means(json!(["pods"]), "services", "", None));
        assert!(means(json!(["*"]), "deployments", "apps", None));
        assert!(!means(json!(["*"]), "pods", "", Some(Sub::Status)));
        assert!(means(json!(["pods/status"]), "pods", "", Some(Sub::Status)));
        assert!(!means(json!(["pods/status"]), "pods", "", None));
        assert!(means(json!(["*/*"]), "pods", "", Some(Sub::Status)) && means(json!(["pods/*"]), "pods", "", None));
    }

    #[test]
    fn namespace_object_and_operation_must_all_be_meant() {
        let hook = hook(pods("CREATE"));
        let kind = asked("CREATE", json!({})).kind;
        let space = |value: &str| json!({"metadata": {"labels": {"istio-injection": value}}});
        assert!(hook.wants(&kind, None, Some(&space("enabled"))) && !hook.wants(&kind, None, Some(&space("disabled"))));
        assert!(hook.concerns(&asked("CREATE", json!({}))));
        assert!(!hook.concerns(&asked("UPDATE", json!({}))));
        assert!(!hook.concerns(&asked("CREATE", json!({"sidecar.istio.io/inject": "false"}))));
    }
}
