//! Asks istiods what they send to proxies, through `xds-client` (tests/controlplane/istio/xds-client).

use std::io::Write;
use std::process::{Command, Stdio};

use anyhow::{Context, ensure};
use failctl::routing::istio::Workload;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kit::program;

/// One proxy's question.
#[derive(Serialize)]
pub struct Asked {
    address: String,
    node: String,
    metadata: Value,
    words: Vec<String>,
    listeners: Vec<String>,
    routes: Vec<String>,
}

/// What it is sent, as far as it asked.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub struct Answer {
    /// CDS.
    pub clusters: Option<Vec<Value>>,
    /// EDS.
    pub endpoints: Option<Vec<Value>>,
    /// LDS.
    pub listeners: Option<Vec<Value>>,
    /// RDS.
    pub routes: Option<Vec<Value>>,
}

impl Asked {
    /// The question of a workload of a cluster about hosts whose names hold one of the words.
    pub fn new(istiod: String, cluster: &str, workload: &Workload, words: Vec<String>) -> Asked {
        let mut metadata = json!({"CLUSTER_ID": cluster, "NAMESPACE": workload.namespace, "ISTIO_VERSION": "1.31.0",
            "LABELS": workload.labels, "SERVICE_ACCOUNT": workload.account, "INTERCEPTION_MODE": "NONE"});
        if !workload.network.is_empty() {
            metadata["NETWORK"] = json!(workload.network);
        }
        if !workload.view.is_empty() {
            metadata["REQUESTED_NETWORK_VIEW"] = json!(workload.view.join(","));
        }
        Asked {
            address: istiod,
            node: workload.node_id("cluster.local"),
            metadata,
            words,
            listeners: Vec::new(),
            routes: Vec::new(),
        }
    }

    /// Also these listeners and route tables.
    pub fn with(mut self, listeners: &[&str], routes: &[&str]) -> Asked {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        (self.listeners, self.routes) = (own(listeners), own(routes));
        self
    }
}

/// Asks for all of them; each is a connection of its own.
pub fn ask(all: &[Asked]) -> anyhow::Result<Vec<Answer>> {
    let questions = serde_json::to_vec(all)?;
    let mut command = Command::new(program("xds-client")?);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    // It reads everything before it writes anything. Its own words come before those of a pipe that broke.
    let told = child.stdin.take().map(|mut pipe| pipe.write_all(&questions));
    let out = child.wait_with_output()?;
    ensure!(out.status.success(), "xds-client: {}", String::from_utf8_lossy(&out.stderr));
    told.context("a pipe to xds-client")??;
    Ok(serde_json::from_slice(&out.stdout)?)
}
