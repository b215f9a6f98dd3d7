//! `failctl status`: what it prints and how it ends, from objects alone and beside real Envoys.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use regex::Regex;
use serde_json::{Value, json};

use crate::support::fleet::{COLOR, Ground, Ran, fleet};
use crate::support::golden;
use crate::support::site::{Site, wait_until};

/// Text without what differs from run to run: moments, days left, addresses of a sandbox, and the width of columns.
fn steady(text: &str) -> String {
    let rules = [
        (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", "<time>"),
        (r"127\.\d+\.", "127.S."),
        (r"\b36[45]\b", "<days>"),
        (r"(echo-blue|echo-green)-[a-z0-9]+-[a-z0-9]+", "$1-<pod>"),
        (r"  +", "  "),
    ];
    rules.iter().fold(text.to_string(), |text, (rule, to)| Regex::new(rule).unwrap().replace_all(&text, *to).into())
}

fn same(name: &str, args: &[&str], ran: &Ran) {
    let code = ran.code.map_or("a signal".into(), |c| c.to_string());
    let (line, out, err) = (args.join(" "), &ran.out, &ran.err);
    let text = format!("$ failctl {line}\n--- exit code {code}\n--- stdout\n{out}--- stderr\n{err}");
    golden(&format!("tests/golden/cli/{name}.txt"), &steady(&text));
}

/// Compares all that a status prints and its exit code.
fn shown(ground: &Ground, name: &str, args: &[&str], code: i32) -> Ran {
    let mut ran = ground.run(args);
    for (cluster, of) in &ground.clusters {
        let address = of.address.to_string();
        (ran.out, ran.err) =
            (ran.out.replace(&address, &format!("<{cluster}>")), ran.err.replace(&address, &format!("<{cluster}>")));
    }
    same(name, args, &ran);
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
    ran
}

/// Two clusters with Gloo's own Gateway, and no Envoy that could be asked.
fn installed() -> Ground {
    let ground = Ground::new();
    for cluster in ["local", "remote"] {
        let spec = json!({"bindAddress": "::", "bindPort": 8080, "httpGateway": {}, "proxyNames": ["gateway-proxy"]});
        ground.put(
            cluster,
            json!({"apiVersion": "gateway.solo.io/v1", "kind": "Gateway",
            "metadata": {"name": "gateway-proxy", "namespace": "gloo-system"}, "spec": spec}),
        );
    }
    ground
}

fn applied() -> Ground {
    let ground = installed();
    let known = fleet().replace("name: remote,", "name: remote, gateway: {host: 203.0.113.7},");
    ground.write("failctl.yaml", &format!("{known}---\n{COLOR}  target: glooUpstream\n"));
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    ground.ok(&["apply", "--yes"]);
    ground
}

#[test]
fn before_anything_is_written_nobody_serves_and_everything_is_drift() {
    shown(&Ground::new(), "status_no_gateway", &["status"], 1);
    shown(&installed(), "status_new", &["status"], 1);
}

#[test]
fn where_no_envoy_can_be_asked_who_serves_is_unknown_and_never_green() {
    let ground = applied();
    shown(&ground, "status", &["status"], 8);
    shown(&ground, "status_wide", &["status", "-o", "wide"], 8);
    let ran = shown(&ground, "status_json", &["status", "-o", "json"], 8);
    let report: Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!((&report["failovers"][0]["serving"], &report["drift"]), (&json!("unknown"), &json!([])));
    let ran = shown(&ground, "status_yaml", &["status", "--output=yaml"], 8);
    let mut again = failctl::yaml::parse(&ran.out).unwrap().remove(0).value;
    again["at"] = report["at"].clone();
    assert_eq!(again, report, "YAML and JSON say the same");
}

#[test]
fn drift_is_named_object_by_object_and_can_be_left_out() {
    let ground = applied();
    ground.remove("remote", "Gateway", "failctl-failover");
    let slower = json!({"spec": {"connectionConfig": {"connectTimeout": "9s"}}});
    ground.patch_as("local", "somebody", "Upstream", "default-service-blue-10000", slower);
    shown(&ground, "status_drift", &["status"], 8);
    let ran = ground.run(&["status", "--no-drift", "-o", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["drift"], Value::Null);
}

#[test]
fn a_cluster_that_cannot_be_reached_is_a_row_with_its_reason_and_not_green() {
    let ground = applied();
    ground.stop("remote");
    shown(&ground, "status_backup_away", &["status"], 8);
    ground.stop("local");
    shown(&ground, "status_all_away", &["status"], 8);
}

#[test]
fn a_failover_that_no_document_has_is_said_with_the_one_that_is_meant() {
    shown(&Ground::new(), "status_unknown", &["status", "colour"], 2);
}

#[test]
fn watch_shows_it_again_until_ctrl_c_and_ends_with_the_last_answer() {
    let ground = applied();
    let mut child = ground
        .command(&["status", "--watch", "-o", "json"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    // A report ends with the one brace that stands at the beginning of a line.
    let mut report = || -> Value {
        let mut text = String::new();
        for line in lines.by_ref() {
            text += &line;
            if line == "}" {
                break;
            }
        }
        serde_json::from_str(&text).unwrap()
    };
    let first = report();
    assert_eq!(first["drift"], json!([]));
    ground.remove("remote", "Gateway", "failctl-failover");
    wait_until("the drift is shown", || report()["drift"].as_array().is_some_and(|d| d.len() == 1));
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    lines.for_each(drop);
    assert_eq!(child.wait().unwrap().code(), Some(8));
}

/// One status of a site, compared with a golden file.
fn live(site: &Site, name: &str, args: &[&str], code: i32) {
    let line = [&["status", "-f", "failctl.yaml", "-f", "shop.yaml"], args].concat();
    let out = site.run(&line);
    let text = |b: &[u8]| String::from_utf8(b.to_vec()).unwrap();
    let ran = Ran { code: out.status.code(), out: text(&out.stdout), err: text(&out.stderr) };
    same(name, &line, &ran);
    assert_eq!(ran.code, Some(code), "{}{}", ran.out, ran.err);
}

#[test]
fn beside_real_envoys_status_says_who_serves_and_why() {
    let site = Site::up("status");
    let serving = |who: &'static str| {
        let seen = || {
            let out = site.run(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
            let status: Value = serde_json::from_slice(&out.stdout).unwrap();
            status["failovers"][0]["serving"] == who
        };
        wait_until(who, seen);
    };
    let replicas = |context: &str, name: &str, n: &str| {
        let kubectl = std::process::Command::new(crate::support::kubectl())
            .args(["--context", context, "scale", &format!("deployment/{name}"), &format!("--replicas={n}")])
            .env("KUBECONFIG", &site.kubeconfig)
            .output()
            .unwrap();
        assert!(kubectl.status.success(), "{}", String::from_utf8_lossy(&kubectl.stderr));
    };
    wait_until("all is well", || {
        let out = site.run(&["status", "-f", "failctl.yaml", "-f", "shop.yaml", "-ojson"]);
        let status: Value = serde_json::from_slice(&out.stdout).unwrap();
        status["standing"] == "healthy"
    });
    live(&site, "status_primary", &[], 0);
    live(&site, "status_primary_wide", &["-o", "wide"], 0);

    replicas("gloo-fed", "echo-blue", "0");
    serving("backup");
    live(&site, "status_backup", &[], 0);

    replicas("gloo-fed-2", "echo-green", "0");
    serving("nobody");
    live(&site, "status_nobody", &[], 1);

    replicas("gloo-fed", "echo-blue", "1");
    serving("primary");
    live(&site, "status_no_backup", &[], 1);

    site.good(&["sandbox", "stop", "local", "--keep-edge", "--name", "status"]);
    live(&site, "status_primary_away", &[], 8);
}
