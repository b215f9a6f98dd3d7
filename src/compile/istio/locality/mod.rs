//! Istio, transparently: a Service that several clusters answer under its own name. What comes in: joins. What goes out:
//! in each cluster of callers a ServiceEntry with the other clusters' gateways as endpoints, a DestinationRule that puts
//! them in order, and a Service where there is none; in each cluster that answers, a server that lets the host through.
//! docs/istio-locality.md gives every field its reason. May not know: clusters, files, who asked.

mod entry;
mod expose;
mod ports;
mod rule;
pub mod view;

use super::intent::{Intent, Join};
use super::{Job, Objects};
use crate::model::problem::Problem;
use ports::Ports;
use view::View;

/// Writes every join.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects, problems: &mut Vec<Problem>) {
    for join in &intent.joins {
        expose::write(job, join, objects, problems);
        for view in join.views() {
            caller(job, join, &view, objects, problems);
        }
    }
}

fn caller(job: &Job<'_>, join: &Join, view: &View<'_>, objects: &mut Objects, problems: &mut Vec<Problem>) {
    let ports = match Ports::of(job, join, view) {
        Ok(ports) => ports,
        Err(found) => return problems.extend(found),
    };
    problems.extend(ports.notes(join, view));
    entry::write(job, join, view, &ports, objects, problems);
    rule::write(job, join, view, objects, problems);
}
