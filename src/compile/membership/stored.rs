//! A registration as it was found. What comes in: a Secret. What goes out: whom it is for, where it leads, until when
//! it is good. May not know: whether the credential works.
//! The token speaks before the annotations: a ServiceAccount's token says itself when it ends (RFC 7519, `exp`); one
//! of the old kind, kept in a Secret on the member, never does.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde_json::Value;
use zeroize::Zeroizing;

use super::account::Purpose;
use super::registration::{
    ACCOUNT, Credential, Endpoint, FEDERATION_KEY, FEDERATION_TYPE, ISSUED, Place, REMOTE_LABEL, UID,
};
use crate::manifest::{MANAGED_BY, ObjectKey};

/// A registration that is in place. It has no `Debug`: there is a token inside.
#[derive(Clone)]
pub struct Stored {
    /// The member's name, as it is registered.
    pub member: String,
    /// Where it is kept.
    pub place: Place,
    /// Name of the Secret.
    pub secret: String,
    /// The kubeconfig.
    pub kubeconfig: Zeroizing<String>,
    /// Where it leads; empty when the kubeconfig cannot be read.
    pub endpoint: Endpoint,
    /// The token; none when there is another kind of credential inside, or nothing readable.
    pub token: Option<Zeroizing<String>>,
    /// When it was issued, if anybody says so.
    pub issued: Option<Timestamp>,
    /// When it ends; none when it never does, or nobody knows.
    pub expires: Option<Timestamp>,
    /// The UID of the cluster it was made for, if failctl made it.
    pub uid: Option<String>,
    /// The account, `namespace/name`, if known.
    pub account: Option<String>,
    /// Whether failctl made it.
    pub ours: bool,
}

impl Stored {
    /// Reads a Secret; none when it is no registration. A remote secret of Istio may name several clusters.
    pub fn read(key: &ObjectKey, secret: &Value) -> Vec<Stored> {
        let purpose = if secret["type"] == FEDERATION_TYPE {
            Purpose::Federation
        } else if secret["metadata"]["labels"][REMOTE_LABEL.0] == REMOTE_LABEL.1 {
            Purpose::Mesh
        } else {
            return Vec::new();
        };
        let data = secret["data"].as_object().into_iter().flatten();
        let wanted = data.filter(|(name, _)| purpose == Purpose::Mesh || *name == FEDERATION_KEY);
        let namespace = key.namespace.clone().unwrap_or_default();
        let place = Place { cluster: key.cluster.clone(), namespace, purpose };
        wanted
            .map(|(name, text)| {
                let member = if purpose == Purpose::Mesh { name } else { &key.name };
                of(member, &place, key, secret, text.as_str().unwrap_or_default())
            })
            .collect()
    }

    /// The credential, where it is one that failctl could have stored.
    pub fn credential(&self) -> Option<Credential> {
        Some(Credential { token: self.token.clone()?, issued: self.issued?, expires: self.expires? })
    }
}

fn of(member: &str, place: &Place, key: &ObjectKey, secret: &Value, text: &str) -> Stored {
    let annotation = |name: &str| secret["metadata"]["annotations"][name].as_str().map(str::to_string);
    let bytes = STANDARD.decode(text).unwrap_or_default();
    let kubeconfig = Zeroizing::new(String::from_utf8(bytes).unwrap_or_default());
    let parsed = crate::yaml::parse(&kubeconfig).ok().and_then(|d| d.into_iter().next()).map(|d| d.value);
    let parsed = parsed.unwrap_or_default();
    let named = |list: &str, name: &str, inner: &str| {
        let entries = parsed[list].as_array().into_iter().flatten();
        let found = entries.clone().find(|e| e["name"] == name).or_else(|| entries.clone().next());
        found.map(|e| e[inner].clone()).unwrap_or_default()
    };
    let context = named("contexts", parsed["current-context"].as_str().unwrap_or_default(), "context");
    let cluster = named("clusters", context["cluster"].as_str().unwrap_or_default(), "cluster");
    let user = named("users", context["user"].as_str().unwrap_or_default(), "user");
    let said = |field: &str| cluster[field].as_str().map(str::to_string);
    let ca = said("certificate-authority-data").and_then(|c| STANDARD.decode(c).ok());
    let endpoint = Endpoint {
        server: said("server").unwrap_or_default(),
        ca: ca.and_then(|c| String::from_utf8(c).ok()),
        tls_server_name: said("tls-server-name"),
        proxy_url: said("proxy-url"),
        insecure: cluster["insecure-skip-tls-verify"] == true,
    };
    let token = user["token"].as_str().map(|t| Zeroizing::new(t.to_string()));
    let claims = token.as_ref().and_then(|t| claims(t)).unwrap_or_default();
    let second = |field: &str| claims[field].as_i64().and_then(|s| Timestamp::from_second(s).ok());
    let subject = claims["sub"].as_str().and_then(|s| s.strip_prefix("system:serviceaccount:"));
    Stored {
        member: member.to_string(),
        place: place.clone(),
        secret: key.name.clone(),
        kubeconfig,
        endpoint,
        issued: annotation(ISSUED).and_then(|t| t.parse().ok()).or_else(|| second("iat")),
        expires: second("exp"),
        uid: annotation(UID),
        account: subject.map(|s| s.replacen(':', "/", 1)).or_else(|| annotation(ACCOUNT)),
        ours: secret["metadata"]["labels"][MANAGED_BY.0] == MANAGED_BY.1,
        token,
    }
}

/// What a token says about itself; none for any other text. Nothing is verified: that is for its server to do.
pub fn claims(token: &str) -> Option<Value> {
    let part = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part.trim_end_matches('=')).ok()?).ok()
}
