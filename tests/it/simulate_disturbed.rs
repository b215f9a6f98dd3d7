//! A drill that is killed or interrupted at every request it makes and in every stretch between them, and the way back:
//! whatever the moment, `failctl simulate restore` puts everything back, and Ctrl-C needs nobody to do so.
//! The clusters are two API servers in this process; a small server stands for the gateway.

use std::collections::BTreeMap;
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use failctl::drill::journal::Journal;
use rustix::process::{Pid, Signal};
use serde_json::{Value, json};

use crate::support::fleet::{Ground, Moment, at_each};

/// Two clusters, a Deployment on each, and who answers.
struct Site {
    ground: Ground,
    /// Answers of the blue and of the green side so far.
    answers: Arc<[AtomicUsize; 2]>,
}

/// How long the stretches of a drill last.
#[derive(Clone, Copy)]
struct Times {
    warmup: &'static str,
    during: &'static str,
    settle: &'static str,
}

const SHORT: Times = Times { warmup: "500ms", during: "500ms", settle: "300ms" };

fn deployment(color: &str) -> Value {
    let labels = json!({"app": "echo", "text": color});
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"name": format!("echo-{color}"), "namespace": "default"},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": {
            "metadata": {"labels": labels},
            "spec": {"containers": [
                {"name": "echo", "image": "hashicorp/http-echo", "args": [format!("-text={color}-pod")]},
                {"name": "side", "image": "hashicorp/http-echo", "command": ["/http-echo"], "args": ["-text=side"]},
            ]},
        }},
    })
}

impl Site {
    fn new(times: Times) -> Site {
        let ground = Ground::bare();
        ground.put("local", deployment("blue"));
        ground.put("remote", deployment("green"));
        let answers: Arc<[AtomicUsize; 2]> = Arc::default();
        let listener = ground.listener();
        let port = listener.local_addr().unwrap().port();
        ground.spawn(gateway(listener, ground.clusters["local"].client.clone(), answers.clone()));
        ground.write("scenario.yaml", &scenario(port, times));
        let fleet = std::fs::read_to_string(ground.dir.path().join("failctl.yaml")).unwrap();
        ground.write("fleet.yaml", fleet.split("---\n").next().unwrap());
        Site { ground, answers }
    }

    fn drill(&self) -> Child {
        let mut command = self.ground.command(&["simulate", "-f", "fleet.yaml", "-f", "scenario.yaml", "-ojson"]);
        command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
    }

    /// The Deployments of both clusters, without what every write changes.
    fn world(&self) -> BTreeMap<&'static str, Value> {
        let read = |(cluster, name): (&'static str, &str)| {
            let mut object = self.ground.get(cluster, "Deployment", name);
            let metadata = object["metadata"].as_object_mut().unwrap();
            ["managedFields", "resourceVersion", "generation"].iter().for_each(|f| drop(metadata.shift_remove(*f)));
            (cluster, object)
        };
        [("local", "echo-blue"), ("remote", "echo-green")].map(read).into()
    }

    fn journals(&self) -> Vec<Journal> {
        let dir = self.ground.dir.path().join(".local/state/failctl/drills");
        let paths = if dir.exists() { Journal::all(&dir).unwrap() } else { Vec::new() };
        paths.iter().map(|p| Journal::open(p).unwrap()).collect()
    }

    fn open_deeds(&self) -> usize {
        self.journals().iter().map(|j| j.open_deeds().count()).sum()
    }

    /// Which clusters are broken, and what the journal says.
    fn state(&self, whole: &BTreeMap<&'static str, Value>) -> String {
        let world = self.world();
        let broken: Vec<_> = world.iter().filter(|(c, v)| whole[*c] != **v).map(|(c, _)| *c).collect();
        let journal = self.journals().first().map(|j| (j.open_deeds().count(), j.record.deeds.len()));
        let journal = journal.map_or("no journal".to_string(), |(open, all)| format!("{open} of {all} deeds open"));
        format!("{journal}, broken: {}", if broken.is_empty() { "nothing".into() } else { broken.join(" and ") })
    }

    /// How often blue and green have answered.
    fn answered(&self) -> [usize; 2] {
        [0, 1].map(|i| self.answers[i].load(Ordering::SeqCst))
    }
}

