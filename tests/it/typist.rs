//! Commands typed as the reader of a guide types them, into bash, with a kubeconfig, a fleet document and a folder.
//! May not know what serves the clusters.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Empty};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tempfile::TempDir;
use tokio::process::Command;

use crate::support;

/// Somebody at a terminal.
pub struct Typist {
    pub folder: TempDir,
    pub kubeconfig: PathBuf,
    pub fleet: PathBuf,
    /// Where failctl keeps what it must not forget.
    pub state: PathBuf,
}

/// What a command did.
pub struct Typed {
    pub ok: bool,
    pub out: String,
    pub err: String,
}

impl Typist {
    /// Types a command line into bash, as the reader of a guide does. `failctl` is the one under test.
    pub async fn try_type(&self, line: &str) -> Typed {
        let out = self.command(line).output().await.unwrap();
        let text = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
        Typed { ok: out.status.success(), out: text(&out.stdout), err: text(&out.stderr) }
    }

    /// The same, and it must succeed.
    pub async fn type_(&self, line: &str) -> String {
        let typed = self.try_type(line).await;
        assert!(typed.ok, "$ {line}\n{}{}", typed.out, typed.err);
        typed.out
    }

    /// Types a command that goes on in the background; it ends when it is dropped.
    pub fn background(&self, line: &str) -> tokio::process::Child {
        self.command(&format!("exec {line}")).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap()
    }

    fn command(&self, line: &str) -> Command {
        let mut command = Command::new("bash");
        let path = |program: &Path| program.parent().unwrap().display().to_string();
        let own = std::env::var("PATH").unwrap_or_default();
        command.args(["-c", line]).current_dir(self.folder.path()).stdin(Stdio::null());
        command.env("PATH", format!("{}:{}:{own}", path(&support::failctl()), path(support::kubectl())));
        command.env("KUBECONFIG", &self.kubeconfig).env("FAILCTL_FILE", &self.fleet);
        command.env("XDG_STATE_HOME", &self.state).env("HOME", self.folder.path());
        command
    }

    /// Writes the documents of a fixture whose text contains `what` into a file, and returns its name.
    pub fn documents(&self, fixture: &str, what: &[&str], name: &str) -> String {
        let text = std::fs::read_to_string(support::root().join(fixture)).unwrap();
        let wanted = |d: &&str| what.iter().any(|w| d.contains(w));
        let picked: Vec<&str> = text.split("\n---\n").filter(wanted).collect();
        assert_eq!(picked.len(), what.len(), "{fixture}: {what:?}");
        std::fs::write(self.folder.path().join(name), picked.join("\n---\n")).unwrap();
        name.into()
    }

    /// The URL of a cluster's gateway, as `failctl gateway url` prints it.
    pub async fn gateway(&self, cluster: &str) -> String {
        self.type_(&format!("failctl gateway url {cluster}")).await.trim().to_string()
    }

    /// The address of the first Pod that a selector finds.
    pub async fn pod_ip(&self, context: &str, selector: &str) -> String {
        let path = "-o jsonpath={.items[0].status.podIP}";
        self.type_(&format!("kubectl --context {context} get pods -l {selector} {path}")).await
    }
}

/// One request: the body without quotes and blanks, or the status when it is not 200, or why nothing came.
pub async fn answer(method: &str, url: &str) -> String {
    let client = Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build_http::<Empty<Bytes>>();
    let request = http::Request::builder().method(method).uri(url).body(Empty::new()).unwrap();
    let talk = async {
        let response = client.request(request).await.map_err(|_| "no answer")?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|_| "cut")?.to_bytes();
        Ok::<_, &str>((status, String::from_utf8_lossy(&body).into_owned()))
    };
    match tokio::time::timeout(Duration::from_secs(5), talk).await {
        Err(_) => "timeout".into(),
        Ok(Err(why)) => why.into(),
        Ok(Ok((status, body))) if status == 200 => body.trim().trim_matches('"').to_string(),
        Ok(Ok((status, _))) => status.as_str().to_string(),
    }
}

/// Asks until the answer is as expected, for as long as `patience`.
pub async fn until(url: &str, expected: &str, patience: u64) {
    let start = Instant::now();
    loop {
        let got = answer("GET", url).await;
        if got == expected {
            return;
        }
        assert!(
            start.elapsed() < Duration::from_secs(patience),
            "{url} answers {got}, not {expected}, after {patience} s"
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
