//! Sandboxes for tests: in-process, asked through kubectl, failctl and HTTP like any fleet.
//! No test may reach around the Kubernetes API, the gateways' addresses and the Pods' own ports.

use std::ops::Deref;
use std::path::PathBuf;

use failctl::sandbox::stack::Stack;
use failctl::sandbox::{Options, Sandbox, cluster};
use tempfile::TempDir;

use crate::envoys::envoy;
use crate::support;
use crate::typist::Typist;
pub use crate::typist::{answer, until};

/// A sandbox of its own, with somebody who types commands.
pub struct Lab {
    pub sandbox: Sandbox,
    typist: Typist,
    _state: TempDir,
}

impl Deref for Lab {
    type Target = Typist;

    fn deref(&self) -> &Typist {
        &self.typist
    }
}

impl Lab {
    pub async fn up(clusters: &str) -> Lab {
        Lab::stack(Stack::Gloo, clusters).await
    }

    /// The article's three clusters: Service Mesh Hub on the first, Istio on the others.
    pub async fn article() -> Lab {
        Lab::stack(Stack::Hub, Stack::Hub.default_clusters()).await
    }

    pub async fn stack(stack: Stack, clusters: &str) -> Lab {
        let state = tempfile::tempdir().unwrap();
        let options = Options {
            name: "lab".into(),
            clusters: stack.on(cluster::parse(clusters).unwrap()),
            dir: state.path().join("lab"),
            envoy: envoy().await,
            executable: support::failctl(),
            block: None,
        };
        let sandbox = Sandbox::up(options, &|_| ()).await.unwrap_or_else(|e| panic!("{e:#}"));
        let typist = Typist {
            folder: tempfile::tempdir().unwrap(),
            kubeconfig: sandbox.kubeconfig(),
            fleet: sandbox.fleet(),
            state: state.path().to_owned(),
        };
        Lab { sandbox, typist, _state: state }
    }

    /// The guide's two clusters under the guide's contexts.
    pub async fn guide() -> Lab {
        Lab::up("local=gloo-fed,remote=gloo-fed-2").await
    }

    /// Ends the sandbox; nothing of it may be left.
    pub async fn down(self) {
        let dir: PathBuf = self.sandbox.dir().to_owned();
        self.sandbox.down().await.unwrap();
        assert!(!dir.exists());
    }
}
