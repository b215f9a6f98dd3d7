//! A sandbox on screen: one report value, as table and for scripts.

use serde::Serialize;

use crate::report::API_VERSION;
use crate::report::table::table;
use crate::sandbox::View;

/// What `sandbox status` and `sandbox up` print.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report {
    api_version: &'static str,
    kind: &'static str,
    state: State,
    #[serde(flatten)]
    view: Option<View>,
}

/// Whether a sandbox runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// It runs.
    Up,
    /// It does not run; its objects are on disk.
    Down,
    /// There is none.
    Absent,
}

impl Report {
    pub(super) fn new(state: State, view: Option<View>) -> Self {
        Report { api_version: API_VERSION, kind: "SandboxStatus", state, view }
    }

    /// The clusters, one per line.
    pub(super) fn text(&self) -> String {
        let Some(view) = &self.view else { return String::new() };
        let rows = view.clusters.iter().map(|c| {
            vec![
                c.name.clone(),
                c.context.clone(),
                c.power.to_string(),
                c.api.clone(),
                c.gateway.clone().unwrap_or_else(|| "-".into()),
                format!("{}/{}", c.region, c.zone),
                format!("{}/{}", c.pods_ready, c.pods),
            ]
        });
        table(["CLUSTER", "CONTEXT", "POWER", "API", "GATEWAY", "LOCALITY", "PODS"], rows)
    }
}
