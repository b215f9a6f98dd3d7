//! Transparent failover lived through in a sandbox: callers keep the name of a Service, and another cluster's Pods stand in
//! behind east-west gateways. The objects are written by hand here, one by one, as istiod takes them.

use std::time::{Duration, Instant};

use failctl::model::name::ClusterName;
use failctl::sandbox::stack::Stack;
use serde_json::{Value, json};

use crate::mesh_envoys::Trust;
use crate::sandboxes::{Lab, answer};
use crate::smh_article::{until, until_who, who};

const CLUSTERS: &str = "kind2=kind-kind2,kind3=kind-kind3";
/// Each cluster with the other.
const PAIRS: [(&str, &str); 2] = [("kind2", "kind3"), ("kind3", "kind2")];
const HOST: &str = "reviews.default.svc.cluster.local";
const RANK: &str = "failctl.dev/backup-1";
/// How long something may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// A service mesh over two clusters, productpage and reviews in each.
struct Mesh {
    lab: Lab,
}

impl Mesh {
    async fn up() -> Mesh {
        let mesh = Mesh { lab: Lab::stack(Stack::Istio, CLUSTERS).await };
        let trust = Trust::new();
        for (cluster, other) in PAIRS {
            mesh.apply(cluster, &[trust.cacerts(&ClusterName::new(cluster).unwrap())]).await;
            let trusting = format!("s/trustDomainAliases: \\[\\]/trustDomainAliases: [{other}]/");
            let k = format!("kubectl --context kind-{cluster}");
            mesh.type_(&format!(
                "{k} -n istio-system get cm istio -o yaml | sed '{trusting}' | {k} replace -f - && {k} label namespace default istio-injection=enabled"
            ))
            .await;
            for what in ["'app in (productpage,reviews),version notin (v2,v3)'", "account"] {
                mesh.type_(&format!("failctl sandbox sample bookinfo | {k} apply -f - -l {what}")).await;
            }
            mesh.type_(&format!("failctl sandbox sample bookinfo-gateway | {k} apply -f -")).await;
        }
        for (cluster, _) in PAIRS {
            let pods = format!("kubectl --context kind-{cluster} get pods");
            until(&mesh.lab, &pods, "Pods are not 2/2", |out| out.matches("2/2").count() == 2).await;
        }
        mesh
    }

    async fn type_(&self, line: &str) -> String {
        self.lab.type_(line).await
    }

    async fn apply(&self, cluster: &str, objects: &[Value]) {
        let file = self.lab.folder.path().join("objects.json");
        let texts: Vec<String> = objects.iter().map(Value::to_string).collect();
        std::fs::write(&file, texts.join("\n---\n")).unwrap();
        self.type_(&format!("kubectl --context kind-{cluster} apply -f objects.json")).await;
    }

    async fn scale(&self, cluster: &str, replicas: u32) {
        self.type_(&format!("kubectl --context kind-{cluster} scale deploy reviews-v1 --replicas {replicas}")).await;
    }

    /// Where a cluster's east-west gateway is reached.
    async fn east_west(&self, cluster: &str) -> String {
        let ip = "-o jsonpath={.status.loadBalancer.ingress[0].ip}";
        let get = format!("kubectl --context kind-{cluster} -n istio-system get svc istio-eastwestgateway {ip}");
        self.type_(&get).await.trim().to_string()
    }

    /// Asks a cluster's productpage until every answer is from one of these clusters.
    async fn served(&self, cluster: &str, by: &[&str]) {
        until_who(&self.lab.gateway(cluster).await, by).await;
    }

    /// The objects of failover in both clusters.
    async fn transparent(&self) {
        for (cluster, other) in PAIRS {
            let address = self.east_west(other).await;
            self.apply(cluster, &[gateway(), entry(other, &address, true), rule(), retries()]).await;
        }
    }
}

fn meta(name: &str, namespace: &str) -> Value {
    json!({"name": name, "namespace": namespace})
}

