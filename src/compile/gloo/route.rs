//! The route at the edge of the primary, with retries that reach the backup. What may repeat a request that was sent
//! is only for methods that are safe to repeat, or where the document says `idempotent: true`.

use super::super::Made;
use super::super::retry::{HARMLESS, REPEATING, SAFE};
use super::{Job, manifest, names};
use crate::manifest::{Hold, Wave};
use crate::model::failover::RouteIntent;
use crate::model::problem::Problem;
use crate::resource::virtual_service::{
    Destination, Matcher, PreviousPriorities, Retries, Route, RouteAction, RouteOptions, VirtualHost, VirtualService,
};
use crate::resource::{Meta, Object};

/// The first Gloo release with `retries.previousPriorities` (kgateway-dev/kgateway#9523, June 2024).
const PREVIOUS_PRIORITIES: (u32, u32, u32) = (1, 17, 0);

/// Writes the routes, if the failover has one.
pub fn write(job: &Job<'_>, made: &mut Made) {
    let Some(intent) = &job.failover.route else { return };
    let spec = |domains: &[String]| VirtualService {
        virtual_host: VirtualHost { domains: domains.to_vec(), routes: routes(job, intent) },
    };
    let mut places = job.site.serving(&job.primary.cluster.name, &intent.hosts);
    if places.is_empty() {
        let namespace = job.primary.gloo.namespace.as_str();
        places.push(crate::resource::Reference::new(names::virtual_service(&intent.hosts), namespace));
    }
    for reference in places {
        let owner = job.failover.name.as_str();
        let meta = Meta::new(reference.name, reference.namespace).labels(names::labels(owner));
        let path = ["spec", "virtualHost", "routes"].map(str::to_string).to_vec();
        let hold = Hold::Items { path, key: "name".into() };
        let body = Object::new(meta, spec(&intent.hosts)).body();
        made.manifests.push(manifest(job.primary, body, hold, Wave::Routes));
    }
    made.problems.extend(notes(job));
}

/// One route where all requests are alike, else one for safe methods and one for the rest; the picky one first.
fn routes(job: &Job<'_>, intent: &RouteIntent) -> Vec<Route> {
    let retry = &job.failover.retry;
    let name = |safe| names::route(&job.failover.name, safe);
    match (retry.attempts, retry.idempotent) {
        (0, _) => vec![route(job, intent, name(false), &[], None)],
        (_, true) => vec![route(job, intent, name(false), &[], Some(REPEATING))],
        (_, false) => vec![
            route(job, intent, name(true), &SAFE, Some(REPEATING)),
            route(job, intent, name(false), &[], Some(HARMLESS)),
        ],
    }
}

fn route(job: &Job<'_>, intent: &RouteIntent, name: String, methods: &[&'static str], retry_on: Option<&str>) -> Route {
    let retry = &job.failover.retry;
    let retries = retry_on.map(|conditions| Retries {
        num_retries: retry.attempts,
        // A request that may not be repeated gains nothing from being cut short.
        per_try_timeout: (conditions == REPEATING).then(|| retry.per_try_timeout.into()),
        previous_priorities: leaves_priorities(job).then_some(PreviousPriorities { update_frequency: 1 }),
        retry_on: conditions.into(),
    });
    Route {
        matchers: vec![Matcher { methods: methods.to_vec(), prefix: intent.prefix.clone() }],
        name,
        options: RouteOptions { retries, timeout: intent.timeout.map(Into::into) },
        route_action: RouteAction {
            single: Destination { upstream: names::upstream(job.primary.gloo, &job.failover.primary().service) },
        },
    }
}

fn leaves_priorities(job: &Job<'_>) -> bool {
    let (major, minor, patch) = PREVIOUS_PRIORITIES;
    job.primary.gloo.version.at_least(major, minor, patch)
}

fn notes(job: &Job<'_>) -> Vec<Problem> {
    let mut notes = Vec::new();
    if job.failover.retry.attempts == 0 {
        return notes;
    }
    if !leaves_priorities(job) {
        let version = &job.primary.gloo.version;
        let (a, b, c) = PREVIOUS_PRIORITIES;
        let what = format!(
            "Gloo {version} on `{}` has no retries.previousPriorities (it came with {a}.{b}.{c}): until a loss is detected, \
             retries go to the same lost cluster and requests fail",
            job.primary.cluster.name
        );
        let hint = format!("upgrade Gloo on the primary to {a}.{b}.{c} or later, or detect faster");
        let index = job.fleet.clusters.get_index_of(&job.primary.cluster.name).unwrap_or_default();
        notes.push(
            Problem::warning("FCT0315", what).hint(hint).about_fleet(format!("/spec/clusters/{index}/gloo/version")),
        );
    }
    if !job.failover.retry.idempotent {
        let what = "requests with methods other than GET, HEAD, OPTIONS and TRACE are never repeated once they were sent: \
                    those under way when the primary dies are lost";
        let hint = "if the service takes the same request twice without harm, write retries.idempotent: true";
        notes.push(job.about(Problem::note("FCT0316", what).hint(hint), "/spec/retries"));
    }
    notes
}
