//! A drill as a value: what is broken, under which load, what is tolerated.
//! May not know: files, clusters.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::fault::Fault;
use crate::model::duration::Millis;
use crate::model::name::ClusterName;

/// What a drill is expected to show.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Expected {
    /// Every request is answered.
    #[default]
    NoLoss,
    /// Every request is answered, and the primary serves at the end of the fault as before it: nobody needs to move, as
    /// when a control plane dies, or a process that is started again at once.
    Stays,
    /// Nobody is left to answer: the drill passes only if the outage is seen.
    Outage,
}

impl Expected {
    /// The word of documents and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Expected::NoLoss => "no-loss",
            Expected::Stays => "stays",
            Expected::Outage => "outage",
        }
    }
}

/// The load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Load {
    /// Requests started per second and target that says nothing else, whether or not earlier ones have ended.
    pub rate: u32,
    /// How many of them start at the same moment.
    pub burst: u32,
    /// Load before the fault; also the pre-flight check.
    pub warmup: Millis,
    /// How long a service that is not well at first is waited for; zero refuses at once.
    pub ready_within: Millis,
    /// How long the fault lasts.
    pub during: Millis,
    /// How long to wait at most for the primary after healing.
    pub after: Millis,
    /// How long the primary must serve alone before the drill calls it settled.
    pub settle: Millis,
    /// How long one request may take.
    pub timeout: Millis,
    /// Requests in flight at most, per target; a start beyond it is counted as missed.
    pub max_in_flight: u32,
}

impl Default for Load {
    fn default() -> Self {
        Load {
            rate: 100,
            burst: 1,
            warmup: Millis::secs(5),
            ready_within: Millis(0),
            during: Millis::secs(15),
            after: Millis::secs(30),
            settle: Millis::secs(2),
            timeout: Millis::secs(10),
            max_in_flight: 2000,
        }
    }
}

/// What is tolerated. A limit that is not set is not judged, but for `max_failed`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tolerances {
    /// Lost requests.
    pub max_failed: u64,
    /// Answers cut after their headers.
    pub max_cut: Option<u64>,
    /// Fault → the gateway's Envoy no longer uses the primary.
    pub max_detection: Option<Millis>,
    /// Fault → only the backup answers.
    pub max_failover: Option<Millis>,
    /// Healing → only the primary answers.
    pub max_failback: Option<Millis>,
}

/// One service under load.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name in reports.
    pub name: String,
    /// The failover that protects it, if one is named.
    pub failover: Option<String>,
    /// `article` or `recommended` in the demo's comparison; else a word of the user.
    pub policy: Option<String>,
    /// The failover through whose gateway requests come in, where it is not the one under test: an edge above a mesh.
    pub through: Option<String>,
    /// Where requests go. Default: the gateway of the failover's primary cluster.
    pub url: Option<String>,
    /// The path to ask for there. Default: the URL's, or the prefix of the failover's route.
    pub path: Option<String>,
    /// The Host header, where it is not the URL's.
    pub host: Option<String>,
    /// Requests per second, where they are not those of the load.
    pub rate: Option<u32>,
    /// How to tell who answered.
    pub answers: Answers,
}

impl Target {
    /// Requests started per second under this load.
    pub fn rate(&self, load: &Load) -> u32 {
        self.rate.unwrap_or(load.rate)
    }
}

/// The gateway by which a target's requests enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its cluster.
    pub cluster: ClusterName,
    /// The other clusters the service runs on, in order.
    pub others: Vec<ClusterName>,
}

/// How to tell who answered.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answers {
    /// A response header whose value names who answered; default: the first line of the body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<String>,
    /// A regular expression for that text: its first group (or all of it) names who answered, wherever it stands in the
    /// first 4 KiB of the body, or in the header. An answer it does not match is lost: `wrong-answer`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// From that text to a label, for example `blue-pod: local`. A text not listed is its own label.
    #[serde(default, skip_serializing_if = "IndexMap::is_empty")]
    #[schemars(with = "std::collections::BTreeMap<String, String>")]
    pub labels: IndexMap<String, String>,
    /// The labels of the primary; default: its cluster's name if a label is that, else whoever answers before the fault.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub primary: Vec<String>,
}

/// One step: a fault, and how long to wait before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultStep {
    /// What is broken.
    pub fault: Fault,
    /// How long to wait before the next fault. The last one lasts as long as the load says.
    pub then_wait: Millis,
}

/// A drill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Its name.
    pub name: String,
    /// The services under load, side by side under the same fault.
    pub targets: Vec<Target>,
    /// The faults, in order. Never empty.
    pub faults: Vec<FaultStep>,
    /// The load.
    pub load: Load,
    /// What is tolerated.
    pub tolerances: Tolerances,
    /// What is expected.
    pub expected: Expected,
    /// Start although the pre-flight check says that the service is not well.
    pub force: bool,
}

impl Scenario {
    /// The fault's word in reports: the kinds of its parts, joined with `+`.
    pub fn fault_name(&self) -> String {
        self.faults.iter().map(|f| f.fault.kind()).collect::<Vec<_>>().join("+")
    }

    /// The longest the load can last.
    pub fn longest(&self) -> Millis {
        let between: u64 = self.faults.iter().map(|f| f.then_wait.0).sum();
        Millis(self.load.warmup.0 + self.load.ready_within.0 + between + self.load.during.0 + self.load.after.0)
    }
}