fn networking(kind: &str, name: &str, namespace: &str, spec: Value) -> Value {
    json!({"apiVersion": "networking.istio.io/v1", "kind": kind, "metadata": meta(name, namespace), "spec": spec})
}

/// Lets calls of other clusters through to reviews, and to nothing else.
fn gateway() -> Value {
    let server = json!({"hosts": [format!("default/{HOST}")], "port": {"number": 15443, "name": "tls", "protocol": "TLS"},
        "tls": {"mode": "AUTO_PASSTHROUGH"}});
    networking(
        "Gateway",
        "transparent",
        "istio-system",
        json!({"selector": {"istio": "eastwestgateway"}, "servers": [server]}),
    )
}

/// The other cluster as an endpoint of reviews.
fn entry(other: &str, address: &str, guarded: bool) -> Value {
    let labels = json!({"security.istio.io/tlsMode": "istio", RANK: "true"});
    let mut endpoint = json!({"address": address, "ports": {"http": 15443}, "labels": labels, "locality": format!("region-of-{other}")});
    if guarded {
        endpoint["network"] = json!(other);
    }
    let spec = json!({"hosts": [HOST], "location": "MESH_INTERNAL", "resolution": "STATIC", "endpoints": [endpoint],
        "ports": [{"name": "http", "number": 9080, "protocol": "HTTP"}]});
    networking("ServiceEntry", "reviews", "default", spec)
}

fn rule() -> Value {
    let names: Vec<String> = ["kind2", "kind3"].map(|t| format!("spiffe://{t}/ns/default/sa/bookinfo-reviews")).into();
    let policy = json!({
        "outlierDetection": {"consecutiveGatewayErrors": 1, "consecutive5xxErrors": 0, "interval": "1s",
            "baseEjectionTime": "2s", "maxEjectionPercent": 100},
        "loadBalancer": {"localityLbSetting": {"enabled": true, "failoverPriority": [RANK]}},
        "tls": {"mode": "ISTIO_MUTUAL", "subjectAltNames": names}
    });
    networking("DestinationRule", "reviews", "default", json!({"host": HOST, "trafficPolicy": policy}))
}

fn retries() -> Value {
    let retries = json!({"attempts": 3, "retryRemoteLocalities": true,
        "retryOn": "connect-failure,refused-stream,unavailable,cancelled,reset-before-request,gateway-error"});
    let route = json!({"route": [{"destination": {"host": HOST}}], "retries": retries, "timeout": "1s"});
    networking("VirtualService", "reviews", "default", json!({"hosts": [HOST], "http": [route]}))
}

