//! The demo's story, chapter by chapter. No command itself: every chapter types commands.

use base64::Engine as _;
use serde_json::{Value, json};

use super::demo_stage::Stage;
use crate::error::{Exit, Failure};
use crate::pki::{Algorithm, Issued, Key, issue_self_signed};
use crate::report::drill::RunReport;
use crate::sandbox::stack::Stack;
use crate::sim::Expected;
use crate::yaml;

const BLUE: &str = include_str!("../../templates/sample/blue.yaml");
const GREEN: &str = include_str!("../../templates/sample/green.yaml");
const GUIDE_LOCAL: &str = include_str!("../../templates/sample/guide-local.yaml");
/// The guide's failover gateway, which any backup needs.
pub const GUIDE_REMOTE: &str = include_str!("../../templates/sample/guide-remote.yaml");
const SHOP: &str = include_str!("../../templates/sample/failover.yaml");

/// The port of failctl's own failover gateway: the guide's has 15443 on the same proxies.
const OWN_PORT: u16 = 15444;
/// The clusters of the guide, under its contexts.
const CLUSTERS: &str = "local=gloo-fed,remote=gloo-fed-2";
/// The namespace of the second pair of applications.
pub const NAMESPACE: &str = "shop";

/// One fault of the story.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Its word.
    pub name: &'static str,
    /// What happens, for people.
    pub what: &'static str,
    /// What it must show.
    pub expected: Expected,
    /// The steps of the drill.
    pub steps: fn() -> Vec<Value>,
}

/// The faults, in order. The guide's health checks are blind for their first minute (`noTrafficInterval`): the first faults
/// show what that costs. They leave the endpoints as they are; what lasts would be measured in the next drill.
pub const FAULTS: [Fault; 4] = [
    Fault {
        name: "cluster",
        what: "the primary's cluster dies: its workloads and its API; the edge survives",
        expected: Expected::NoLoss,
        steps: || vec![step(cluster_down(), None)],
    },
    Fault {
        name: "outage",
        what: "the backup's gateway dies, then the primary's cluster too: nobody is left, and that must be said",
        expected: Expected::Outage,
        steps: || vec![step(json!({"gatewayDown": {"cluster": "remote"}}), Some("2s")), step(cluster_down(), None)],
    },
    Fault {
        name: "health-check",
        what: "the primary fails its health check (its Envoy answers every path with 503)",
        expected: Expected::NoLoss,
        steps: || vec![step(both("healthCheckFail"), None)],
    },
    Fault {
        name: "scale",
        what: "the primary is scaled to zero",
        expected: Expected::NoLoss,
        steps: || vec![step(both("scaleToZero"), None)],
    },
];

fn cluster_down() -> Value {
    json!({"clusterDown": {"cluster": "local", "form": "workloads"}})
}

/// One step of a drill.
pub fn step(inject: Value, then_wait: Option<&str>) -> Value {
    match then_wait {
        Some(time) => json!({"inject": inject, "thenWait": time}),
        None => json!({"inject": inject}),
    }
}

/// The same fault in both pairs at the same moment.
fn both(kind: &str) -> Value {
    let one = |namespace: &str| json!({kind: {"cluster": "local", "namespace": namespace, "deployment": "echo-blue"}});
    json!({"together": [one("default"), one(NAMESPACE)]})
}

/// How long and how hard.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rate: u32,
    /// Through the article's configuration, where not the same.
    article: Option<u32>,
    times: Times,
    /// Where nobody is left to answer: every request is lost, and more of them would say no more.
    outage: Times,
    /// Requests that start at the same moment.
    burst: u32,
    /// Whether a machine that carries less is asked less, for longer.
    yields: bool,
}

/// The times of a drill, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Times {
    warmup: u64,
    during: u64,
    settle: u64,
}

const SHORT: Times = Times { warmup: 2000, during: 5000, settle: 1500 };
/// Requests per second at most where nobody is left to answer: as many as wait 10 s for an answer and are no more than the 2000 that
/// may be in flight.
const OUTAGE_RATE: u32 = 200;
/// So many at a time cost two fifths less than one by one (measured: 1.9 and 3.1 ms of processor time for one request through a
/// mesh): each Envoy on their way wakes once for all of them. Twice as many cost no less.
const BURST: u32 = 8;
/// The share of what a service answers at most that a record asks of it. Requests that come a few at a time cost more than
/// those that come as fast as they are answered (measured: a quarter of the most keeps about half of two cores in use), and a
/// fault more than a quiet time: new Pods start, connections to the other cluster are made, requests are repeated.
const SHARE: f64 = 0.25;
/// Requests per second that a record asks at least.
const LEAST: u32 = 30;

