//! The questions to Envoys that go on beside a drill: whether a backup is ready before, and what became of the primary.
//! What comes in: whose Envoy decides about which lane. What goes out: what was said, live and at the end.
//! May not know: the load, faults, terminals.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::health::{self, Proxies, Service, Which};
use crate::cluster::Clients;
use crate::sim::analysis::Health;
use crate::sim::record::micros;
use crate::sim::{Marks, Micros, Run};

/// Whose Envoy decides about a service, and its names for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watch {
    /// Who decides.
    pub proxies: Proxies,
    /// What it calls the primary and the backups.
    pub service: Service,
}

/// Proxies that are asked for some lanes: their names for them, and what was said when.
pub struct Asked {
    lanes: Vec<usize>,
    services: Vec<Service>,
    heard: Arc<Mutex<Vec<(Micros, health::Answer)>>>,
    listening: tokio::task::JoinHandle<()>,
}

/// Whether somebody would stand in for a lane's primary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Backup {
    /// The Envoy that decides has a backup it would use.
    Ready,
    /// It has none, and why.
    Missing(String),
    /// It could not be asked, and why.
    Unknown(String),
}

/// One watcher for each set of proxies; it answers for all lanes they decide about. In a mesh every service has one of its
/// own: who calls it most decides, and that is another sidecar for each. Times count from `zero`.
pub fn watches<'a>(
    clients: &Clients,
    lanes: impl Iterator<Item = Option<&'a Watch>>,
    zero: tokio::time::Instant,
    stop: &CancellationToken,
) -> Vec<Asked> {
    let mut by_proxies: BTreeMap<_, Vec<(usize, Service)>> = BTreeMap::new();
    for (index, watch) in lanes.enumerate() {
        if let Some(watch) = watch {
            let own = matches!(watch.proxies.which, Which::Caller { .. }).then(|| watch.service.primary.clone());
            by_proxies.entry((watch.proxies.clone(), own)).or_default().push((index, watch.service.clone()));
        }
    }
    let start = |proxies: Proxies, watched: Vec<(usize, Service)>| {
        let (lanes, services): (Vec<_>, Vec<Service>) = watched.into_iter().unzip();
        let (tell, mut said) = mpsc::unbounded_channel();
        tokio::spawn(health::watch(clients.clone(), proxies, services.clone(), tell, stop.clone()));
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = heard.clone();
        let listening = tokio::spawn(async move {
            while let Some(answer) = said.recv().await {
                let at = tokio::time::Instant::now().saturating_duration_since(zero);
                locked(&kept).push((micros(at), answer));
            }
        });
        Asked { lanes, services, heard, listening }
    };
    by_proxies.into_iter().map(|((proxies, _), watched)| start(proxies, watched)).collect()
}

fn locked<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Asked {
    /// Whether a backup is ready for each of its lanes, by what was said last.
    pub fn backups(&self) -> Vec<(usize, Backup)> {
        let heard = locked(&self.heard);
        let of = |service: &Service| match heard.last() {
            None => Backup::Unknown("no Envoy has answered yet".into()),
            Some((_, Err(why))) => Backup::Unknown(why.clone()),
            Some((_, Ok(said))) => match said.get(&service.primary) {
                Some(said) if said.backups > 0 => Backup::Ready,
                said => Backup::Missing(
                    said.and_then(|s| s.no_backup.clone()).unwrap_or_else(|| "it has no endpoint".into()),
                ),
            },
        };
        self.lanes.iter().copied().zip(self.services.iter().map(of)).collect()
    }

    /// What was heard, told to the runs of its lanes. If nothing was heard during the fault, why.
    pub async fn tell(self, runs: &mut [Run], marks: &Marks) {
        // The watcher was stopped: what it said is all there once nobody listens any more.
        let _ = self.listening.await;
        let heard = locked(&self.heard);
        for (lane, service) in self.lanes.into_iter().zip(self.services) {
            hear(&mut runs[lane], &service.primary, &heard, marks);
        }
    }
}

fn hear(run: &mut Run, name: &str, heard: &[(Micros, health::Answer)], marks: &Marks) {
    for (at, answer) in heard {
        if let Ok(said) = answer
            && let Some(said) = said.get(name)
        {
            run.health.push(Health { at: *at, usable: said.usable, why: said.why.clone() });
        }
    }
    let (from, to) = (marks.fully_broken.unwrap_or(0), marks.healing.unwrap_or(marks.end));
    let in_fault = |at: Micros| at >= from && at < to;
    if !run.health.iter().any(|h| in_fault(h.at)) {
        let why = heard.iter().find_map(|(at, a)| a.as_ref().err().filter(|_| in_fault(*at)));
        run.no_health =
            Some(why.cloned().unwrap_or_else(|| "the gateway's Envoy was not asked during the fault".into()));
    }
}
