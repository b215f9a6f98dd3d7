//! Readiness, liveness and startup probes by HTTP and TCP.
//!
//! In: a probe, the pod's address, the container's named ports. Out: verdicts, as they change.
//! May not know: what follows from a verdict.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::{Container, HTTPGetAction, Probe};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The container may, or may not, have traffic.
    Ready(bool),
    /// The container must be started again, and why.
    Dead(String),
}

/// What the sandbox's probes cannot do with this container, if anything.
pub fn unsupported(container: &Container) -> Option<String> {
    let probes = [
        ("readinessProbe", &container.readiness_probe),
        ("livenessProbe", &container.liveness_probe),
        ("startupProbe", &container.startup_probe),
    ];
    probes.into_iter().find_map(|(name, probe)| {
        let probe = probe.as_ref()?;
        let plain = probe.http_get.as_ref().is_some_and(|h| h.scheme.as_deref().is_none_or(|s| s == "HTTP"));
        let works = plain || probe.tcp_socket.is_some();
        (!works).then(|| format!("{name}: the sandbox probes by httpGet (scheme HTTP) and tcpSocket only"))
    })
}

/// Probes a container that has just started, until the receiver is gone.
pub async fn watch(container: Container, ip: IpAddr, verdicts: mpsc::UnboundedSender<Verdict>) {
    if let Some(probe) = &container.startup_probe {
        let startup = Prober::new(probe, &container, ip, false);
        if let Some(why) = startup.until_success().await {
            let _ = verdicts.send(Verdict::Dead(format!("startup probe failed: {why}")));
            return;
        }
    }
    let readiness = async {
        match &container.readiness_probe {
            Some(probe) => Prober::new(probe, &container, ip, false).readiness(&verdicts).await,
            None => drop(verdicts.send(Verdict::Ready(true))),
        }
    };
    let liveness = async {
        if let Some(probe) = &container.liveness_probe {
            let why = Prober::new(probe, &container, ip, true).until_failure().await;
            let _ = verdicts.send(Verdict::Dead(format!("liveness probe failed: {why}")));
        }
    };
    tokio::join!(readiness, liveness);
}

struct Prober<'a> {
    probe: &'a Probe,
    container: &'a Container,
    ip: IpAddr,
    /// What is assumed before the first result.
    assumed: bool,
}

impl<'a> Prober<'a> {
    fn new(probe: &'a Probe, container: &'a Container, ip: IpAddr, assumed: bool) -> Self {
        Prober { probe, container, ip, assumed }
    }

    fn seconds(value: Option<i32>, default: u64) -> Duration {
        Duration::from_secs(value.and_then(|v| u64::try_from(v).ok()).filter(|v| *v > 0).unwrap_or(default))
    }

    /// Probes for ever; calls `told` with each change of mind, thresholds applied. Ends when `told` says so.
    async fn run(&self, mut told: impl FnMut(Result<(), String>) -> bool) {
        let initial = self.probe.initial_delay_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(initial)).await;
        let threshold = |t: Option<i32>, default| t.filter(|t| *t > 0).unwrap_or(default);
        let (needed, allowed) =
            (threshold(self.probe.success_threshold, 1), threshold(self.probe.failure_threshold, 3));
        let (mut mind, mut against) = (self.assumed, 0);
        loop {
            let result = self.once().await;
            let enough = if result.is_ok() { needed } else { allowed };
            against = if result.is_ok() == mind { 0 } else { against + 1 };
            if against >= enough {
                (mind, against) = (result.is_ok(), 0);
                if told(result) {
                    return;
                }
            }
            tokio::time::sleep(self.period(mind)).await;
        }
    }

    /// A container that is not ready yet is asked more often than it says, so that a sandbox starts quickly.
    fn period(&self, mind: bool) -> Duration {
        let period = Self::seconds(self.probe.period_seconds, 10);
        if mind { period } else { period.min(Duration::from_millis(250)) }
    }

    async fn readiness(&self, verdicts: &mpsc::UnboundedSender<Verdict>) {
        self.run(|result| verdicts.send(Verdict::Ready(result.is_ok())).is_err()).await;
    }

    async fn until_failure(&self) -> String {
        let mut why = String::new();
        self.run(|result| match result {
            Err(e) => {
                why = e;
                true
            }
            Ok(()) => false,
        })
        .await;
        why
    }

    /// None after a success; the reason when it failed as often as allowed.
    async fn until_success(&self) -> Option<String> {
        let initial = self.probe.initial_delay_seconds.and_then(|s| u64::try_from(s).ok()).unwrap_or(0);
        tokio::time::sleep(Duration::from_secs(initial)).await;
        let mut failures = 0;
        loop {
            let Err(why) = self.once().await else { return None };
            failures += 1;
            if failures >= self.probe.failure_threshold.filter(|t| *t > 0).unwrap_or(3) {
                return Some(why);
            }
            tokio::time::sleep(Self::seconds(self.probe.period_seconds, 10)).await;
        }
    }

    async fn once(&self) -> Result<(), String> {
        let timeout = Self::seconds(self.probe.timeout_seconds, 1);
        match tokio::time::timeout(timeout, self.ask()).await {
            Ok(result) => result.map_err(|e| format!("{e:#}")),
            Err(_) => Err(format!("no answer within {timeout:?}")),
        }
    }

    async fn ask(&self) -> anyhow::Result<()> {
        if let Some(get) = &self.probe.http_get {
            let address = SocketAddr::new(self.ip, self.port(&get.port)?);
            return ask_http(get, address).await;
        }
        let tcp = self.probe.tcp_socket.as_ref().context("the probe has no target")?;
        let address = SocketAddr::new(self.ip, self.port(&tcp.port)?);
        TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
        Ok(())
    }

    fn port(&self, port: &IntOrString) -> anyhow::Result<u16> {
        match port {
            IntOrString::Int(number) => Ok(u16::try_from(*number)?),
            IntOrString::String(name) => {
                let named = self.container.ports.iter().flatten().find(|p| p.name.as_ref() == Some(name));
                let port = named.with_context(|| format!("the container has no port named {name}"))?;
                Ok(u16::try_from(port.container_port)?)
            }
        }
    }
}