/// Lets nobody but these callers ask reviews.
fn only(principals: &[&str]) -> Value {
    let spec = json!({"selector": {"matchLabels": {"app": "reviews"}}, "action": "ALLOW",
        "rules": [{"from": [{"source": {"principals": principals}}]}]});
    json!({"apiVersion": "security.istio.io/v1", "kind": "AuthorizationPolicy", "metadata": meta("reviews", "default"), "spec": spec})
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_keep_the_name_and_another_cluster_stands_in_and_goes_again() {
    let mesh = Mesh::up().await;
    mesh.transparent().await;
    // Everybody's own Pods come first.
    mesh.served("kind2", &["kind2"]).await;
    mesh.served("kind3", &["kind3"]).await;

    mesh.scale("kind2", 0).await;
    mesh.served("kind2", &["kind3"]).await;
    mesh.served("kind3", &["kind3"]).await;
    mesh.scale("kind2", 1).await;
    mesh.served("kind2", &["kind2"]).await;

    // A cluster without the Service: the name is there, and leads to the other cluster alone.
    let k = "kubectl --context kind-kind2";
    mesh.type_(&format!("{k} delete deploy/reviews-v1 service/reviews")).await;
    let stub = json!({"apiVersion": "v1", "kind": "Service", "metadata": meta("reviews", "default"),
        "spec": {"ports": [{"name": "http", "port": 9080}]}});
    mesh.apply("kind2", &[stub]).await;
    mesh.served("kind2", &["kind3"]).await;

    // Who may call is decided by the Pods' own sidecars, whatever the gateway lets through.
    let page = "ns/default/sa/bookinfo-productpage";
    mesh.apply("kind3", &[only(&[&format!("kind3/{page}")])]).await;
    mesh.served("kind2", &["kind3"]).await;
    mesh.apply("kind3", &[only(&[&format!("strangers/{page}")])]).await;
    mesh.served("kind2", &["403"]).await;
    mesh.served("kind3", &["403"]).await;
    mesh.type_("kubectl --context kind-kind3 delete authorizationpolicy reviews").await;
    mesh.served("kind2", &["kind3"]).await;
    mesh.lab.down().await;
}

/// How many connections a cluster's east-west gateway has taken for other networks so far.
async fn connections(mesh: &Mesh, cluster: &str) -> u64 {
    let pods = format!("kubectl --context kind-{cluster} -n istio-system get pods -l istio=eastwestgateway");
    let ip = mesh.type_(&format!("{pods} -o jsonpath={{.items[0].status.podIP}}")).await;
    let stats = answer("GET", &format!("http://{}:15000/stats?filter=15443.downstream_cx_total$", ip.trim())).await;
    let count = |l: &str| l.rsplit(": ").next().and_then(|n| n.trim().parse::<u64>().ok());
    stats.lines().filter_map(count).sum()
}

async fn both(mesh: &Mesh) -> u64 {
    connections(mesh, "kind2").await + connections(mesh, "kind3").await
}

#[tokio::test(flavor = "multi_thread")]
async fn with_nobody_left_gateways_do_not_pass_a_call_on_to_each_other() {
    let mesh = Mesh::up().await;
    mesh.transparent().await;
    for (cluster, _) in PAIRS {
        mesh.served(cluster, &[cluster]).await;
    }
    for (cluster, _) in PAIRS {
        mesh.scale(cluster, 0).await;
    }
    mesh.served("kind2", &["503"]).await;
    let before = both(&mesh).await;
    let entry2 = mesh.lab.gateway("kind2").await;
    let asked = who(&entry2, 20).await;
    assert_eq!(asked.iter().collect::<Vec<_>>(), ["503"]);
    let taken = both(&mesh).await - before;
    assert!(taken <= 20 * 4, "each attempt opens one connection at most: {taken} for 20 calls");

    // Without a network the other gateway counts as one of the own network, and both see nothing but each other.
    for (cluster, other) in PAIRS {
        let address = mesh.east_west(other).await;
        mesh.apply(cluster, &[entry(other, &address, false)]).await;
    }
    let start = Instant::now();
    loop {
        let before = both(&mesh).await;
        who(&entry2, 1).await;
        let taken = both(&mesh).await - before;
        if taken > 40 {
            break;
        }
        assert!(start.elapsed() < PATIENCE, "one call went around {taken} times only");
    }
    mesh.lab.down().await;
}

/// What istiods that read each other need: only how callers talk to the Service, and gateways that let it through.
fn by_cluster() -> [Value; 3] {
    let mut rule = rule();
    rule["spec"]["trafficPolicy"]["loadBalancer"]["localityLbSetting"]["failoverPriority"] =
        json!(["topology.istio.io/cluster"]);
    [gateway(), rule, retries()]
}

/// Credentials that status finds something wrong with: the cluster that holds it, and the code.
async fn bad_credentials(mesh: &Mesh) -> Vec<(String, String)> {
    let said = mesh.lab.try_type("failctl status -o json").await;
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
    let rows = report["certificates"].as_array().unwrap().iter();
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let bad: Vec<_> =
        rows.filter(|r| r["finding"].is_object()).map(|r| (text(&r["cluster"]), text(&r["finding"]["code"]))).collect();
    assert_eq!(said.ok, bad.is_empty(), "{}", said.out);
    bad
}

#[tokio::test(flavor = "multi_thread")]
async fn control_planes_that_read_each_other_need_no_entries_and_a_revoked_token_is_seen() {
    let mesh = Mesh::up().await;
    for (cluster, _) in PAIRS {
        mesh.apply(cluster, &by_cluster()).await;
    }
    mesh.scale("kind2", 0).await;
    mesh.served("kind2", &["503"]).await;
    for (cluster, _) in PAIRS {
        mesh.type_(&format!("failctl cluster register {cluster} --yes")).await;
    }
    mesh.served("kind2", &["kind3"]).await;
    mesh.scale("kind2", 1).await;
    mesh.served("kind2", &["kind2"]).await;
    mesh.served("kind3", &["kind3"]).await;
    // A Service of another cluster is known here without one of its own.
    mesh.type_("kubectl --context kind-kind2 delete deploy/reviews-v1 service/reviews").await;
    mesh.served("kind2", &["kind3"]).await;
    assert_eq!(bad_credentials(&mesh).await, []);

    // With its account a token dies. istiod goes on with what it saw last, and only asking shows it.
    mesh.type_("kubectl --context kind-kind3 -n istio-system delete serviceaccount istio-reader-kind3").await;
    assert_eq!(bad_credentials(&mesh).await, [("kind2".to_string(), "FCT0708".to_string())]);
    mesh.served("kind2", &["kind3"]).await;
    mesh.type_("failctl cluster register kind3 --yes").await;
    assert_eq!(bad_credentials(&mesh).await, []);
    // Without the Secret the other cluster is gone at once.
    mesh.type_("kubectl --context kind-kind2 -n istio-system delete secret istio-remote-secret-kind3").await;
    mesh.served("kind2", &["502"]).await;
    mesh.lab.down().await;
}

const FAILOVER: &str = "apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {name: reviews}
spec:
  service: {namespace: default, name: reviews, port: 9080}
  order:
  - clusters: [{name: kind2}]
  - clusters: [{name: kind3}]
  detection: {outlierDetection: {consecutive5xx: 1, interval: 1s, baseEjectionTime: 2s}}
  target: istioLocality
";

/// What status says of the failover's callers in a cluster: who serves, and the codes and texts of its findings.
async fn callers_of(mesh: &Mesh, cluster: &str) -> (String, Vec<(String, String)>, Value) {
    let said = mesh.lab.try_type("failctl status -f $FAILCTL_FILE -f reviews.yaml --no-drift -o json").await;
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
    let rows = report["failovers"].as_array().unwrap();
    let row = rows.iter().find(|r| r["callers"] == cluster).unwrap_or_else(|| panic!("no {cluster}: {report:#}"));
    let text = |v: &Value| v.as_str().unwrap_or_default().to_string();
    let findings = row["findings"].as_array().unwrap().iter().map(|f| (text(&f["code"]), text(&f["what"]))).collect();
    let by = row["servedBy"].as_array().unwrap().iter().map(text).collect::<Vec<_>>().join("+");
    (format!("{} {by}", text(&row["serving"])), findings, row.clone())
}

/// Waits until the callers of a cluster are served by it, and nothing is amiss: a sidecar hears of the other cluster's endpoints
/// some time after its own serve.
async fn well(mesh: &Mesh, cluster: &str) {
    let begun = Instant::now();
    loop {
        let (serving, findings, row) = callers_of(mesh, cluster).await;
        if serving == format!("primary {cluster}") && findings.is_empty() {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{row:#}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn status_tells_for_each_cluster_of_callers_who_serves_since_when_and_why() {
    let mesh = Mesh::up().await;
    std::fs::write(mesh.lab.folder.path().join("reviews.yaml"), FAILOVER).unwrap();
    mesh.type_("failctl apply -f $FAILCTL_FILE -f reviews.yaml --yes --wait").await;
    for (cluster, _) in PAIRS {
        mesh.served(cluster, &[cluster]).await;
        well(&mesh, cluster).await;
    }
    mesh.scale("kind2", 0).await;
    mesh.served("kind2", &["kind3"]).await;
    let (serving, findings, row) = callers_of(&mesh, "kind2").await;
    assert_eq!(serving, "backup kind3", "{row:#}");
    let moved = &findings.iter().find(|(code, _)| code == "FCT0632").unwrap_or_else(|| panic!("{row:#}")).1;
    assert!(moved.contains("kind3 takes 100 %") && moved.contains("kind2 has no ready Pod"), "{moved}");
    assert!(row["since"]["time"].is_string() && row["since"]["evidence"].is_string(), "{row:#}");
    let (serving, findings, row) = callers_of(&mesh, "kind3").await;
    // Its own Pods serve; the other cluster, which would stand in, answers nobody.
    assert_eq!(serving, "primary kind3", "{row:#}");
    assert!(findings.iter().all(|(code, _)| code != "FCT0632"), "{row:#}");
    mesh.scale("kind2", 1).await;
    mesh.served("kind2", &["kind2"]).await;

    // The article's gateway lets everything through, and nothing here refuses a stranger.
    let mut wide = gateway();
    wide["spec"]["servers"][0]["hosts"] = json!(["*.svc.cluster.local"]);
    mesh.apply("kind3", &[wide]).await;
    let codes = |findings: Vec<(String, String)>| findings.into_iter().map(|(code, _)| code).collect::<Vec<_>>();
    assert_eq!(codes(callers_of(&mesh, "kind3").await.1), ["FCT0646"]);
    assert_eq!(codes(callers_of(&mesh, "kind2").await.1), Vec::<String>::new());
    mesh.type_("kubectl --context kind-kind3 -n istio-system delete gateway transparent").await;
    // Without outlier detection nothing follows anything.
    mesh.type_("kubectl --context kind-kind2 patch destinationrule reviews --type json -p '[{\"op\": \"remove\", \"path\": \"/spec/trafficPolicy/outlierDetection\"}]'").await;
    until_who(&mesh.lab.gateway("kind2").await, &["kind2", "kind3"]).await;
    let found = codes(callers_of(&mesh, "kind2").await.1);
    assert!(["FCT0634", "FCT0648"].iter().all(|code| found.iter().any(|c| c == code)), "{found:?}");
    mesh.lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_of_a_shared_name_sees_when_the_primary_is_left_and_when_it_is_back() {
    let mesh = Mesh::up().await;
    std::fs::write(mesh.lab.folder.path().join("reviews.yaml"), FAILOVER).unwrap();
    mesh.type_("failctl apply -f $FAILCTL_FILE -f reviews.yaml --yes --wait").await;
    for (cluster, _) in PAIRS {
        mesh.served(cluster, &[cluster]).await;
    }
    let drill = "failctl simulate -f $FAILCTL_FILE -f reviews.yaml --failover reviews --fault scale-to-zero --rate 50 \
                 --heal-after 4s --path /api/v1/products/0/reviews --answered-by '\"clustername\": *\"([^\"]+)\"' -o json";
    let said = mesh.lab.try_type(drill).await;
    let report: Value = serde_json::from_str(&said.out).unwrap_or_else(|e| panic!("{e}: {}{}", said.out, said.err));
    let run = &report["runs"][0];
    for time in ["detection_ms", "failover_ms", "failback_ms"] {
        assert!(run[time].is_u64(), "{time}: {run:#}");
    }
    assert_eq!(run["failed"], 0, "{run:#}");
    let calls = mesh.type_("failctl traffic -f $FAILCTL_FILE -f reviews.yaml reviews").await;
    assert!(calls.contains("kind2") && calls.contains("kind3"), "{calls}");
    mesh.lab.down().await;
}