/// Answers as a gateway would: blue while the primary has replicas, else green.
async fn gateway(listener: tokio::net::TcpListener, client: kube::Client, answers: Arc<[AtomicUsize; 2]>) {
    use http_body_util::Full;
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let (client, answers) = (client.clone(), answers.clone());
        let service = hyper::service::service_fn(move |_| {
            let (client, answers) = (client.clone(), answers.clone());
            async move {
                let path = "/apis/apps/v1/namespaces/default/deployments/echo-blue";
                let blue = client.request::<Value>(http::Request::get(path).body(Vec::new()).unwrap()).await;
                let side = usize::from(blue.map_err(std::io::Error::other)?["spec"]["replicas"] == 0);
                answers[side].fetch_add(1, Ordering::SeqCst);
                let body = Full::new(bytes::Bytes::from_static([&b"blue\n"[..], b"green\n"][side]));
                Ok::<_, std::io::Error>(http::Response::new(body))
            }
        });
        let io = hyper_util::rt::TokioIo::new(stream);
        tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(io, service));
    }
}

fn scenario(port: u16, times: Times) -> String {
    let Times { warmup, during, settle } = times;
    json!({
        "apiVersion": "failctl.dev/v1alpha1", "kind": "Scenario", "metadata": {"name": "disturbed"},
        "spec": {
            "url": format!("http://127.0.0.1:{port}/"),
            "faults": [
                {"inject": {"scaleToZero": {"cluster": "local", "deployment": "echo-blue"}}, "thenWait": "100ms"},
                {"inject": {"sleepCommand": {"cluster": "remote", "deployment": "echo-green"}}},
            ],
            "load": {"rate": 40, "warmup": warmup, "during": during, "after": "120s", "settle": settle},
        },
    })
    .to_string()
}

fn send(child: &Child, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, signal).unwrap();
}

/// Every moment of an undisturbed drill: each request, before and after the cluster did it.
fn moments() -> Vec<Moment> {
    let site = Site::new(SHORT);
    let whole = site.world();
    let before = site.ground.stall.seen();
    assert!(site.drill().wait().unwrap().success());
    assert_eq!(site.state(&whole), "no journal, broken: nothing");
    let requests = site.ground.stall.seen() - before;
    assert!(requests >= 12, "two faults take at least twelve requests, not {requests}");
    (1..=requests).flat_map(|nth| [false, true].map(|done| Moment { nth, done })).collect()
}

/// All that can be true of the journal and the world while two faults are injected and healed.
const STATES: [&str; 7] = [
    "1 of 1 deeds open, broken: local",
    "1 of 1 deeds open, broken: nothing",
    "1 of 2 deeds open, broken: local",
    "1 of 2 deeds open, broken: nothing",
    "2 of 2 deeds open, broken: local",
    "2 of 2 deeds open, broken: local and remote",
    "no journal, broken: nothing",
];

#[test]
fn killed_at_any_request_of_a_drill_restore_puts_everything_back() {
    let seen = at_each(moments(), |moment| {
        let site = Site::new(SHORT);
        let whole = site.world();
        site.ground.stall.at(moment);
        let mut child = site.drill();
        site.ground.until("the drill stands still", || site.ground.stall.reached());
        let state = site.state(&whole);
        child.kill().unwrap();
        child.wait().unwrap();
        site.ground.stall.lose();
        let ran = site.ground.run(&["simulate", "restore"]);
        assert_eq!(ran.code, Some(0), "{moment:?} ({state}): {}{}", ran.out, ran.err);
        assert_eq!(site.state(&whole), "no journal, broken: nothing", "killed at {moment:?} ({state})");
        assert_eq!(ran.err.contains("no drill left anything broken"), state.starts_with("no journal"), "{}", ran.err);
        state
    });
    assert_eq!(seen, STATES.map(String::from).into(), "every state of journal and world was one to be killed in");
}

#[test]
fn interrupted_at_any_request_a_drill_puts_everything_back_itself() {
    let patient = Times { settle: "60s", ..SHORT };
    let seen = at_each(moments(), |moment| {
        let site = Site::new(patient);
        let whole = site.world();
        site.ground.stall.at(moment);
        let mut child = site.drill();
        site.ground.until("the drill stands still", || site.ground.stall.reached());
        let state = site.state(&whole);
        send(&child, Signal::INT);
        site.ground.stall.go_on();
        assert_eq!(child.wait().unwrap().code(), Some(130), "interrupted at {moment:?} ({state})");
        assert_eq!(site.state(&whole), "no journal, broken: nothing", "interrupted at {moment:?} ({state})");
        state
    });
    assert_eq!(seen, STATES.map(String::from).into());
}

/// Signals a drill in a stretch in which it only waits. The answer: its exit code, and the site.
fn in_stretch(times: Times, signal: Signal, there: impl Fn(&Site) -> bool) -> (Option<i32>, Site) {
    let site = Site::new(times);
    let whole = site.world();
    let mut child = site.drill();
    site.ground.until("the stretch of the drill", || there(&site));
    send(&child, signal);
    let code = child.wait().unwrap().code();
    if signal == Signal::KILL {
        site.ground.ok(&["simulate", "restore"]);
    }
    assert_eq!(site.state(&whole), "no journal, broken: nothing");
    (code, site)
}

