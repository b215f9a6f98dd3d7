//! Who may do what: Roles and ClusterRoles through their bindings; what is not granted is refused.
//! What comes in: a user, what is asked, the stored roles. What goes out: yes, or the sentence that says no. Pure.
//! Not here: the rule that nobody may grant more than they have.

use serde_json::Value;

use super::auth::User;
use super::store::Store;

/// What is asked.
#[derive(Clone, Debug, Default)]
pub struct Ask<'a> {
    /// `get`, `list`, `create` …
    pub verb: &'a str,
    /// API group.
    pub group: &'a str,
    /// Plural; empty for a path.
    pub resource: &'a str,
    /// Subresource; empty for the object itself.
    pub sub: &'a str,
    /// Name; empty for all.
    pub name: &'a str,
    /// Namespace; empty for cluster scope.
    pub namespace: &'a str,
    /// The path, when no resource is meant.
    pub path: &'a str,
}

impl Ask<'_> {
    /// `pods/log`.
    fn full(&self) -> String {
        if self.sub.is_empty() { self.resource.into() } else { format!("{}/{}", self.resource, self.sub) }
    }

    /// The sentence of a refusal, as kube-apiserver words it.
    pub fn refusal(&self, user: &User) -> String {
        let User { name, .. } = user;
        if self.resource.is_empty() {
            return format!("User \"{name}\" cannot {} path \"{}\"", self.verb, self.path);
        }
        let place = match self.namespace {
            "" => "at the cluster scope".to_string(),
            ns => format!("in the namespace \"{ns}\""),
        };
        let (verb, group, full) = (self.verb, self.group, self.full());
        format!("User \"{name}\" cannot {verb} resource \"{full}\" in API group \"{group}\" {place}")
    }

    fn allowed_by(&self, rule: &Value) -> bool {
        let texts = |field: &str| {
            let list = rule[field].as_array().map(Vec::as_slice).unwrap_or_default();
            list.iter().filter_map(Value::as_str).collect::<Vec<_>>()
        };
        let has = |field: &str, wanted: &str| texts(field).iter().any(|t| *t == "*" || *t == wanted);
        if !has("verbs", self.verb) {
            return false;
        }
        if self.resource.is_empty() {
            let covers = |url: &&str| match url.strip_suffix('*') {
                Some(prefix) => self.path.starts_with(prefix),
                None => *url == self.path,
            };
            return texts("nonResourceURLs").iter().any(covers);
        }
        let full = self.full();
        let any = format!("*/{}", self.sub);
        let resource =
            texts("resources").iter().any(|t| *t == "*" || *t == full || (!self.sub.is_empty() && *t == any));
        let names = texts("resourceNames");
        has("apiGroups", self.group) && resource && (names.is_empty() || names.contains(&self.name))
    }
}

fn names(subject: &Value, user: &User) -> bool {
    let name = subject["name"].as_str().unwrap_or_default();
    match subject["kind"].as_str() {
        Some("User") => name == user.name,
        Some("Group") => user.groups.iter().any(|g| g == name),
        Some("ServiceAccount") => {
            let namespace = subject["namespace"].as_str().unwrap_or_default();
            user.name == format!("system:serviceaccount:{namespace}:{name}")
        }
        _ => false,
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The rules of a role; those of an aggregated ClusterRole are the sum of the roles it selects.
fn rules_of(store: &Store, reference: &Value, namespace: &str) -> Vec<Value> {
    let name = reference["name"].as_str().unwrap_or_default();
    if reference["kind"] == "Role" {
        let role = store.get("roles.rbac.authorization.k8s.io", namespace, name);
        return role.map(|r| list(&r["rules"]).to_vec()).unwrap_or_default();
    }
    const TABLE: &str = "clusterroles.rbac.authorization.k8s.io";
    let Some(role) = store.get(TABLE, "", name) else { return Vec::new() };
    let mut rules = list(&role["rules"]).to_vec();
    for selector in list(&role["aggregationRule"]["clusterRoleSelectors"]) {
        let wanted = selector["matchLabels"].as_object();
        let meant =
            |r: &Value| wanted.is_some_and(|w| w.iter().all(|(k, v)| r["metadata"]["labels"].get(k) == Some(v)));
        rules.extend(store.list(TABLE, None).filter(|r| meant(r)).flat_map(|r| list(&r["rules"]).to_vec()));
    }
    rules
}

/// All rules that hold for a user in a namespace (empty: only those that hold everywhere).
pub fn rules(store: &Store, user: &User, namespace: &str) -> Vec<Value> {
    if user.groups.iter().any(|g| g == "system:masters") {
        return vec![
            serde_json::json!({"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}),
            serde_json::json!({"verbs": ["*"], "nonResourceURLs": ["*"]}),
        ];
    }
    let meant = |b: &Value| list(&b["subjects"]).iter().any(|s| names(s, user));
    let everywhere = store.list("clusterrolebindings.rbac.authorization.k8s.io", None);
    let here = store.list("rolebindings.rbac.authorization.k8s.io", Some(namespace));
    let here = here.filter(|_| !namespace.is_empty());
    let bindings = everywhere.chain(here).filter(|b| meant(b));
    bindings.flat_map(|b| rules_of(store, &b["roleRef"], namespace)).collect()
}

/// Whether a user may do what is asked.
pub fn allows(store: &Store, user: &User, ask: &Ask) -> bool {
    user.groups.iter().any(|g| g == "system:masters")
        || rules(store, user, ask.namespace).iter().any(|rule| ask.allowed_by(rule))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn store() -> Store {
        let mut store = Store::open(None, 10).unwrap();
        let role = json!({"metadata": {"namespace": "a", "name": "reader"}, "rules": [
            {"verbs": ["get", "list"], "apiGroups": [""], "resources": ["pods", "*/log"]},
            {"verbs": ["*"], "apiGroups": ["apps"], "resources": ["deployments"], "resourceNames": ["web"]}]});
        let binding = json!({"metadata": {"namespace": "a", "name": "b"}, "roleRef": {"kind": "Role", "name": "reader"},
            "subjects": [{"kind": "ServiceAccount", "namespace": "a", "name": "app"}]});
        store.put("roles.rbac.authorization.k8s.io", role).unwrap();
        store.put("rolebindings.rbac.authorization.k8s.io", binding).unwrap();
        store
    }

    #[test]
    fn only_what_is_granted_is_allowed_and_only_where() {
        let store = store();
        let user = User::known("system:serviceaccount:a:app", &[]);
        let ask = |verb, resource, sub, name, namespace| Ask { verb, resource, sub, name, namespace, ..Ask::default() };
        assert!(allows(&store, &user, &ask("list", "pods", "", "", "a")));
        assert!(allows(&store, &user, &ask("get", "pods", "log", "x", "a")));
        assert!(!allows(&store, &user, &ask("list", "pods", "", "", "b")));
        assert!(!allows(&store, &user, &ask("list", "pods", "", "", "")));
        assert!(!allows(&store, &user, &ask("create", "pods", "exec", "x", "a")));
        let scale = |name| Ask { group: "apps", ..ask("patch", "deployments", "", name, "a") };
        assert!(allows(&store, &user, &scale("web")));
        assert!(!allows(&store, &user, &scale("db")));
        assert_eq!(
            ask("list", "pods", "", "", "").refusal(&user),
            "User \"system:serviceaccount:a:app\" cannot list resource \"pods\" in API group \"\" at the cluster scope"
        );
    }
}