impl Pace {
    /// The tour, or the record, where what is recommended must prove itself on more than 10000 requests while each fault
    /// lasts: 11.3 s at 900/s, if the machine carries that. The article's loss shows on fewer.
    pub fn of(full: bool, rate: Option<u32>) -> Pace {
        if !full {
            return Pace {
                rate: rate.unwrap_or(200),
                article: None,
                times: SHORT,
                outage: SHORT,
                burst: 1,
                yields: false,
            };
        }
        Pace::record(rate, (900, 100), 11_300)
    }

    /// The same where six Envoys stand in the way of each request: 28 s at 360/s.
    pub fn in_a_mesh(full: bool, rate: Option<u32>) -> Pace {
        if !full {
            return Pace::of(full, rate.or(Some(100)));
        }
        Pace::record(rate, (360, 36), 28_000)
    }

    /// The record: at these rates through what is recommended and the article's, unless one is named for both.
    fn record(rate: Option<u32>, (recommended, article): (u32, u32), during: u64) -> Pace {
        Pace {
            rate: rate.unwrap_or(recommended),
            article: rate.is_none().then_some(article),
            times: Times { during, ..SHORT },
            outage: SHORT,
            burst: BURST.min(rate.unwrap_or(BURST)),
            yields: rate.is_none(),
        }
    }

    /// As many requests on a machine that answers at most `most` per second, spread over the time that takes.
    fn on(self, most: f64) -> Pace {
        let all = f64::from(self.rate + self.article.unwrap_or(self.rate));
        let slower = (most * SHARE / all).clamp(f64::from(LEAST) / f64::from(self.rate), 1.0);
        let at = |rate: u32| (f64::from(rate) * slower).ceil() as u32;
        let Times { warmup, during, settle } = self.times;
        let around = warmup + settle;
        let during = ((during + around) as f64 / slower).ceil() as u64 - around;
        let times = Times { during, ..self.times };
        Pace { rate: at(self.rate), article: self.article.map(at), times, ..self }
    }

    /// For one fault. Where nobody is left every request is repeated and waits to its end, while the next story comes up.
    fn under(self, fault: Fault) -> Pace {
        match fault.expected {
            Expected::Outage => Pace { rate: self.rate.min(OUTAGE_RATE), times: self.outage, ..self },
            _ => self,
        }
    }
}

/// Two clusters.
pub fn clusters(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Two clusters on this machine")?;
    stage.say("Real Envoys, an API server per cluster that kubectl accepts, pods with addresses of their own.");
    stage.say(format!("\n$ failctl sandbox up --clusters {CLUSTERS}"));
    stage.start(CLUSTERS, Stack::Gloo)?;
    own_port(stage)
}

/// The fleet document of the sandbox, with a port for failctl's own failover gateway beside the guide's.
pub fn own_port(stage: &Stage<'_>) -> Result<(), Failure> {
    let text = std::fs::read_to_string("failctl.yaml").map_err(|e| Failure::new(Exit::Internal, e))?;
    let mut fleet = first(&text)?;
    for cluster in fleet.pointer_mut("/spec/clusters").and_then(Value::as_array_mut).into_iter().flatten() {
        cluster["gloo"]["failoverPort"] = json!(OWN_PORT);
    }
    stage.write("failctl.yaml", &yaml::emit(&fleet))
}

/// Two pairs of applications.
pub fn applications(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("A service in each: blue here, green there; once for each configuration")?;
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}});
    for (file, text) in [("blue.yaml", BLUE), ("green.yaml", GREEN)] {
        let mut all = vec![namespace.clone()];
        for name in ["default", NAMESPACE] {
            all.extend(documents(text)?.into_iter().map(|d| moved(d, name)));
        }
        stage.write(file, &stream(&all))?;
    }
    // A health check that comes before the Pods comes again a minute later, as with the gateway below.
    stage.must("apply -f local=blue.yaml -f remote=green.yaml --yes --wait")
}

/// The guide's configuration, word for word.
pub fn article(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter(
        "The article's configuration: the guide's certificates, gateway, health check, FailoverScheme, route",
    )?;
    guide(stage, documents(GUIDE_LOCAL)?, documents(GUIDE_REMOTE)?)?;
    // In the guide's order: a health check that finds no gateway yet tries again a minute later.
    stage.must("apply -f remote=guide-remote.yaml --yes --wait")?;
    stage.gateway_listens("remote")?;
    stage.must("apply -f local=guide-local.yaml --yes --wait")?;
    stage.must("route add --cluster local --path-prefix / --dest-name default-service-blue-10000 --yes")
}