async fn ask_http(get: &HTTPGetAction, address: SocketAddr) -> anyhow::Result<()> {
    let stream = TcpStream::connect(address).await.with_context(|| format!("connecting to {address}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let mut request = hyper::Request::get(get.path.as_deref().unwrap_or("/"))
        .header("user-agent", "kube-probe/1.33")
        .header("accept", "*/*")
        .header("connection", "close");
    let own_host = get.http_headers.iter().flatten().any(|h| h.name.eq_ignore_ascii_case("host"));
    if !own_host {
        request = request.header("host", address.to_string());
    }
    for header in get.http_headers.iter().flatten() {
        request = request.header(&header.name, &header.value);
    }
    let mut driver = tokio::task::JoinSet::new();
    driver.spawn(connection);
    let response = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
    let status = response.status().as_u16();
    if !(200..400).contains(&status) {
        bail!("HTTP probe failed with statuscode: {status}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    fn container(probe: serde_json::Value) -> Container {
        serde_json::from_value(json!({
            "name": "c", "ports": [{"name": "web", "containerPort": 8099}], "readinessProbe": probe
        }))
        .unwrap()
    }

    /// Answers one request per connection with the status told.
    async fn answering(address: &str, status: std::sync::Arc<std::sync::atomic::AtomicU16>) {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let _ = stream.read(&mut [0; 1024]).await;
            let status = status.load(std::sync::atomic::Ordering::SeqCst);
            let _ = stream.write_all(format!("HTTP/1.1 {status} x\r\ncontent-length: 0\r\n\r\n").as_bytes()).await;
        }
    }

    #[tokio::test]
    async fn readiness_follows_the_answer_to_a_named_port() {
        let status = std::sync::Arc::new(std::sync::atomic::AtomicU16::new(503));
        tokio::spawn(answering("127.29.42.7:8099", status.clone()));
        let (tx, mut verdicts) = mpsc::unbounded_channel();
        let probe = json!({"httpGet": {"port": "web", "path": "/ready"}, "periodSeconds": 1, "failureThreshold": 1});
        let task = tokio::spawn(watch(container(probe), [127, 29, 42, 7].into(), tx));
        let silent = tokio::time::timeout(Duration::from_millis(400), verdicts.recv()).await;
        assert!(silent.is_err(), "{silent:?}");
        status.store(200, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(verdicts.recv().await, Some(Verdict::Ready(true)));
        status.store(503, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(verdicts.recv().await, Some(Verdict::Ready(false)));
        task.abort();
    }

    #[tokio::test]
    async fn a_liveness_probe_that_fails_says_the_container_is_dead() {
        let mut container = container(json!(null));
        let probe = json!({"tcpSocket": {"port": 9}, "failureThreshold": 1});
        container.liveness_probe = Some(serde_json::from_value(probe).unwrap());
        let (tx, mut verdicts) = mpsc::unbounded_channel();
        tokio::spawn(watch(container, [127, 29, 42, 8].into(), tx));
        assert_eq!(verdicts.recv().await, Some(Verdict::Ready(true)));
        assert!(matches!(verdicts.recv().await, Some(Verdict::Dead(why)) if why.contains("127.29.42.8:9")));
    }

    #[test]
    fn probes_that_cannot_be_made_are_named() {
        let said = unsupported(&container(json!({"exec": {"command": ["true"]}}))).unwrap();
        assert!(said.contains("readinessProbe"), "{said}");
        assert_eq!(unsupported(&container(json!({"tcpSocket": {"port": 1}}))), None);
    }
}
