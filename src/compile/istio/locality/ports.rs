//! The ports of a Service that callers in one cluster share with the others. What comes in: a view. What goes out: names
//! and numbers, or what is not known. May not know: objects.
//!
//! An endpoint of another cluster joins a Service's port by the port's *name* in the caller's cluster
//! (`BuildClusterLoadAssignment`), and the other cluster's gateway finds the port by its *number* (the SNI).

use super::super::Job;
use super::super::intent::{Backend, Join};
use super::super::place::UNKNOWN;
use super::view::View;
use crate::compile::facts::{Port, Target};
use crate::model::mesh::Protocol;
use crate::model::problem::Problem;

/// Ports of a Service in a cluster of callers.
pub struct Ports {
    /// Those that every other cluster has too.
    pub shared: Vec<Port>,
    /// Those that some other cluster lacks: they stay at home.
    lacking: Vec<u16>,
}

impl Ports {
    /// The ports of a view: those of the callers' own Service, else of the first cluster that answers.
    pub fn of(job: &Job<'_>, join: &Join, view: &View<'_>) -> Result<Ports, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut known = |backend: &Backend| match job.places.known(&join.origin, backend) {
            Ok(found) => found.map(|(service, _)| service.ports.iter().filter(|p| p.tcp).collect::<Vec<_>>()),
            Err(problem) => {
                problems.push(problem);
                None
            }
        };
        let others: Vec<_> = view.others.iter().flatten().map(|s| known(&s.backend)).collect();
        let own = match view.own {
            Some(share) => known(&share.backend),
            None => others.iter().flatten().next().cloned(),
        };
        if !problems.is_empty() {
            return Err(problems);
        }
        let Some(own) = own else {
            // Nobody could be asked, and what holds this name is not written.
            let port = Port {
                name: UNKNOWN.into(),
                number: join.service.port,
                target: Target::Number(join.service.port),
                tcp: true,
                speaks: String::new(),
            };
            return Ok(Ports { shared: vec![port], lacking: Vec::new() });
        };
        let everywhere = |p: &&Port| others.iter().flatten().all(|all| all.iter().any(|o| o.number == p.number));
        let (shared, lacking): (Vec<&Port>, Vec<&Port>) = own.into_iter().partition(everywhere);
        if let Some(port) = shared.iter().find(|p| p.name.is_empty()) {
            return Err(vec![unnamed(join, view, port)]);
        }
        Ok(Ports {
            shared: shared.into_iter().cloned().collect(),
            lacking: lacking.into_iter().map(|p| p.number).collect(),
        })
    }

    /// What the port of the failover speaks.
    pub fn protocol(&self, join: &Join) -> Protocol {
        let port = self.shared.iter().find(|p| p.number == join.service.port);
        port.map_or(Protocol::Http, |p| Protocol::spoken(&p.speaks))
    }

    /// What is worth knowing of ports that stay at home.
    pub fn notes(&self, join: &Join, view: &View<'_>) -> Option<Problem> {
        if self.lacking.is_empty() {
            return None;
        }
        let list = self.lacking.iter().map(u16::to_string).collect::<Vec<_>>().join(", ");
        let what = format!(
            "port {list} of {}/{} on `{}` is not on every other cluster: it does not fail over",
            join.service.namespace, join.service.name, view.caller
        );
        Some(join.origin.about(Problem::note("FCT0384", what), "/spec/order"))
    }
}

fn unnamed(join: &Join, view: &View<'_>, port: &Port) -> Problem {
    let what = format!(
        "port {} of {}/{} on `{}` has no name, and endpoints of other clusters join a port by its name",
        port.number, join.service.namespace, join.service.name, view.caller
    );
    let hint = "name the Service's port, for example http; a name may be given to a running Service";
    let pointer = view.own.map_or("/spec/service/port", |s| s.backend.pointer.as_str());
    join.origin.about(Problem::error("FCT0383", what).hint(hint), pointer)
}
