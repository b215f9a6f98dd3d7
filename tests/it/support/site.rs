//! A sandbox in a process of its own with the sample service, used as a user does: by commands and requests.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{failctl, root};

/// A sandbox of its own with the sample service, taken down at the end.
pub struct Site {
    /// Where commands run.
    pub dir: tempfile::TempDir,
    name: &'static str,
    /// Its kubeconfig.
    pub kubeconfig: PathBuf,
    /// Where the primary's gateway is reached.
    gateway: String,
}

impl Site {
    /// A sandbox of this name, with the sample failover applied and well.
    pub fn up(name: &'static str) -> Site {
        let dir = tempfile::tempdir().unwrap();
        let mut site = Site { dir, name, kubeconfig: PathBuf::new(), gateway: String::new() };
        site.good(&["sandbox", "up", "--name", name]);
        let path = |site: &Site, what| String::from_utf8(site.good(&["sandbox", what, "--name", name]).stdout).unwrap();
        site.kubeconfig = PathBuf::from(path(&site, "kubeconfig").trim());
        std::fs::copy(path(&site, "fleet").trim(), site.at("failctl.yaml")).unwrap();
        for (file, color) in [("blue.yaml", "blue"), ("green.yaml", "green")] {
            let sample = std::fs::read_to_string(root().join(format!("templates/sample/{color}.yaml"))).unwrap();
            std::fs::write(site.at(file), sample).unwrap();
        }
        let failover = std::fs::read_to_string(root().join("templates/sample/failover.yaml")).unwrap();
        std::fs::write(site.at("shop.yaml"), failover.replace("namespace: shop", "namespace: default")).unwrap();
        site.good(&["apply", "-f", "local=blue.yaml", "-f", "remote=green.yaml", "--yes"]);
        let both = ["-f", "failctl.yaml", "-f", "shop.yaml"];
        site.good(&[&["certs", "generate"], &both[..]].concat());
        site.good(&[&["certs", "install"], &both[..], &["--yes"]].concat());
        site.good(&[&["apply"], &both[..], &["--yes", "--wait"]].concat());
        let url = String::from_utf8(site.good(&[&["gateway", "url", "local"], &both[..]].concat()).stdout).unwrap();
        let address = url.trim().trim_start_matches("http://").trim_end_matches('/');
        site.gateway = if address.contains(':') { address.to_string() } else { format!("{address}:80") };
        site.well();
        site
    }

    /// A file in the directory.
    pub fn at(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// A command, ready to run.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(failctl());
        command.args(args).current_dir(self.dir.path()).env("XDG_STATE_HOME", self.dir.path().join("state"));
        command.env_remove("FAILCTL_STATE_DIR").env_remove("FAILCTL_FILE").stdin(Stdio::null());
        command.env("KUBECONFIG", &self.kubeconfig);
        command
    }

    /// Runs a command to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    /// Runs a command that must succeed.
    pub fn good(&self, args: &[&str]) -> Output {
        let out = self.run(args);
        assert!(out.status.success(), "failctl {args:?}: {}\n{}", out.status, String::from_utf8_lossy(&out.stderr));
        out
    }

    /// Runs a command that must end with this code, and reads what it prints.
    pub fn json(&self, args: &[&str], code: i32) -> Value {
        let out = self.run(args);
        assert_eq!(out.status.code(), Some(code), "failctl {args:?}\n{}", String::from_utf8_lossy(&out.stderr));
        serde_json::from_slice(&out.stdout).unwrap()
    }

    /// A drill with these flags, ready to run.
    pub fn drill(&self, heal_after: &str, flags: &[&str]) -> Command {
        let mut command = self.command(&["simulate", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
        command.args(["--rate", "40", "--warmup", "1s", "--heal-after", heal_after]).args(flags);
        command
    }

    /// A drill to its end: its only run, and what it said meanwhile.
    pub fn drilled(&self, flags: &[&str], code: i32) -> (Value, String) {
        let out = self.drill("3s", flags).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert_eq!(out.status.code(), Some(code), "{flags:?}\n{said}{}", String::from_utf8_lossy(&out.stdout));
        let mut report: Value = serde_json::from_slice(&out.stdout).unwrap();
        assert_eq!(report["kind"], "DrillReport");
        assert_eq!(self.journals(), 0, "{said}");
        (report["runs"][0].take(), said)
    }

    /// A drill in the middle of its fault: the journal is there, and the service answers as it does then.
    pub fn in_fault(&self, flags: &[&str], answer: &str) -> Child {
        let child = self.drill("120s", flags).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_until("the primary is broken", || self.journals() == 1 && self.answer() == answer);
        child
    }

    /// What the primary's gateway answers: the first line of the body, or why there is none.
    pub fn answer(&self) -> String {
        let mut stream = match TcpStream::connect(&self.gateway) {
            Ok(stream) => stream,
            Err(e) => return e.kind().to_string(),
        };
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
        let mut text = String::new();
        match stream.read_to_string(&mut text) {
            Ok(_) if text.starts_with("HTTP/1.1 200") => {
                let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
                ["blue-pod", "green-pod"].into_iter().find(|p| body.contains(p)).unwrap_or(body).to_string()
            }
            Ok(_) => text.lines().next().unwrap_or("nothing").to_string(),
            Err(e) => e.kind().to_string(),
        }
    }

    /// Waits until the primary serves again and a backup is ready, and Envoy on the primary's cluster says so.
    pub fn well(&self) {
        wait_until("the primary serves", || {
            let out = self.run(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
            let status: Value = serde_json::from_slice(&out.stdout).unwrap_or_default();
            let local = json!(["local"]);
            let failover = &status["failovers"][0];
            failover["serving"] == "primary" && failover["servedBy"] == local && failover["standing"] == "healthy"
        });
        wait_until("blue answers", || self.answer() == "blue-pod");
    }

    /// Journals of drills that are not put back.
    pub fn journals(&self) -> usize {
        let entries = std::fs::read_dir(self.at("state/failctl/drills")).unwrap();
        entries.filter(|e| is_json(&e.as_ref().unwrap().path())).count()
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        let _ = self.run(&["sandbox", "down", "--name", self.name]);
    }
}

fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|e| e == "json")
}

/// Waits for something, at most a minute.
pub fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < end, "not seen within 60 s: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}
