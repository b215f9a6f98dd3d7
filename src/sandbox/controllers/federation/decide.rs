//! What Federation writes next: blocks on Upstreams, finalizers, statuses, GlooInstances.
//! What comes in: the management cluster and the registered ones as observed, and what was done before.
//! What goes out: writes, each with the cluster it is for.
//! May not know: clients, kubeconfigs.
//!
//! A scheme is carried out when it, an address it leads to, or its primary Upstream's identity changes. Between those,
//! what somebody else does to the Upstream's failover stands: an operator who removes it has removed it.
//! Of several schemes for one Upstream the youngest is written, since all would write the same field.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::block::{Primary, Refusal, State, failed, failover_block, no_client, primary};
use super::instance::Instance;
use crate::sandbox::controllers::kind::Kind;
use crate::sandbox::controllers::object::{
    deleting, finalized_by, finalizers_without, generation, list, name, namespace, text, uid,
};
use crate::sandbox::controllers::observed::Observed;
use crate::sandbox::controllers::write::{Ref, Write};

/// What holds a scheme until its block is gone from the primary.
pub const FINALIZER: &str = "fed.solo.io/finalizer";

/// Where Federation runs and where Gloo is installed.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The namespace of registrations and GlooInstances.
    pub namespace: String,
    /// The namespace of Gloo on every cluster.
    pub gloo: String,
}

/// For whom a write is.
#[derive(Clone, Debug, PartialEq)]
pub enum Target {
    /// The management cluster.
    Home,
    /// A registered cluster.
    Member(String),
}

/// A write, its cluster, and the uid of the scheme it is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The cluster.
    pub target: Target,
    /// The write.
    pub write: Write,
    /// The scheme whose status tells of a failure.
    pub scheme: Option<String>,
}

/// What was done for each scheme, by uid. Empty after a restart: then every scheme is carried out once more.
#[derive(Debug, Default)]
pub struct Memory {
    done: BTreeMap<String, Done>,
    /// The last failure of a write for a scheme, by uid; kept by the runner.
    pub errors: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq)]
struct Done {
    generation: i64,
    block: Value,
    upstream: String,
    primary: Primary,
}

/// Registered clusters by name; nothing for one that could not be read yet.
pub type Members<'a> = BTreeMap<String, Option<&'a Observed>>;

/// One decision over everything.
pub fn decide(
    home: &Observed,
    members: &Members<'_>,
    memory: &mut Memory,
    settings: &Settings,
    now: Timestamp,
) -> Vec<Order> {
    let mut orders = glooinstances(home, members, settings);
    let instances = instances(home, members, settings);
    let living = |uid_: &String| home.all(Kind::FailoverScheme).any(|s| uid(s) == uid_);
    memory.done.retain(|uid, _| living(uid));
    memory.errors.retain(|uid, _| living(uid));
    for scheme in home.all(Kind::FailoverScheme) {
        let pass = Scheme { scheme, home, members, settings, now };
        orders.extend(match deleting(scheme) {
            true => pass.let_go(memory),
            false => pass.carry_out(&instances, memory),
        });
    }
    orders
}

/// GlooInstances follow what the registered clusters show; those of clusters that are not registered go.
fn glooinstances(home: &Observed, members: &Members<'_>, settings: &Settings) -> Vec<Order> {
    let at_home = |write| Order { target: Target::Home, write, scheme: None };
    let mut orders = Vec::new();
    for (cluster, seen) in members.iter().filter_map(|(c, seen)| Some((c, (*seen)?))) {
        let instance = Instance::observe(cluster, seen, &settings.gloo);
        let wanted = instance.object(&settings.namespace, &settings.gloo);
        let stored = home.get(Kind::GlooInstance, &settings.namespace, name(&wanted));
        match stored {
            Some(stored) if instance.proxies.is_empty() => {
                orders.push(at_home(Write::Delete(Ref::to(Kind::GlooInstance, stored))));
            }
            Some(stored) if stored["spec"] == wanted["spec"] => {}
            None if instance.proxies.is_empty() => {}
            _ => orders.push(at_home(Write::Apply(wanted))),
        }
    }
    let stray = |i: &&Value| namespace(i) == settings.namespace && !members.contains_key(text(i, "/spec/cluster"));
    let strays = home.all(Kind::GlooInstance).filter(stray);
    orders.extend(strays.map(|i| at_home(Write::Delete(Ref::to(Kind::GlooInstance, i)))));
    orders
}

/// The stored instances of registered clusters: they stay known while a cluster cannot be reached.
fn instances(home: &Observed, members: &Members<'_>, settings: &Settings) -> BTreeMap<String, Instance> {
    let mut found: BTreeMap<String, Instance> =
        members.keys().map(|c| (c.clone(), Instance { cluster: c.clone(), ..Instance::default() })).collect();
    for object in home.all(Kind::GlooInstance).filter(|i| namespace(i) == settings.namespace) {
        let instance = Instance::read(object);
        if let Some(entry) = found.get_mut(&instance.cluster) {
            *entry = instance;
        }
    }
    found
}

struct Scheme<'a> {
    scheme: &'a Value,
    home: &'a Observed,
    members: &'a Members<'a>,
    settings: &'a Settings,
    now: Timestamp,
}

