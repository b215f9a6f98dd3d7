//! The real kubectl against an API server over HTTPS, verb by verb: the sandbox's here, a real one in the control-plane ring.

mod access;
mod applying;
mod changing;
mod creating;
mod custom;
mod fleets;
mod reading;
mod waiting;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::ground::ApiServer;
use crate::support;

/// How long kubectl may take for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// An API server and a place for kubectl's files.
struct Cluster {
    server: ApiServer,
    _runtime: Runtime,
    home: TempDir,
}

impl Cluster {
    fn start() -> Cluster {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let server = runtime.block_on(ApiServer::start());
        Cluster::over(server, runtime)
    }

    fn over(server: ApiServer, runtime: Runtime) -> Cluster {
        let home = tempfile::tempdir().unwrap();
        let config = serde_json::to_string(&server.kubeconfig("test")).unwrap();
        std::fs::write(home.path().join("kubeconfig"), config).unwrap();
        Cluster { server, _runtime: runtime, home }
    }

    /// A file for kubectl to read.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.home.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn command(&self) -> Command {
        let mut command = Command::new(support::kubectl());
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home.path())
            .env("KUBECONFIG", self.home.path().join("kubeconfig"))
            .current_dir(self.home.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs kubectl with words and one text for its stdin.
    fn run(&self, words: &[&str], input: &str) -> Output {
        let mut command = self.command();
        command.args(words).stdin(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        finish(child, &words.join(" "))
    }

    /// What a command prints that succeeds. Words are parted at spaces.
    fn ok(&self, line: &str) -> String {
        self.all(&line.split(' ').collect::<Vec<_>>(), "")
    }

    /// The same with words that have spaces, and with an input.
    fn all(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert!(
            output.status.success(),
            "kubectl {}\n{}{}",
            words.join(" "),
            text(&output.stdout),
            text(&output.stderr)
        );
        text(&output.stdout)
    }

    /// Applies a document.
    fn apply(&self, document: &str) -> String {
        self.all(&["apply", "-f", "-"], document)
    }

    /// What a command says that fails.
    fn fails(&self, line: &str) -> String {
        self.refused(&line.split(' ').collect::<Vec<_>>(), "")
    }

    /// The same with words that have spaces, and with an input.
    fn refused(&self, words: &[&str], input: &str) -> String {
        let output = self.run(words, input);
        assert!(!output.status.success(), "kubectl {} succeeded:\n{}", words.join(" "), text(&output.stdout));
        text(&output.stderr)
    }

    /// An object as it is stored, owners included.
    fn object(&self, line: &str) -> Value {
        serde_json::from_str(&self.ok(&format!("get {line} -o json --show-managed-fields"))).unwrap()
    }

    /// A field of an object.
    fn field(&self, line: &str, path: &str) -> String {
        let path = format!("jsonpath={{{path}}}");
        let mut words = vec!["get"];
        words.extend(line.split(' '));
        words.extend(["-o", &path]);
        self.all(&words, "")
    }

    /// kubectl in the background.
    fn background(&self, line: &str) -> Child {
        let mut command = self.command();
        command.args(line.split(' '));
        command.spawn().unwrap()
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Waits for what a server does in its own time.
fn until(what: &str, test: impl Fn() -> bool) {
    let begun = Instant::now();
    while !test() {
        assert!(begun.elapsed() < PATIENCE, "in vain: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits for a child, and ends it if it takes too long.
fn finish(mut child: Child, what: &str) -> Output {
    let begun = Instant::now();
    // A child that prints much must be read while it runs.
    let mut streams = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    let out = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut streams.0, &mut bytes).map(|_| bytes)
    });
    let err = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut streams.1, &mut bytes).map(|_| bytes)
    });
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if begun.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("kubectl {what} took longer than {PATIENCE:?}");
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    Output { status, stdout: out.join().unwrap().unwrap(), stderr: err.join().unwrap().unwrap() }
}

const WEB: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 2
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers:
      - name: server
        image: hashicorp/http-echo
        ports: [{containerPort: 5678}]
      - name: proxy
        image: envoyproxy/envoy:v1.14.2
";

const SETTINGS: &str = "
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue, size: \"1\"}
";
