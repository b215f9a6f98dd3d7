//! The article on failover with Service Mesh Hub, typed command by command at the sandbox: kubectl and bash as they are;
//! the sample's manifests from `failctl sandbox sample` where the article has URLs. (Two of its commands say `kubectl`
//! twice, and one document's first line is blank; they are typed as meant.)

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::sandboxes::{Lab, answer};

/// How long something may take on a slow machine, in seconds.
const PATIENCE: u64 = 120;

const KIND2: [&str; 4] = [
    "kubectl --context kind-kind2 label namespace default istio-injection=enabled",
    "failctl sandbox sample bookinfo | kubectl --context kind-kind2 apply -f - -l 'app,version notin (v3)'",
    "failctl sandbox sample bookinfo | kubectl --context kind-kind2 apply -f - -l 'account'",
    "failctl sandbox sample bookinfo-gateway | kubectl --context kind-kind2 apply -f -",
];

const KIND3: [&str; 3] = [
    "kubectl --context kind-kind3 label namespace default istio-injection=enabled",
    "failctl sandbox sample bookinfo | kubectl --context kind-kind3 apply -f -",
    "failctl sandbox sample bookinfo-gateway | kubectl --context kind-kind3 apply -f -",
];

const OUTLIER: &str = r"cat << EOF| kubectl --context kind-kind1 apply -f -
apiVersion: networking.smh.solo.io/v1alpha2
kind: TrafficPolicy
metadata:
  namespace: service-mesh-hub
  name: mgmt-reviews-outlier
spec:
  destinationSelector:
  - kubeServiceRefs:
      services:
      - name: reviews
        namespace: default
        clusterName: kind2
      - name: reviews
        namespace: default
        clusterName: kind3
  outlierDetection:
    consecutiveErrors: 1
    interval: 10s
    baseEjectionTime: 2m
EOF";

const FAILOVER: &str = r"cat << EOF| kubectl --context kind-kind1 apply -f -
apiVersion: networking.smh.solo.io/v1alpha2
kind: FailoverService
metadata:
  name: reviews-failover
  namespace: service-mesh-hub
spec:
  hostname: reviews-failover.default.global
  port:
    number: 9080
    protocol: http
  meshes:
    - name: istiod-istio-system-kind2
      namespace: service-mesh-hub
  backingServices:
  - kubeService:
      name: reviews
      namespace: default
      clusterName: kind2
  - kubeService:
      name: reviews
      namespace: default
      clusterName: kind3
EOF";

const SHIFT: &str = r"cat << EOF| kubectl --context kind-kind1 apply -f -
apiVersion: networking.smh.solo.io/v1alpha2
kind: TrafficPolicy
metadata:
  name: reviews-shift-failover
  namespace: default
spec:
  destinationSelector:
  - kubeServiceRefs:
      services:
      - clusterName: kind2
        name: reviews
        namespace: default
  trafficShift:
    destinations:
    - failoverServiceRef:
        name: reviews-failover
        namespace: service-mesh-hub
EOF";

/// `kubectl patch deploy reviews-vN` of the article.
fn sleep_patch(version: &str) -> String {
    let patch =
        r#"{"spec": {"template": {"spec": {"containers": [{"name": "reviews","command": ["sleep", "20h"]}]}}}}"#;
    format!("kubectl --context kind-kind2 patch deploy reviews-{version} --patch '{patch}'")
}

