//! What a membership takes: accounts, where their credentials go, whether the user may write all that, and which
//! credentials are good and stay. What comes in: a member and a wish. What goes out: needs, and the manifests they come
//! to. Shared by `register` and `renew`; no command itself, and writes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use zeroize::Zeroizing;

use super::roll::{Roll, trouble};
use crate::cluster::{Asked, Trouble, Verified, allowed, verify};
use crate::compile::membership::{Account, Credential, Endpoint, Place, Purpose, Stored, registration};
use crate::error::{Exit, Failure};
use crate::manifest::{Manifest, ObjectKey, World};
use crate::model::fleet::Cluster;
use crate::model::problem::Problem;
use crate::plan;
use crate::report::membership::CredentialRow;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Only for these; none means for all that apply.
    pub only: Option<Purpose>,
    /// How long a new credential shall be good.
    pub lifetime: Duration,
    /// The address others reach the member under, if not the one of the user's kubeconfig.
    pub server: Option<String>,
    /// The name in its certificate, if not the address's host.
    pub tls_server_name: Option<String>,
    /// Replace credentials that are still good.
    pub fresh: bool,
}

/// One account with the places its credential goes to.
pub struct Need {
    /// The account on the member.
    pub account: Account,
    /// Where its credential is stored.
    pub places: Vec<Place>,
    /// Where others reach the member.
    pub endpoint: Endpoint,
    /// The credential that is in place, good, and stays.
    pub kept: Option<Credential>,
    /// What it was seen to do.
    pub verified: Option<Verified>,
    /// The longest-lived credential in place, whether it stays or not.
    pub old: Option<Stored>,
}

/// Stands for a token that is not there yet in what is only shown.
const NO_TOKEN: &str = "issued-when-written";

/// The accounts a member needs, and where their credentials go.
pub fn needs(roll: &Roll, member: &Cluster, wish: &Wish) -> Result<Vec<Need>, Failure> {
    let mut endpoint = roll
        .clients
        .endpoint(member.name.as_str())
        .map_err(|e| Failure::new(Exit::Input, e))?;
    if let Some(server) = &wish.server {
        endpoint.server.clone_from(server);
    }
    wish.tls_server_name.iter().for_each(|n| endpoint.tls_server_name = Some(n.clone()));
    let places: Vec<Place> = roll.places(member);
    let mut needs = Vec::new();
    for purpose in Purpose::ALL.into_iter().filter(|p| wish.only.is_none_or(|o| o == *p)) {
        let places: Vec<_> = places.iter().filter(|p| p.purpose == purpose).cloned().collect();
        let namespace = match purpose {
            Purpose::Federation => member.gloo.as_ref().map(|g| g.namespace.to_string()),
            Purpose::Mesh => member.istio.as_ref().map(|i| i.namespace.to_string()),
        };
        let (Some(namespace), false) = (namespace, places.is_empty()) else { continue };
        let account = Account { cluster: member.name.clone(), purpose, namespace };
        needs.push(Need { account, places, endpoint: endpoint.clone(), kept: None, verified: None, old: None });
    }
    if needs.is_empty() {
        let what = format!("nobody would use `{}`", member.name);
        let hint = "Federation uses clusters with `gloo`, and needs one with `federation` to run on; a mesh is two or \
                    more clusters with `istio`";
        return Err(Failure::input(vec![Problem::error("FCT0703", what).hint(hint)]));
    }
    let others = needs.iter().flat_map(|n| &n.places).filter(|p| p.cluster != member.name);
    let mut servers = others.filter_map(|p| roll.clients.endpoint(p.cluster.as_str()).ok());
    if endpoint.is_loopback() && servers.any(|e| !e.is_loopback()) {
        let what = format!("{} is the machine it is used on, wherever that is", endpoint.server);
        let hint = "name the address other clusters reach it under: --server https://ADDRESS:PORT";
        return Err(Failure::input(vec![Problem::error("FCT0704", what).hint(hint)]));
    }
    Ok(needs)
}

