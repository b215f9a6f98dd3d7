//! `kind: Scenario`: the drill document as it is written, and its way into a [`Scenario`].
//! What comes in: a document body. What goes out: a scenario, or every problem.
//! May not know: files, clusters.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::fault::Fault;
use super::scenario::{Answers, Expected, FaultStep, Load, Scenario, Target, Tolerances};
use crate::model::duration::Millis;
use crate::model::problem::Problem;

/// The kind of the document.
pub const KIND: &str = "Scenario";
/// Its apiVersion.
pub const API_VERSION: &str = "failctl.dev/v1alpha1";

/// A drill document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schemars(title = "Scenario")]
pub struct ScenarioDocument {
    /// `failctl.dev/v1alpha1`.
    pub api_version: String,
    /// `Scenario`.
    pub kind: String,
    /// Its name.
    pub metadata: Metadata,
    /// The drill.
    pub spec: Spec,
}

/// The name of a document.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Metadata {
    /// Name, shown in reports.
    pub name: String,
}

/// What is broken, under which load, what is tolerated.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The failover under test: short for one target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<String>,
    /// Where requests go: short for one target. Default: the gateway of the failover's primary cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Several services side by side under the same fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<TargetSpec>,
    /// What is broken, in order. Everything is put back, the last fault first.
    pub faults: Vec<StepSpec>,
    /// The load.
    #[serde(default)]
    pub load: LoadSpec,
    /// What is tolerated.
    #[serde(default)]
    pub tolerances: TolerancesSpec,
    /// What the drill must show to pass: `no-loss` or `outage`.
    #[serde(default)]
    pub expected: Expected,
}

/// One service under load.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TargetSpec {
    /// Name in reports; default: the failover's, or the URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The failover that protects it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failover: Option<String>,
    /// The failover through whose gateway requests come in, where it is not the one under test: an edge above a mesh.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub through: Option<String>,
    /// A word that names its configuration in reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<String>,
    /// Where requests go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// The path to ask for; default: the URL's, or the prefix of the failover's route.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// The Host header, where it is not the URL's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
    /// Requests per second to this one; default: the load's `rate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<u32>")]
    pub rate: Option<u32>,
    /// How to tell who answered.
    #[serde(default)]
    pub answers: Answers,
}

/// A fault, and how long to wait before the next one.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct StepSpec {
    /// What is broken.
    pub inject: Fault,
    /// How long to wait before the next fault; default `2s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub then_wait: Option<Millis>,
}

