//! etcd: where an API server keeps its objects, and how they are put back as they were.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use anyhow::{Context, ensure};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::process::{Process, Program};
use super::{net, system_program};

/// A running etcd.
pub struct Etcd {
    process: Process,
    /// Where clients find it.
    pub url: String,
}

/// Keys and values as they were at some time.
pub struct Snapshot(BTreeMap<String, String>);

impl Etcd {
    /// Starts one at an address of its own.
    pub fn start(ip: IpAddr, dir: &Path) -> anyhow::Result<Etcd> {
        let (url, peers) = (format!("http://{ip}:2379"), format!("http://{ip}:2380"));
        // A name of its own tells it from another one that answers at the same address.
        let name = hex::encode(rand::random::<[u8; 8]>());
        let args = [
            format!("--name={name}"),
            format!("--data-dir={}", dir.join("etcd").display()),
            "--unsafe-no-fsync".into(),
            "--log-level=warn".into(),
            "--auto-compaction-retention=0".into(),
            format!("--listen-client-urls={url}"),
            format!("--advertise-client-urls={url}"),
            format!("--listen-peer-urls={peers}"),
            format!("--initial-advertise-peer-urls={peers}"),
            format!("--initial-cluster={name}={peers}"),
        ];
        let mut process = Program::new("etcd", system_program("etcd", "etcd-server")?, dir, &args).start()?;
        let members = format!("{url}/v3/cluster/member/list");
        process.wait_until("healthy", || {
            net::get(&format!("{url}/health")).is_some_and(|(status, _)| status == 200)
                && net::post(&members, &json!({})).is_ok_and(|(_, told)| String::from_utf8_lossy(&told).contains(&name))
        })?;
        Ok(Etcd { process, url })
    }

    /// The process id.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    fn ask(&self, what: &str, body: &Value) -> anyhow::Result<Value> {
        let (status, answer) = net::post(&format!("{}/v3/kv/{what}", self.url), body)?;
        ensure!(status == 200, "etcd refused {what}: {}", String::from_utf8_lossy(&answer));
        Ok(serde_json::from_slice(&answer)?)
    }

    /// Everything Kubernetes keeps here.
    pub fn snapshot(&self) -> anyhow::Result<Snapshot> {
        let (from, to) = (BASE64_STANDARD.encode("/registry/"), BASE64_STANDARD.encode("/registry0"));
        let answer = self.ask("range", &json!({"key": from, "range_end": to}))?;
        let text = |pair: &Value, name: &str| pair[name].as_str().unwrap_or_default().to_owned();
        let mut kept = BTreeMap::new();
        for pair in answer["kvs"].as_array().into_iter().flatten() {
            let key = String::from_utf8(BASE64_STANDARD.decode(text(pair, "key"))?).context("a key that is no text")?;
            kept.insert(key, text(pair, "value"));
        }
        Ok(Snapshot(kept))
    }

    /// Puts back what a test may have touched. What the control plane itself keeps writing (leases, its own namespaces,
    /// counters of what is handed out) stays as it is.
    pub fn restore(&self, then: &Snapshot) -> anyhow::Result<()> {
        let now = self.snapshot()?;
        for key in now.0.keys().filter(|k| !then.0.contains_key(*k) && !own(k)) {
            self.ask("deleterange", &json!({"key": BASE64_STANDARD.encode(key)}))?;
        }
        for (key, value) in then.0.iter().filter(|(k, v)| now.0.get(*k) != Some(*v) && !own(k)) {
            self.ask("put", &json!({"key": BASE64_STANDARD.encode(key), "value": value}))?;
        }
        Ok(())
    }
}

/// Whether a key is the control plane's own and changes without a test.
fn own(key: &str) -> bool {
    let parts: Vec<&str> = key.trim_start_matches("/registry/").split('/').collect();
    let kinds =
        ["masterleases", "leases", "ranges", "flowschemas", "prioritylevelconfigurations", "apiregistration.k8s.io"];
    kinds.contains(&parts[0]) || parts.iter().any(|p| p.starts_with("kube-"))
}