/// Whether the user may do what registering does, before anything is done.
pub async fn permitted(roll: &Roll, needs: &[Need]) -> Result<(), Failure> {
    let mut asked: BTreeMap<&str, BTreeSet<Asked>> = BTreeMap::new();
    let ask = |verb: &str, group: &str, resource: &str, namespace: &str| {
        let text = |t: &str| t.to_string();
        let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
        Asked { verb: text(verb), group: text(group), resource: text(resource), subresource: text(subresource), namespace: text(namespace) }
    };
    const RBAC: &str = "rbac.authorization.k8s.io";
    for need in needs {
        let namespace = need.account.namespace.as_str();
        let on_member = asked.entry(need.account.cluster.as_str()).or_default();
        for verb in ["create", "patch"] {
            on_member.insert(ask(verb, "", "serviceaccounts", namespace));
            on_member.insert(ask(verb, RBAC, "clusterroles", ""));
            on_member.insert(ask(verb, RBAC, "clusterrolebindings", ""));
        }
        on_member.insert(ask("create", "", "serviceaccounts/token", namespace));
        for place in &need.places {
            let here = asked.entry(place.cluster.as_str()).or_default();
            for verb in ["get", "create", "patch"] {
                here.insert(ask(verb, "", "secrets", &place.namespace));
                if place.purpose == Purpose::Federation {
                    here.insert(ask(verb, "multicluster.solo.io", "kubernetesclusters", &place.namespace));
                }
            }
        }
    }
    let mut missing = Vec::new();
    for (cluster, list) in asked {
        // Who does not answer is told of later, or held back.
        let Ok(client) = roll.clients.client(cluster).await else { continue };
        for one in list {
            match allowed(&client, &one).await {
                Ok(true) => {}
                Ok(false) => missing.push(format!("{cluster}: {one}")),
                Err(Trouble::Unreachable(_)) => break,
                Err(e) => return Err(trouble(cluster, "asking what you may do", &e)),
            }
        }
    }
    if missing.is_empty() {
        return Ok(());
    }
    let why = format!("you may not do what registering takes; nothing was written. Missing:\n  {}", missing.join("\n  "));
    Err(Failure::because(Exit::Refused, why).hint("ask whoever administers the cluster, or use another --kubeconfig"))
}

/// A credential stays when it leads to the right server, has at least a third of its life left, and works.
pub async fn keep_what_is_good(roll: &Roll, need: &mut Need, wish: &Wish, now: Timestamp) {
    let mut stored: Vec<Stored> = roll.registrations_of(need.account.cluster.as_str());
    stored.retain(|s| s.place.purpose == need.account.purpose && need.places.contains(&s.place));
    stored.sort_by_key(|s| s.expires);
    need.old = stored.pop();
    let Some(old) = need.old.as_ref().filter(|s| s.ours && !wish.fresh && s.endpoint == need.endpoint) else { return };
    let Some(credential) = old.credential() else { return };
    if credential.life_left(now) < 33 {
        return;
    }
    if let Ok(verified) = verify(&old.kubeconfig, need.account.purpose).await
        && verified.missing.is_empty()
    {
        need.kept = Some(credential);
        need.verified = Some(verified);
    }
}

/// Everything that belongs to the membership. `minted` by purpose; what is missing there is shown with a stand-in.
pub fn desired(
    member: &Cluster,
    needs: &[Need],
    uid: &str,
    minted: Option<&BTreeMap<Purpose, Credential>>,
    now: Timestamp,
) -> Vec<Manifest> {
    let mut all = Vec::new();
    for need in needs {
        all.push(need.account.namespace_manifest());
        all.extend(need.account.manifests());
        let stand_in = || Credential { token: Zeroizing::new(NO_TOKEN.into()), issued: now, expires: now };
        let new = minted.and_then(|m| m.get(&need.account.purpose)).cloned();
        let credential = need.kept.clone().or(new).unwrap_or_else(stand_in);
        for place in &need.places {
            all.push(registration::secret(place, &need.account, uid, &need.endpoint, &credential));
            if place.purpose == Purpose::Federation {
                let domain = member.istio.as_ref().map_or(crate::model::mesh::CLUSTER_DOMAIN, |i| &i.cluster_domain);
                all.push(registration::kubernetes_cluster(place, &member.name, domain));
            }
        }
    }
    let mut seen: Vec<ObjectKey> = Vec::new();
    all.retain(|m| if seen.contains(&m.key) { false } else { seen.push(m.key.clone()); true });
    all
}

/// A namespace that somebody else made is there, which is all that is wanted of it.
pub fn without_foreign_namespaces(desired: Vec<Manifest>, world: &World) -> Vec<Manifest> {
    let foreign = |m: &Manifest| m.key.gvk.kind == "Namespace" && plan::find(world, &m.key).is_some_and(|n| !plan::is_ours(n));
    desired.into_iter().filter(|m| !foreign(m)).collect()
}

/// What became of a need.
pub fn row(need: &Need) -> CredentialRow {
    let same = |old: &Stored| need.kept.as_ref().is_some_and(|c| old.token.as_ref() == Some(&c.token));
    let (result, overlaps) = match &need.old {
        Some(old) if same(old) => ("kept", None),
        Some(old) => ("replaced", old.expires),
        None => ("issued", None),
    };
    let verified = need.verified.clone();
    CredentialRow {
        purpose: need.account.purpose,
        account: format!("{}/{}", need.account.namespace, need.account.name()),
        server: need.endpoint.server.clone(),
        result,
        expires: need.kept.as_ref().map(|c| c.expires),
        old_until: overlaps,
        version: verified.as_ref().map(|v| v.version.clone()),
        allowed: verified.as_ref().map(|v| v.allowed.clone()).unwrap_or_default(),
        refused: verified.as_ref().map(|v| v.refused.clone()).unwrap_or_default(),
        excessive: verified.map(|v| v.excessive).unwrap_or_default(),
    }
}
