//! Istio, transparently: a Service that several clusters answer under its own name. What comes in: joins. What goes out:
//! in each cluster of callers a ServiceEntry with the other clusters' gateways as endpoints, a DestinationRule that puts
//! them in order, and a Service where there is none; in each cluster that answers, a server that lets the host through.
//! docs/targets/istio-transparent.md gives every field its reason. May not know: clusters, files, who asked.

mod entry;
mod expose;
mod guard;
mod order;
mod ports;
mod rule;
pub(super) mod version;
mod view;
mod way;

use super::intent::{Intent, Join};
use super::{Job, Objects};
use crate::model::problem::Problem;
use ports::Ports;
use view::View;
use way::Way;

/// Writes every join.
pub fn write(job: &Job<'_>, intent: &Intent, objects: &mut Objects, problems: &mut Vec<Problem>) {
    for join in &intent.joins {
        expose::write(job, join, objects, problems);
        join.backends().for_each(|b| version::answering(job, join, b, objects));
        for view in join.views() {
            if let Err(found) = caller(job, join, &view, objects, problems) {
                problems.extend(found);
            }
        }
    }
}

/// What callers in one cluster need.
fn caller(
    job: &Job<'_>,
    join: &Join,
    view: &View<'_>,
    objects: &mut Objects,
    problems: &mut Vec<Problem>,
) -> Result<(), Vec<Problem>> {
    let ports = Ports::of(job, join, view)?;
    let way = Way::of(job, join, view)?;
    let setting = order::setting(job, join, view, &way).map_err(|p| vec![p])?;
    problems.extend(ports.notes(join, view));
    entry::write(job, join, view, &ports, &way, objects, problems);
    rule::write(job, join, view, setting, objects, problems);
    version::write(job, join, view, ports.protocol(join), objects);
    Ok(())
}
