//! API servers that tests borrow: each belongs to one test at a time and is put back as it was before the next.
//!
//! A start takes seconds, putting back milliseconds. What runs here besides the API server are the controllers whose work
//! every client takes for granted: deletion of namespaces and of what belonged to deleted owners, default ServiceAccounts,
//! tokens in Secrets, rights gathered into the roles view, edit and admin.

use std::ops::Deref;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock};

use failctl::sandbox::address::Claim;

use super::cluster::{Cluster, Plan, start_all};
use super::etcd::Snapshot;
use super::folder::Folder;
use super::net;

/// The most servers at a time. Tests run two at a time on a small machine, and some need two servers.
const MOST: usize = 4;

const CONTROLLERS: [&str; 5] = [
    "clusterrole-aggregation-controller",
    "namespace-controller",
    "garbage-collector-controller",
    "serviceaccount-controller",
    "serviceaccount-token-controller",
];

struct Member {
    cluster: Cluster,
    fresh: Snapshot,
}

#[derive(Default)]
struct Members {
    idle: Vec<Member>,
    made: usize,
}

struct Pool {
    members: Mutex<Members>,
    returned: Condvar,
    claim: Claim,
    folder: Folder,
}

/// A borrowed server.
pub struct Lease(Option<Member>);

fn pool() -> &'static Pool {
    static POOL: OnceLock<Pool> = OnceLock::new();
    POOL.get_or_init(|| Pool {
        members: Mutex::default(),
        returned: Condvar::new(),
        claim: Claim::take(None, rand::random()).expect("a free block of loopback addresses"),
        folder: Folder::new().unwrap_or_else(|e| panic!("a temporary folder: {e:#}")),
    })
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Members> {
        self.members.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Borrows all at once, so that no two tests wait for each other's.
    fn borrow(&self, count: usize) -> anyhow::Result<Vec<Lease>> {
        let mut members = self.lock();
        while members.idle.len() + (MOST - members.made) < count {
            members = self.returned.wait(members).unwrap_or_else(std::sync::PoisonError::into_inner);
        }
        let kept = members.idle.len().saturating_sub(count);
        let old = members.idle.split_off(kept);
        let first = members.made;
        members.made += count - old.len();
        let last = members.made;
        drop(members);
        // From here on what was taken comes back, also when something fails.
        let mut leases: Vec<Lease> = old.into_iter().map(|m| Lease(Some(m))).collect();
        for lease in &leases {
            lease.etcd.restore(lease.fresh())?;
        }
        let begun = start_all((first..last).map(|n| self.plan(n)).collect());
        let begun = begun.inspect_err(|_| self.forget(last - first))?;
        for cluster in begun {
            let fresh = cluster.etcd.snapshot().inspect_err(|_| self.forget(1))?;
            leases.push(Lease(Some(Member { cluster, fresh })));
        }
        Ok(leases)
    }

    fn forget(&self, count: usize) {
        self.lock().made -= count;
        self.returned.notify_all();
    }

    fn plan(&self, number: usize) -> Plan {
        let at = self.claim.block.cluster(number).expect("a block has room for the pool");
        Plan::new(&format!("cluster-{number}"), at, self.folder.path()).with_controllers(&CONTROLLERS)
    }
}

impl Lease {
    /// Borrows servers that are as new; waits until there are so many.
    ///
    /// # Panics
    /// When a control plane does not come up, with the end of its log.
    pub fn take(count: usize) -> Vec<Lease> {
        net::apart(|| pool().borrow(count)).unwrap_or_else(|e| panic!("{e:#}"))
    }

    fn member(&self) -> &Member {
        self.0.as_ref().expect("a lease holds its server until it is dropped")
    }

    fn fresh(&self) -> &Snapshot {
        &self.member().fresh
    }
}

impl Deref for Lease {
    type Target = Cluster;

    fn deref(&self) -> &Cluster {
        &self.member().cluster
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(member) = self.0.take() {
            pool().lock().idle.push(member);
            pool().returned.notify_all();
        }
    }
}