/// Writes the guide's documents for both sides with certificates in them, and the FailoverScheme alone.
pub fn guide(stage: &Stage<'_>, local: Vec<Value>, remote: Vec<Value>) -> Result<(), Failure> {
    let (server, client) = (self_signed()?, self_signed()?);
    // The guide gives the server the client's certificate as its authority, and the client none at all.
    let downstream = tls(&server, Some(&client.certificate));
    let upstream = tls(&client, None);
    for (file, mut all, secret) in [("guide-remote.yaml", remote, downstream), ("guide-local.yaml", local, upstream)] {
        for document in all.iter_mut().filter(|d| d["kind"] == "Secret") {
            document["data"] = secret.clone();
        }
        stage.write(file, &stream(&all))?;
        let scheme: Vec<_> = all.into_iter().filter(|d| d["kind"] == "FailoverScheme").collect();
        if !scheme.is_empty() {
            stage.write("scheme.yaml", &stream(&scheme))?;
        }
    }
    Ok(())
}

/// What failctl compiles.
pub fn recommended(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("The recommended configuration: one Failover document")?;
    stage.write("shop.yaml", SHOP)?;
    stage.say(SHOP.trim_end());
    stage.must("certs generate -f failctl.yaml -f shop.yaml")?;
    stage.must("certs install -f failctl.yaml -f shop.yaml --yes")?;
    stage.must("apply -f failctl.yaml -f shop.yaml --yes --wait")
}

/// Tables.
pub fn status(stage: &mut Stage<'_>, what: &str) -> Result<(), Failure> {
    stage.chapter(&format!("Status: {what}"))?;
    stage.run("status -f failctl.yaml -f shop.yaml -f local=scheme.yaml --no-drift").map(drop)
}

/// One fault under load.
pub fn drill(stage: &mut Stage<'_>, fault: Fault, pace: Pace) -> Result<Vec<RunReport>, Failure> {
    drill_file(stage, fault, pace, &targets(), "-f failctl.yaml -f shop.yaml -f local=scheme.yaml")
}

/// Both configurations side by side.
fn targets() -> [Value; 2] {
    let answers = json!({"primary": ["blue-pod"]});
    let target = |policy: &str, failover: &str| json!({"name": policy, "policy": policy, "failover": failover, "answers": answers});
    [target("article", "failover-scheme"), target("recommended", "shop")]
}

/// Writes a drill and runs it on the documents it is `about`.
pub fn drill_file(
    stage: &mut Stage<'_>,
    fault: Fault,
    pace: Pace,
    targets: &[Value],
    about: &str,
) -> Result<Vec<RunReport>, Failure> {
    stage.chapter(&format!("Drill: {}", fault.what))?;
    let file = format!("drill-{}.yaml", fault.name);
    let line = format!("simulate {about} -f {file}");
    let write = |stage: &Stage<'_>, pace| stage.write(&file, &yaml::emit(&scenario(fault, pace, targets)));
    let suit = |stage: &mut Stage<'_>| match pace.yields {
        // Whom the drill asks is known from the drill; how often, once they were asked.
        true => stage.carries(&line).and_then(|most| write(stage, pace.on(most))),
        false => Ok(()),
    };
    write(stage, pace)?;
    suit(stage)?;
    stage.simulate(&line, |stage| {
        stage.ease();
        suit(stage)
    })
}

fn scenario(fault: Fault, pace: Pace, targets: &[Value]) -> Value {
    let pace = pace.under(fault);
    let Times { warmup, during, settle } = pace.times;
    let ms = |time: u64| format!("{time}ms");
    let mut targets = targets.to_vec();
    for target in targets.iter_mut().filter(|t| t["policy"] == "article") {
        pace.article.iter().for_each(|rate| target["rate"] = json!(rate));
    }
    json!({
        "apiVersion": "failctl.dev/v1alpha1",
        "kind": "Scenario",
        "metadata": {"name": fault.name},
        "spec": {
            "targets": targets,
            "load": {
                "rate": pace.rate, "burst": pace.burst, "warmup": ms(warmup), "during": ms(during), "settle": ms(settle), "after": "40s",
                "readyWithin": "60s",
            },
            "faults": (fault.steps)(),
            "expected": fault.expected,
        },
    })
}

/// Who called the services of a mesh before the fault of a drill and from it on, from the sidecars' own access logs.
pub fn traffic(stage: &Stage<'_>, runs: &[RunReport], about: &str, failovers: &[&str]) -> Result<(), Failure> {
    let Some(fault) = runs.first().and_then(|r| r.injected.as_deref()) else { return Ok(()) };
    let at: jiff::Timestamp = fault.parse().map_err(|e: jiff::Error| Failure::new(Exit::Internal, e))?;
    // As long before the fault as a warm-up is at least.
    let since = at - std::time::Duration::from_secs(2);
    stage.say("\nWho answered productpage, before the fault and from it on: from the sidecars' own access logs");
    for failover in failovers {
        stage.run(&format!("traffic {about} {failover} --since {since} --split {fault}"))?;
    }
    Ok(())
}