macro_rules! load_spec {
    ($($(#[$doc:meta])* $field:ident: $type:ty as $schema:literal),* $(,)?) => {
        /// Constant-rate load: requests start on time, whether or not earlier ones have ended.
        #[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        pub struct LoadSpec {
            $($(#[$doc])*
            #[serde(default, skip_serializing_if = "Option::is_none")]
            #[schemars(with = $schema)]
            pub $field: Option<$type>,)*
        }

        impl LoadSpec {
            fn load(self) -> Load {
                let default = Load::default();
                Load { $($field: self.$field.unwrap_or(default.$field)),* }
            }
        }
    };
}

load_spec! {
    /// Requests per second and target; default 100.
    rate: u32 as "Option<u32>",
    /// How many of them start at the same moment; default 1: they come one by one.
    burst: u32 as "Option<u32>",
    /// Load before the fault; default `5s`.
    warmup: Millis as "Option<String>",
    /// How long a service that is not well at first is waited for; default `0s`: the drill is refused at once.
    ready_within: Millis as "Option<String>",
    /// How long the fault lasts; default `15s`.
    during: Millis as "Option<String>",
    /// How long to wait at most for the primary after healing; default `30s`.
    after: Millis as "Option<String>",
    /// How long the primary must serve alone to be settled; default `2s`.
    settle: Millis as "Option<String>",
    /// How long one request may take; default `10s`.
    timeout: Millis as "Option<String>",
    /// Requests in flight at most, per target; default 2000.
    max_in_flight: u32 as "Option<u32>",
}

/// Limits; one that is left out is not judged, but for `maxFailed`, which is 0.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TolerancesSpec {
    /// Lost requests; default 0.
    #[serde(default)]
    pub max_failed: u64,
    /// Answers cut after their headers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_cut_after_headers: Option<u64>,
    /// Fault to the gateway no longer using the primary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_detection: Option<Millis>,
    /// Fault to only the backup answering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_failover: Option<Millis>,
    /// Healing to only the primary answering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>")]
    pub max_failback: Option<Millis>,
}

/// Whether a document says it is a Scenario of ours.
pub fn is_scenario(body: &Value) -> bool {
    body.get("kind").and_then(Value::as_str) == Some(KIND)
        && body.get("apiVersion").and_then(Value::as_str).is_some_and(|v| v.starts_with("failctl.dev/"))
}

/// A problem, and the JSON pointer to what it is about.
pub type Found = (String, Problem);

/// Reads one document.
pub fn read(body: Value) -> Result<Scenario, Vec<Found>> {
    let document: ScenarioDocument = serde_path_to_error::deserialize(body).map_err(|e| {
        let what = format!("this Scenario cannot be read: {}: {}", e.path(), e.inner());
        vec![(pointer(e.path()), Problem::error("FCT0601", what))]
    })?;
    scenario(document)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let part = |segment: &Segment| match segment {
        Segment::Seq { index } => format!("/{index}"),
        Segment::Map { key } => format!("/{key}"),
        Segment::Enum { variant } => format!("/{variant}"),
        Segment::Unknown => String::new(),
    };
    path.iter().map(part).collect()
}

/// A document whose fields have their types → a scenario, or every problem.
pub fn scenario(document: ScenarioDocument) -> Result<Scenario, Vec<Found>> {
    let mut problems = Vec::new();
    if document.api_version != API_VERSION || document.kind != KIND {
        let what = format!("expected {API_VERSION} {KIND}, found {} {}", document.api_version, document.kind);
        problems.push(("/apiVersion".into(), Problem::error("FCT0602", what)));
    }
    let spec = document.spec;
    let targets = targets(spec.failover, spec.url, spec.targets, &mut problems);
    let load = spec.load.load();
    let faults: Vec<_> = spec.faults.into_iter().map(step).collect();
    if faults.iter().all(|f| f.fault.clusters().is_empty()) {
        let problem = Problem::error("FCT0604", "spec.faults is empty: a drill that breaks nothing proves nothing");
        let hint = "add for example `- inject: {scaleToZero: {cluster: local, deployment: echo-blue}}`";
        problems.push(("/spec/faults".into(), problem.hint(hint)));
    }
    problems.extend(check(&load).into_iter().map(|p| ("/spec/load".to_string(), p)));
    let limits = spec.tolerances;
    let tolerances = Tolerances {
        max_failed: limits.max_failed,
        max_cut: limits.max_cut_after_headers,
        max_detection: limits.max_detection,
        max_failover: limits.max_failover,
        max_failback: limits.max_failback,
    };
    for (i, why) in targets.iter().enumerate().filter_map(|(i, t)| Some((i, fits(t.rate?).err()?))) {
        let problem = Problem::error("FCT0605", why).hint("leave it out for the load's own rate");
        problems.push((format!("/spec/targets/{i}/rate"), problem));
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    Ok(Scenario {
        name: document.metadata.name,
        targets,
        faults,
        load,
        tolerances,
        expected: spec.expected,
        force: false,
    })
}

fn step(s: StepSpec) -> FaultStep {
    FaultStep { fault: s.inject, then_wait: s.then_wait.unwrap_or(Millis::secs(2)) }
}

fn targets(
    failover: Option<String>,
    url: Option<String>,
    list: Vec<TargetSpec>,
    problems: &mut Vec<Found>,
) -> Vec<Target> {
    let short = failover.is_some() || url.is_some();
    let mut say = |at: &str, what: String, hint: &str| {
        problems.push((at.to_string(), Problem::error("FCT0603", what).hint(hint)));
    };
    if short && !list.is_empty() {
        let what = "spec.failover and spec.url are short for one target; spec.targets is given too";
        say("/spec/targets", what.into(), "keep one of the two");
    }
    if !short && list.is_empty() {
        let hint = "write spec.failover (the name of a Failover document), spec.url, or spec.targets";
        say("/spec", "the Scenario names nothing to send requests to".into(), hint);
    }
    let list = if short { vec![TargetSpec { failover, url, ..TargetSpec::default() }] } else { list };
    list.into_iter()
        .enumerate()
        .map(|(i, t)| {
            let name = t.name.or_else(|| t.failover.clone()).or_else(|| t.url.clone());
            if t.url.is_none() && t.failover.is_none() {
                let at = format!("/spec/targets/{i}");
                say(&at, "this target has neither failover nor url".into(), "name a Failover document, or give a URL");
            }
            if let Some(path) = t.path.as_ref().filter(|p| !p.starts_with('/')) {
                let at = format!("/spec/targets/{i}/path");
                say(&at, format!("`{path}` is not a path"), "a path begins with /");
            }
            if let Some(Err(why)) = t.answers.pattern.as_ref().map(|p| regex::Regex::new(p)) {
                let at = format!("/spec/targets/{i}/answers/pattern");
                let what =
                    format!("the pattern cannot be read: {}", why.to_string().lines().last().unwrap_or_default());
                say(&at, what, "the syntax is that of the regex crate; put it in single quotes");
            }
            Target {
                name: name.unwrap_or_default(),
                failover: t.failover,
                through: t.through,
                policy: t.policy,
                url: t.url,
                path: t.path,
                host: t.host,
                rate: t.rate,
                answers: t.answers,
            }
        })
        .collect()
}

/// Whether so many requests a second are a load.
fn fits(rate: u32) -> Result<(), String> {
    if (1..=100_000).contains(&rate) {
        Ok(())
    } else {
        Err(format!("a rate of {rate} requests per second is not between 1 and 100000"))
    }
}

/// Limits that make a load measurable at all.
pub fn check(load: &Load) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut bad = |what: String| problems.push(Problem::error("FCT0605", what));
    if let Err(what) = fits(load.rate) {
        bad(what);
    }
    if !(1..=load.rate.max(1)).contains(&load.burst) {
        bad(format!("a burst of {} is not between 1 and the rate, {}", load.burst, load.rate));
    }
    if load.warmup.0 < 500 {
        bad(format!("a warm-up of {} is too short to see a steady state; at least 500ms", load.warmup));
    }
    if load.during.0 < 500 {
        bad(format!("a fault of {} is too short to be seen; at least 500ms", load.during));
    }
    if load.settle.0 == 0 || load.timeout.0 == 0 || load.max_in_flight == 0 {
        bad("settle, timeout and maxInFlight must be more than zero".into());
    }
    problems
}