/// Types until what is printed is as wanted.
pub async fn until(lab: &Lab, line: &str, what: &str, wanted: impl Fn(&str) -> bool) -> String {
    let start = Instant::now();
    loop {
        let typed = lab.try_type(line).await;
        if typed.ok && wanted(&typed.out) {
            return typed.out;
        }
        let said = format!("{}{}", typed.out, typed.err);
        assert!(start.elapsed() < Duration::from_secs(PATIENCE), "{what}, after {PATIENCE} s:\n$ {line}\n{said}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Both clusters with the application, all Pods 2/2.
async fn deployed() -> Lab {
    let lab = Lab::article().await;
    for line in KIND2.iter().chain(&KIND3) {
        lab.type_(line).await;
    }
    for (context, pods) in [("kind-kind2", 5), ("kind-kind3", 6)] {
        let all_ready = |out: &str| out.lines().filter(|l| l.contains("2/2") && l.contains("Running")).count() == pods;
        until(&lab, &format!("kubectl --context {context} get pods"), "Pods are not 2/2", all_ready).await;
    }
    lab
}

/// The three documents, accepted, and what they come to on the clusters.
async fn failing_over(lab: &Lab) {
    let accepted = |kind: &str, namespace: &str, name: &str| {
        format!("kubectl --context kind-kind1 get {kind} -n {namespace} {name} -o jsonpath={{.status.state}}")
    };
    let trusted = accepted("virtualmesh", "service-mesh-hub", "virtual-mesh");
    until(lab, &trusted, "the VirtualMesh is not accepted", |out| out == "ACCEPTED").await;
    for (document, kind, namespace, name) in [
        (OUTLIER, "trafficpolicy", "service-mesh-hub", "mgmt-reviews-outlier"),
        (FAILOVER, "failoverservice", "service-mesh-hub", "reviews-failover"),
        (SHIFT, "trafficpolicy", "default", "reviews-shift-failover"),
    ] {
        lab.type_(document).await;
        until(lab, &accepted(kind, namespace, name), "it is not accepted", |out| out == "ACCEPTED").await;
    }
    let shifted =
        "kubectl --context kind-kind2 get virtualservice reviews -o jsonpath={.spec.http[*].route[*].destination.host}";
    until(lab, shifted, "nothing is shifted", |out| out.contains("reviews-failover.default.global")).await;
}

/// The article's entry: Istio's ingress gateway of the first serving cluster.
async fn entry(lab: &Lab) -> String {
    let ip = "-o jsonpath={.status.loadBalancer.ingress[0].ip}:{.spec.ports[?(@.name==\"http2\")].port}";
    let line = format!("kubectl --context kind-kind2 -n istio-system get svc istio-ingressgateway '{ip}'");
    let line = line.replace("'-o ", "-o '");
    format!("http://{}", lab.type_(&line).await.trim())
}

/// Refreshes the page some times: the looks of the reviews, `none`, `black`, `red` or `error`. Many ask at once, as many
/// people do: between clusters a connection stays with the Pod it was opened to, so that one reader would see one version.
async fn looks(entry: &str, times: usize) -> BTreeSet<&'static str> {
    let url = format!("{entry}/productpage");
    let pages = futures::future::join_all((0..times).map(|_| answer("GET", &url))).await;
    let look = |page: String| match () {
        () if page.contains("Error fetching product reviews!") => "error",
        () if page.contains("color: red") => "red",
        () if page.contains("color: black") => "black",
        () if page.contains("Reviews served by") => "none",
        () => panic!("no page: {page}"),
    };
    pages.into_iter().map(look).collect()
}

/// Refreshes the page until it looks as wanted; then it must stay so.
async fn until_looks(entry: &str, wanted: &[&'static str]) {
    let wanted: BTreeSet<&str> = wanted.iter().copied().collect();
    let start = Instant::now();
    loop {
        let seen = looks(entry, 24).await;
        if seen == wanted {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(PATIENCE), "the page shows {seen:?}, not {wanted:?}");
    }
}

/// The clusters that answer for reviews, and the statuses of those that do not.
pub async fn who(entry: &str, times: usize) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    for _ in 0..times {
        let said = answer("GET", &format!("{entry}/api/v1/products/0/reviews")).await;
        let cluster =
            serde_json::from_str::<Value>(&said).ok().and_then(|v| v["clustername"].as_str().map(str::to_owned));
        seen.insert(cluster.unwrap_or(said));
    }
    seen
}

/// Asks until a whole series of answers is as wanted.
pub async fn until_who(entry: &str, wanted: &[&str]) {
    let start = Instant::now();
    loop {
        let seen = who(entry, 30).await;
        if seen == set(wanted) {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(PATIENCE), "{seen:?} answer, not {wanted:?}");
    }
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_articles_commands_move_reviews_to_the_other_cluster() {
    let lab = deployed().await;
    let entry = entry(&lab).await;
    // "I see only the versions v1 (no stars) and v2 (black stars)".
    until_looks(&entry, &["none", "black"]).await;
    assert_eq!(who(&entry, 10).await, set(&["kind2"]));

    failing_over(&lab).await;
    let rule = lab.type_("kubectl --context kind-kind2 get destinationrule reviews -o jsonpath={.spec.trafficPolicy.outlierDetection}").await;
    for part in [
        "\"consecutive5xxErrors\":1",
        "\"interval\":\"10s\"",
        "\"baseEjectionTime\":\"2m",
        "\"maxEjectionPercent\":100",
    ] {
        assert!(rule.contains(part) || (part.contains("2m") && rule.contains("120s")), "{part} is not in {rule}");
    }
    let filter =
        lab.type_("kubectl --context kind-kind2 get envoyfilter -n istio-system reviews-failover -o yaml").await;
    let near = filter.find("outbound|9080||reviews.default.svc.cluster.local").expect("the local cluster");
    let far = filter.find("outbound|9080||reviews.default.svc.kind3.global").expect("the remote cluster");
    assert!(near < far, "{filter}");
    // What the failover is made of carries the traffic before anything fails, and still to the local cluster.
    until_looks(&entry, &["none", "black"]).await;

    lab.type_(&sleep_patch("v1")).await;
    lab.type_(&sleep_patch("v2")).await;
    // "When I refresh the web page several times again, I see only v3 (red stars) as well".
    until_looks(&entry, &["none", "black", "red"]).await;
    until_who(&entry, &["kind3"]).await;
    until_looks(&entry, &["none", "black", "red"]).await;
    let pods = until(&lab, "kubectl --context kind-kind2 get pods", "the patched Pods are not 2/2", |out| {
        out.lines().filter(|l| l.starts_with("reviews") && l.contains("2/2")).count() == 2
    })
    .await;
    assert!(!pods.contains("CrashLoopBackOff"), "{pods}");

    // The table's principals are in the access log of productpage's own sidecar.
    let log = lab.type_("kubectl --context kind-kind2 logs deploy/productpage-v1 -c istio-proxy").await;
    let served = |principal: &str| {
        log.lines().filter_map(|l| serde_json::from_str::<Value>(l).ok()).any(|l| {
            l["target_principal"] == format!("spiffe://{principal}/ns/default/sa/bookinfo-reviews")
                && l["source_principal"] == "spiffe://kind2/ns/default/sa/bookinfo-productpage"
                && l["code"] == 200
        })
    };
    assert!(served("kind2") && served("kind3"), "{log}");
    // A real curl through the sidecar of another Pod is moved too.
    lab.type_("failctl sandbox sample sleep | kubectl --context kind-kind2 apply -f -").await;
    until(&lab, "kubectl --context kind-kind2 get pods -l app=sleep", "sleep is not 2/2", |o| o.contains("2/2")).await;
    let curl = "kubectl --context kind-kind2 exec deploy/sleep -- curl -sS http://reviews:9080/reviews/0";
    until(&lab, curl, "curl does not reach the other cluster", |out| out.contains("\"clustername\":\"kind3\"")).await;
    lab.down().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_destination_rule_the_failover_is_broken_until_a_policy_is_touched() {
    let lab = deployed().await;
    let entry = entry(&lab).await;
    failing_over(&lab).await;
    until_looks(&entry, &["none", "black"]).await;
    lab.type_("kubectl --context kind-kind2 delete destinationrule reviews").await;
    lab.type_(&sleep_patch("v1")).await;
    lab.type_(&sleep_patch("v2")).await;
    // Nothing ejects the broken Pods, so the aggregate never leaves them.
    until_who(&entry, &["503"]).await;
    assert_eq!(looks(&entry, 5).await, BTreeSet::from(["error"]));
    lab.type_(
        "kubectl --context kind-kind1 -n service-mesh-hub annotate trafficpolicy mgmt-reviews-outlier touched=yes",
    )
    .await;
    until(&lab, "kubectl --context kind-kind2 get destinationrule reviews", "it is not written again", |_| true).await;
    until_looks(&entry, &["none", "black", "red"]).await;
    lab.down().await;
}