impl Scheme<'_> {
    fn order(&self, target: Target, write: Write) -> Order {
        Order { target, write, scheme: Some(uid(self.scheme).into()) }
    }

    /// A change to the scheme itself.
    fn own(&self, subresource: Option<&'static str>, patch: Value) -> Order {
        let of = Ref::to(Kind::FailoverScheme, self.scheme);
        self.order(Target::Home, Write::Merge { of, subresource, patch })
    }

    /// Whether another living scheme describes this primary's failover, and (if `younger`) comes after this one.
    fn rival(&self, primary_: &Primary, younger: bool) -> bool {
        let age = |s: &Value| {
            (text(s, "/metadata/creationTimestamp").to_string(), namespace(s).to_string(), name(s).to_string())
        };
        self.home.all(Kind::FailoverScheme).any(|s| {
            let other = uid(s) != uid(self.scheme) && !deleting(s);
            other && primary(s).as_ref() == Ok(primary_) && (!younger || age(s) > age(self.scheme))
        })
    }

    fn carry_out(&self, instances: &BTreeMap<String, Instance>, memory: &mut Memory) -> Vec<Order> {
        if !finalized_by(self.scheme, FINALIZER) {
            let mut all = list(self.scheme, "/metadata/finalizers").to_vec();
            all.push(json!(FINALIZER));
            let version = &self.scheme["metadata"]["resourceVersion"];
            return vec![self.own(None, json!({"metadata": {"finalizers": all, "resourceVersion": version}}))];
        }
        let mut orders = Vec::new();
        let outcome = self.write(instances, memory, &mut orders);
        let (state, message) = match outcome {
            Ok(state) => (state, String::new()),
            Err(refusal) => (refusal.state, refusal.message),
        };
        orders.extend(self.status(state, &message));
        orders
    }

    /// Brings the block to the primary, unless that has been done for this very input.
    fn write(
        &self,
        instances: &BTreeMap<String, Instance>,
        memory: &mut Memory,
        orders: &mut Vec<Order>,
    ) -> Result<State, Refusal> {
        let target = primary(self.scheme)?;
        let uid_ = uid(self.scheme).to_string();
        if let Some(before) = memory.done.get(&uid_).filter(|d| d.primary != target).cloned() {
            // The scheme names another primary now: the block goes from the one it was written to.
            match self.removal(&before.primary) {
                Some(removal) => orders.push(removal),
                None => drop(memory.done.remove(&uid_)),
            }
        }
        let block = failover_block(self.scheme, instances, &self.settings.gloo)?;
        let upstream = self.upstream(&target)?;
        if self.rival(&target, true) {
            return Ok(State::Accepted);
        }
        let done = Done { generation: generation(self.scheme), block, upstream: uid(upstream).into(), primary: target };
        if memory.done.get(&uid_) == Some(&done) {
            return Ok(State::Accepted);
        }
        let wanted = &done.block["prioritizedLocalities"];
        if upstream.pointer("/spec/failover/prioritizedLocalities") == Some(wanted) {
            memory.errors.remove(&uid_);
            memory.done.insert(uid_, done);
            return Ok(State::Accepted);
        }
        let write = Write::Merge {
            of: Ref::to(Kind::Upstream, upstream),
            subresource: None,
            patch: json!({"spec": {"failover": done.block}}),
        };
        orders.push(self.order(Target::Member(done.primary.cluster.clone()), write));
        match memory.errors.get(&uid_) {
            Some(error) => Err(failed(error)),
            None => Ok(State::Processing),
        }
    }

    fn upstream(&self, target: &Primary) -> Result<&Value, Refusal> {
        let member = self.members.get(&target.cluster).ok_or_else(|| no_client(&target.cluster))?;
        let seen = member.ok_or_else(|| no_client(&target.cluster))?;
        let found = seen.get(Kind::Upstream, &target.namespace, &target.name);
        found.ok_or_else(|| failed(format!("upstreams.gloo.solo.io {:?} not found", target.name)))
    }

    /// The write that takes the block from an Upstream; nothing when there is none to take.
    fn removal(&self, target: &Primary) -> Option<Order> {
        if self.rival(target, false) {
            return None;
        }
        let upstream = self.upstream(target).ok()?;
        upstream.pointer("/spec/failover").filter(|f| !f.is_null())?;
        let of = Ref::to(Kind::Upstream, upstream);
        let write = Write::Merge { of, subresource: None, patch: json!({"spec": {"failover": null}}) };
        Some(self.order(Target::Member(target.cluster.clone()), write))
    }

    /// Deletion: first the block, then the finalizer. Without a way to the primary's cluster the scheme stays.
    fn let_go(&self, memory: &Memory) -> Vec<Order> {
        if !finalized_by(self.scheme, FINALIZER) {
            return Vec::new();
        }
        let release = || {
            let left = finalizers_without(self.scheme, FINALIZER);
            vec![self.own(None, json!({"metadata": {"finalizers": left}}))]
        };
        let Ok(target) = primary(self.scheme) else { return release() };
        if self.members.get(&target.cluster).is_none_or(Option::is_none) {
            return self.status(State::Failed, &no_client(&target.cluster).message).into_iter().collect();
        }
        match self.removal(&target) {
            None => release(),
            Some(removal) => {
                let error = memory.errors.get(uid(self.scheme));
                let status = error.and_then(|e| self.status(State::Failed, e));
                std::iter::once(removal).chain(status).collect()
            }
        }
    }

    /// The status, if it says something new. Written twice, as the original does: flat, and by Federation's namespace.
    fn status(&self, state: State, message: &str) -> Option<Order> {
        let generation = generation(self.scheme).to_string();
        let stored = &self.scheme["status"];
        let same = text(stored, "/state") == state.text()
            && text(stored, "/message") == message
            && text(stored, "/observedGeneration") == generation;
        if same {
            return None;
        }
        let said = json!({
            "state": state.text(), "message": (!message.is_empty()).then_some(message),
            "observedGeneration": generation, "processingTime": format!("{:.0}", self.now),
        });
        let mut status = said.clone();
        status["namespacedStatuses"] = json!({self.settings.namespace.as_str(): said});
        Some(self.own(Some("status"), json!({"status": status})))
    }
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