/// Everything failctl wrote, taken back.
pub fn clean_up(stage: &mut Stage<'_>) -> Result<(), Failure> {
    stage.chapter("Clean-up: what was written is taken back, what was there before stays")?;
    stage.must("delete -f failctl.yaml -f shop.yaml -f local=guide-local.yaml -f remote=guide-remote.yaml --yes")?;
    stage.say("\n$ failctl sandbox down");
    Ok(())
}

/// What `openssl req -x509 -newkey rsa:2048 -days 365 -subj /CN=solo.io` makes.
fn self_signed() -> Result<Issued, Failure> {
    let internal = |e: crate::pki::Error| Failure::new(Exit::Internal, e);
    let key = Key::generate(Algorithm::Rsa2048).map_err(internal)?;
    issue_self_signed("solo.io", key, jiff::Timestamp::now(), 365, rand::random()).map_err(internal)
}

fn tls(own: &Issued, authority: Option<&str>) -> Value {
    let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
    let mut data = json!({"tls.crt": encode(&own.certificate), "tls.key": encode(&own.key.pem())});
    if let Some(authority) = authority {
        data["ca.crt"] = json!(encode(authority));
    }
    data
}

/// The documents of a text.
pub fn documents(text: &str) -> Result<Vec<Value>, Failure> {
    let read = yaml::parse(text).map_err(|e| Failure::new(Exit::Internal, e))?;
    Ok(read.into_iter().map(|d| d.value).collect())
}

fn first(text: &str) -> Result<Value, Failure> {
    let first = documents(text)?.into_iter().next();
    first.ok_or_else(|| Failure::because(Exit::Internal, "the sandbox's fleet document is empty"))
}

/// An object in another namespace; those without one stay where they are.
pub fn moved(mut document: Value, namespace: &str) -> Value {
    document["metadata"]["namespace"] = json!(namespace);
    document
}

/// Documents as one text.
pub fn stream(all: &[Value]) -> String {
    let texts: Vec<_> = all.iter().map(yaml::emit).collect();
    texts.join("---\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_drill_of_the_story_is_a_valid_scenario() {
        for fault in FAULTS {
            for full in [false, true] {
                let paces = [Pace::of(full, None), Pace::in_a_mesh(full, None)];
                let slow = paces.map(|pace| if full { pace.on(320.0) } else { pace });
                for pace in paces.into_iter().chain(slow) {
                    let scenario = crate::sim::document::read(scenario(fault, pace, &targets())).unwrap();
                    assert_eq!(scenario.targets.len(), 2);
                    assert_eq!(scenario.expected, fault.expected);
                    let load = &scenario.load;
                    let of = |ms: u64| f64::from(scenario.targets[1].rate(load)) * ms as f64 / 1000.0;
                    let proves = of(load.during.0) > 10_000.0;
                    assert!(!full || fault.expected == Expected::Outage || proves, "{}", fault.name);
                }
            }
        }
    }

    #[test]
    fn a_record_asks_a_quarter_of_what_the_machine_answers_and_never_more_than_it_is_made_for() {
        let pace = Pace::in_a_mesh(true, None);
        let quick = pace.on(5000.0);
        assert_eq!((quick.rate, quick.article, quick.times.during), (360, Some(36), 28_000));
        let slow = pace.on(792.0);
        assert_eq!((slow.rate, slow.article, slow.times.during), (180, Some(18), 59_500));
        assert_eq!(pace.on(0.0).rate, LEAST);
        let named = Pace::in_a_mesh(true, Some(2));
        assert_eq!((named.yields, named.rate, named.burst), (false, 2, 2), "a rate that was asked for is the rate");
    }

    #[test]
    fn the_sample_documents_are_valid_and_named_as_the_guide_names_them() {
        let names = |text| -> Vec<String> {
            let all: Vec<Value> = documents(text).ok().unwrap();
            all.iter()
                .map(|d| format!("{} {}", d["kind"].as_str().unwrap(), d["metadata"]["name"].as_str().unwrap()))
                .collect()
        };
        assert_eq!(names(BLUE), ["Service service-blue", "Deployment echo-blue"]);
        assert_eq!(names(GREEN), ["Service service-green", "Deployment echo-green"]);
        assert_eq!(names(GUIDE_REMOTE), ["Secret failover-downstream", "Gateway failover-gateway", "Service failover"]);
        let local =
            ["Secret failover-upstream", "Upstream default-service-blue-10000", "FailoverScheme failover-scheme"];
        assert_eq!(names(GUIDE_LOCAL), local);
    }
}