#[test]
fn between_the_steps_too_a_killed_drill_can_be_put_back_and_an_interrupted_one_puts_itself_back() {
    for (signal, code) in [(Signal::KILL, None), (Signal::INT, Some(130)), (Signal::TERM, Some(130))] {
        let warming = Times { warmup: "60s", ..SHORT };
        assert_eq!(in_stretch(warming, signal, |s| s.answered()[0] > 5).0, code, "in the warm-up");
        let lasting = Times { during: "60s", ..SHORT };
        let broken = |s: &Site| s.open_deeds() == 2 && s.answered()[1] > 20;
        assert_eq!(in_stretch(lasting, signal, broken).0, code, "in the fault");
        let settling = Times { settle: "60s", ..SHORT };
        let healed = |s: &Site| s.answered()[1] > 5 && s.journals().is_empty();
        assert_eq!(in_stretch(settling, signal, healed).0, code, "after healing");
    }
}

#[test]
fn restore_names_the_cluster_it_cannot_reach_keeps_the_journal_and_goes_on_when_the_cluster_is_back() {
    let site = Site::new(Times { during: "60s", ..SHORT });
    let whole = site.world();
    let mut child = site.drill();
    site.ground.until("both clusters are broken", || site.open_deeds() == 2 && site.answered()[1] > 20);
    child.kill().unwrap();
    child.wait().unwrap();

    site.ground.stop("remote");
    let ran = golden(&site, "simulate_restore_half", &["simulate", "restore"]);
    assert_eq!((ran, site.open_deeds()), (Some(6), 1));
    let ran = golden(&site, "simulate_restore_away", &["simulate", "restore"]);
    assert_eq!((ran, site.open_deeds()), (Some(4), 1));

    site.ground.start_again("remote");
    let refused = site.ground.run(&["simulate", "-f", "fleet.yaml", "-f", "scenario.yaml"]);
    assert_eq!(refused.code, Some(5), "{}", refused.err);
    assert!(refused.err.contains("`failctl simulate restore` does it"), "{}", refused.err);
    assert_eq!(golden(&site, "simulate_restore", &["simulate", "restore"]), Some(0));
    assert_eq!(site.state(&whole), "no journal, broken: nothing");
    assert_eq!(golden(&site, "simulate_restore_nothing", &["simulate", "restore"]), Some(0));
}

/// Compares what a command prints, without the name of the journal, and returns its exit code.
fn golden(site: &Site, name: &str, args: &[&str]) -> Option<i32> {
    let journal = site.journals().first().map(|j| j.path().file_name().unwrap().to_str().unwrap().to_string());
    site.ground.golden_but(name, args, &[(journal.as_deref().unwrap_or("no journal"), "<journal>")]).code
}

#[test]
fn one_journal_that_cannot_be_put_back_does_not_keep_the_others_from_it() {
    let site = Site::new(Times { during: "60s", ..SHORT });
    let whole = site.world();
    let mut child = site.drill();
    site.ground.until("both clusters are broken", || site.open_deeds() == 2 && site.answered()[1] > 20);
    child.kill().unwrap();
    child.wait().unwrap();
    let dir = site.journals()[0].path().parent().unwrap().to_path_buf();
    std::fs::write(dir.join("0000-unreadable.json"), "{").unwrap();
    let ran = site.ground.run(&["simulate", "restore"]);
    assert_eq!(ran.code, Some(6), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains("0000-unreadable.json is not a journal this failctl can read"), "{}", ran.err);
    std::fs::remove_file(dir.join("0000-unreadable.json")).unwrap();
    assert_eq!(site.state(&whole), "no journal, broken: nothing");
}

#[test]
fn a_drill_that_still_runs_is_left_to_itself() {
    let site = Site::new(Times { during: "60s", ..SHORT });
    let whole = site.world();
    let mut child = site.drill();
    site.ground.until("both clusters are broken", || site.open_deeds() == 2 && site.answered()[1] > 20);
    let ran = site.ground.run(&["simulate", "restore"]);
    assert_eq!(ran.code, Some(5), "{}{}", ran.out, ran.err);
    assert!(ran.err.contains(&format!("process {}", child.id())), "{}", ran.err);
    assert_eq!(site.open_deeds(), 2);
    send(&child, Signal::INT);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_eq!(site.state(&whole), "no journal, broken: nothing");
}
