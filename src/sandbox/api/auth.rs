//! Who is asking: bearer tokens of the administrator, of configured users and of ServiceAccounts; impersonation.
//! What comes in: headers and the stored objects. What goes out: a [`User`], or 401.
//! A ServiceAccount's token dies with its expiry, its ServiceAccount, and the Secret or Pod it is bound to.

use std::collections::BTreeMap;

use http::{HeaderMap, header};
use serde_json::{Value, json};

use super::http::text;
use super::identity::Identity;
use super::status::Status;
use super::store::Store;

/// The audience of tokens meant for this API.
pub const AUDIENCE: &str = "https://kubernetes.default.svc.cluster.local";

/// Who is asking.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// Name, for example `system:serviceaccount:default:app`.
    pub name: String,
    /// Stable id, where there is one.
    pub uid: Option<String>,
    /// Groups, `system:authenticated` included.
    pub groups: Vec<String>,
    /// More about the user, such as the token's id.
    pub extra: BTreeMap<String, Vec<String>>,
}

impl User {
    /// The administrator: everything is allowed.
    pub fn admin() -> User {
        User::known("kubernetes-admin", &["system:masters"])
    }

    /// Somebody with a name and groups.
    pub fn known(name: &str, groups: &[&str]) -> User {
        let groups = groups.iter().copied().chain(["system:authenticated"]).map(Into::into).collect();
        User { name: name.into(), groups, ..User::default() }
    }

    /// Nobody in particular.
    pub fn anonymous() -> User {
        User { name: "system:anonymous".into(), groups: vec!["system:unauthenticated".into()], ..User::default() }
    }

    /// As reviews show it.
    pub fn info(&self) -> Value {
        let mut info = json!({"username": self.name, "groups": self.groups});
        if let Some(uid) = &self.uid {
            info["uid"] = uid.clone().into();
        }
        if !self.extra.is_empty() {
            info["extra"] = json!(self.extra);
        }
        info
    }
}

/// What is needed to tell who is asking.
pub struct Known<'a> {
    /// The server's own secrets.
    pub identity: &'a Identity,
    /// Users by token, from the configuration.
    pub users: &'a BTreeMap<String, User>,
    /// ServiceAccounts, Secrets, Pods.
    pub store: &'a Store,
    /// Now.
    pub now: jiff::Timestamp,
}

impl Known<'_> {
    /// The user of a request.
    ///
    /// # Errors
    /// 401 when a token is given and not known (or no longer).
    pub fn user(&self, headers: &HeaderMap) -> Result<User, Status> {
        let authorization = text(headers, header::AUTHORIZATION);
        if authorization.is_empty() {
            return Ok(User::anonymous());
        }
        let token = authorization.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
        let (_, token) = token.ok_or_else(Status::unauthorized)?;
        self.owner(token.trim(), &[AUDIENCE]).map(|(user, _)| user).ok_or_else(Status::unauthorized)
    }

    /// Whose token this is, and for which of the wanted audiences.
    pub fn owner(&self, token: &str, audiences: &[&str]) -> Option<(User, Vec<String>)> {
        let wanted = || audiences.iter().map(|a| a.to_string()).collect();
        if token == self.identity.token() {
            return Some((User::admin(), wanted()));
        }
        if let Some(user) = self.users.get(token) {
            return Some((user.clone(), wanted()));
        }
        let claims = self.identity.verify(token)?;
        if claims["exp"].as_i64().is_some_and(|exp| exp <= self.now.as_second()) {
            return None;
        }
        let meant = claims["aud"].as_array().map(Vec::as_slice).unwrap_or_default();
        let meant: Vec<String> = meant.iter().filter_map(Value::as_str).map(Into::into).collect();
        let shared: Vec<String> = meant.into_iter().filter(|a| audiences.contains(&a.as_str())).collect();
        if shared.is_empty() {
            return None;
        }
        self.service_account(&claims, token).map(|user| (user, shared))
    }

    fn service_account(&self, claims: &Value, token: &str) -> Option<User> {
        let bound = &claims["kubernetes.io"];
        let namespace = bound["namespace"].as_str()?;
        let alive = |table: &str, part: &Value| {
            let object = self.store.get(table, namespace, part["name"].as_str()?)?;
            (object["metadata"]["uid"] == part["uid"]).then_some(object)
        };
        alive("serviceaccounts", &bound["serviceaccount"])?;
        if bound["pod"].is_object() {
            alive("pods", &bound["pod"])?;
        }
        if bound["secret"].is_object() {
            let secret = alive("secrets", &bound["secret"])?;
            use base64::Engine;
            let kept = secret["data"]["token"].as_str().and_then(|t| base64::prelude::BASE64_STANDARD.decode(t).ok());
            if claims["exp"].is_null() && kept.as_deref() != Some(token.as_bytes()) {
                return None;
            }
        }
        let name = bound["serviceaccount"]["name"].as_str()?;
        let groups = ["system:serviceaccounts".to_string(), format!("system:serviceaccounts:{namespace}")];
        let mut user =
            User::known(&format!("system:serviceaccount:{namespace}:{name}"), &groups.each_ref().map(|g| g.as_str()));
        user.uid = bound["serviceaccount"]["uid"].as_str().map(Into::into);
        if let Some(id) = claims["jti"].as_str() {
            user.extra.insert("authentication.kubernetes.io/credential-id".into(), vec![format!("JTI={id}")]);
        }
        Some(user)
    }
}

/// The user a request wants to be, when it says so (`kubectl --as`).
pub fn impersonated(headers: &HeaderMap) -> Option<User> {
    let name = headers.get("impersonate-user")?.to_str().ok()?;
    let groups: Vec<&str> = headers.get_all("impersonate-group").iter().filter_map(|g| g.to_str().ok()).collect();
    let mut user = User::known(name, &groups);
    if let Some(account) = name.strip_prefix("system:serviceaccount:") {
        let namespace = account.split(':').next().unwrap_or_default();
        user.groups.push("system:serviceaccounts".into());
        user.groups.push(format!("system:serviceaccounts:{namespace}"));
    }
    Some(user)
}

#[cfg(test)]
mod tests {
    use super::super::kinds::Registry;
    use super::super::state::State;
    use super::super::tokens::issue;
    use super::*;

    #[test]
    fn a_token_ends_with_its_time_its_account_and_what_it_is_bound_to() {
        let identity = Identity::open(None, "east", [127, 0, 0, 1].into()).unwrap();
        let mut state = State::new(Store::open(None, 10).unwrap());
        let object = |name: &str, uid: &str| json!({"metadata": {"namespace": "a", "name": name, "uid": uid}});
        state.store.put("serviceaccounts", object("app", "1")).unwrap();
        state.store.put("pods", object("pod", "2")).unwrap();
        let kind = Registry::new(std::iter::empty()).find("", "v1", "serviceaccounts").unwrap();
        let now = jiff::Timestamp::from_second(1_800_000_000).unwrap();
        let request = json!({"spec": {"expirationSeconds": 600, "boundObjectRef": {"kind": "Pod", "name": "pod"}}});
        let issued = issue(&state, &identity, &kind, "a", "app", request, now).unwrap();
        let token = issued["status"]["token"].as_str().unwrap();
        let users = BTreeMap::new();
        let owner = |state: &State, seconds: i64, audience: &str| {
            let now = now + jiff::SignedDuration::from_secs(seconds);
            let known = Known { identity: &identity, users: &users, store: &state.store, now };
            known.owner(token, &[audience]).map(|(user, _)| user.name)
        };
        assert_eq!(owner(&state, 599, AUDIENCE).as_deref(), Some("system:serviceaccount:a:app"));
        assert_eq!(owner(&state, 600, AUDIENCE), None, "expired");
        assert_eq!(owner(&state, 0, "vault"), None, "meant for somebody else");
        state.store.remove("pods", "a", "pod").unwrap();
        assert_eq!(owner(&state, 0, AUDIENCE), None, "its Pod is gone");
        state.store.put("pods", object("pod", "2")).unwrap();
        assert!(owner(&state, 0, AUDIENCE).is_some());
        state.store.put("serviceaccounts", object("app", "3")).unwrap();
        assert_eq!(owner(&state, 0, AUDIENCE), None, "another account of the same name");
    }
}
