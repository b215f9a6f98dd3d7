//! The guide to service failover with Gloo Federation, typed command by command at two clusters.
//! kubectl, openssl and bash as they are; failctl where the guide has glooctl. (`kubectl delete secret tls --name` was
//! never valid; the cleanup deletes the secrets by name.) The documents are the guide's, kept with the golden pairs.

use std::time::{Duration, Instant};

use crate::typist::{Typist, answer, until};

const LOCAL: &str = "tests/golden/gloo/guide/local.yaml";
const REMOTE: &str = "tests/golden/gloo/guide/remote.yaml";

/// The health check of the guide is its first without `noTrafficInterval`: Envoy then waits up to 60 s for the next
/// check of a cluster that had no traffic when it was checked last.
const ENVOY_PATIENCE: u64 = 90;

const CERTIFICATES: [&str; 2] = [
    "openssl req -x509 -nodes -days 365 -newkey rsa:2048 -keyout tls.key -out tls.crt -subj \"/CN=solo.io\"",
    "openssl req -x509 -nodes -days 365 -newkey rsa:2048 -keyout mtls.key -out mtls.crt -subj \"/CN=solo.io\"",
];

/// `glooctl create secret tls --name failover-downstream --certchain tls.crt --privatekey tls.key --rootca mtls.crt`
const DOWNSTREAM: &str = "kubectl create secret generic failover-downstream -n gloo-system --type=kubernetes.io/tls \
    --from-file=tls.crt --from-file=tls.key --from-file=ca.crt=mtls.crt";
/// `glooctl create secret tls --name failover-upstream --certchain mtls.crt --privatekey mtls.key`
const UPSTREAM: &str = "kubectl create secret generic failover-upstream -n gloo-system --type=kubernetes.io/tls \
    --from-file=tls.crt=mtls.crt --from-file=tls.key=mtls.key";

const HEALTH: &str =
    "kubectl patch --context gloo-fed upstream -n gloo-system default-service-blue-10000 --type=merge -p \"
spec:
 healthChecks:
 - timeout: 1s
   interval: 1s
   unhealthyThreshold: 1
   healthyThreshold: 1
   httpHealthCheck:
     path: /health
\"";

/// `glooctl add route --path-prefix / --dest-name default-service-blue-10000`
const ROUTE: &str = "failctl route add --cluster local --path-prefix / --dest-name default-service-blue-10000 --yes";

/// From the certificates to the route, in the guide's order.
async fn configure(lab: &Typist) {
    for line in CERTIFICATES {
        lab.type_(line).await;
    }
    lab.type_("kubectl config use-context gloo-fed-2").await;
    lab.type_(DOWNSTREAM).await;
    lab.type_("kubectl config use-context gloo-fed").await;
    lab.type_(UPSTREAM).await;
    lab.type_("kubectl config use-context gloo-fed-2").await;
    lab.documents(REMOTE, &["kind: Gateway", "name: failover\n  namespace"], "gateway.yaml");
    lab.type_("kubectl apply -f - < gateway.yaml").await;
    let gateway = lab.type_("kubectl get gateway -n gloo-system failover-gateway").await;
    assert!(gateway.contains("failover-gateway"), "{gateway}");
    let service = lab.type_("kubectl get svc -n gloo-system failover").await;
    assert!(service.contains("LoadBalancer") && service.contains("15443:32000/TCP"), "{service}");
    lab.documents(LOCAL, &["name: service-blue\n", "name: echo-blue\n"], "blue.yaml");
    lab.type_("kubectl apply --context gloo-fed -f - < blue.yaml").await;
    lab.documents(REMOTE, &["name: service-green\n", "name: echo-green\n"], "green.yaml");
    lab.type_("kubectl apply --context gloo-fed-2 -f - < green.yaml").await;
    lab.type_("kubectl rollout status --context gloo-fed deploy/echo-blue --timeout=60s").await;
    lab.type_("kubectl rollout status --context gloo-fed-2 deploy/echo-green --timeout=60s").await;
    lab.type_(HEALTH).await;
    lab.documents(LOCAL, &["kind: FailoverScheme"], "scheme.yaml");
    lab.type_("kubectl apply --context gloo-fed -f - < scheme.yaml").await;
    lab.type_("kubectl config use-context gloo-fed").await;
    lab.type_(ROUTE).await;
}

/// Typed in order: blue, green, blue; and nothing is left.
pub async fn in_order(lab: &Typist) {
    configure(lab).await;
    let url = lab.gateway("local").await;
    until(&url, "blue-pod", 30).await;

    let _forward = forward(lab).await;
    assert_eq!(answer("POST", "http://localhost:19000/healthcheck/fail").await, "OK");
    until(&url, "green-pod", ENVOY_PATIENCE).await;
    assert_eq!(answer("POST", "http://localhost:19000/healthcheck/ok").await, "OK");
    until(&url, "blue-pod", ENVOY_PATIENCE).await;

    for line in [
        "kubectl delete failoverscheme -n gloo-fed failover-scheme --context gloo-fed",
        "kubectl delete deployment echo-blue --context gloo-fed",
        "kubectl delete svc service-blue --context gloo-fed",
        "kubectl delete deployment echo-green --context gloo-fed-2",
        "kubectl delete svc service-green --context gloo-fed-2",
        "kubectl delete -n gloo-system service/failover --context gloo-fed-2",
        "kubectl delete gateway -n gloo-system failover-gateway --context gloo-fed-2",
        "kubectl delete secret -n gloo-system failover-downstream --context gloo-fed-2",
        "kubectl delete secret -n gloo-system failover-upstream --context gloo-fed",
    ] {
        lab.type_(line).await;
    }
    for context in ["gloo-fed", "gloo-fed-2"] {
        lab.type_(&format!("kubectl wait --for=delete pod -l app=bluegreen --timeout=30s --context {context}")).await;
    }
    let left = lab.type_("kubectl get upstreams -n gloo-system -o name").await;
    assert!(!left.contains("blue"), "{left}");
    let answer = answer("GET", &url).await;
    assert_ne!(answer, "blue-pod");
}

/// `kubectl port-forward deploy/echo-blue 19000 &`, once it forwards. The guide's port may be in use here for a while.
async fn forward(lab: &Typist) -> tokio::process::Child {
    let start = Instant::now();
    let waiting = || start.elapsed() < Duration::from_secs(60);
    while waiting() {
        let mut forward = lab.background("kubectl port-forward deploy/echo-blue 19000");
        while waiting() && forward.try_wait().unwrap().is_none() {
            if answer("GET", "http://localhost:19000/ready").await == "LIVE" {
                return forward;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    panic!("kubectl port-forward does not forward");
}

/// Every object of it, edited with kubectl, changes the traffic.
pub async fn edited(lab: &Typist) {
    configure(lab).await;
    // Checks at their own pace from the first on.
    let quick = r#"kubectl patch upstream -n gloo-system default-service-blue-10000 --type=json -p '[
        {"op": "add", "path": "/spec/healthChecks/0/noTrafficInterval", "value": "1s"}]'"#;
    lab.type_(quick).await;
    let url = lab.gateway("local").await;
    until(&url, "blue-pod", 30).await;
    let blue = lab.pod_ip("gloo-fed", "text=blue").await;
    assert_eq!(answer("POST", &format!("http://{blue}:19000/healthcheck/fail")).await, "OK");
    until(&url, "green-pod", 30).await;

    // The scheme: without it there is only blue.
    lab.type_("kubectl delete failoverscheme -n gloo-fed failover-scheme").await;
    until(&url, "503", 30).await;
    lab.type_("kubectl apply -f scheme.yaml").await;
    until(&url, "green-pod", 30).await;

    // The failover of the Upstream: what an operator removes stays removed, though the scheme is there.
    let remove = r#"kubectl patch upstream -n gloo-system default-service-blue-10000 --type=merge -p '{"spec":{"failover":null}}'"#;
    lab.type_(remove).await;
    until(&url, "503", 30).await;
    lab.type_("kubectl delete -f scheme.yaml && kubectl apply -f scheme.yaml").await;
    until(&url, "green-pod", 30).await;

    // The remote gateway: its Service, then its listener.
    lab.type_("kubectl --context gloo-fed-2 delete service -n gloo-system failover").await;
    until(&url, "503", 30).await;
    lab.type_("kubectl --context gloo-fed-2 apply -f gateway.yaml").await;
    until(&url, "green-pod", 60).await;
    lab.type_("kubectl --context gloo-fed-2 delete gateway -n gloo-system failover-gateway").await;
    until(&url, "503", 30).await;
    lab.type_("kubectl --context gloo-fed-2 apply -f gateway.yaml").await;
    until(&url, "green-pod", 60).await;

    // The client's certificate: the remote gateway wants one.
    lab.type_("kubectl delete secret -n gloo-system failover-upstream").await;
    until(&url, "503", 30).await;
    lab.type_(UPSTREAM).await;
    until(&url, "green-pod", 60).await;

    // The route: without it the gateway serves nothing.
    lab.type_("kubectl delete virtualservice -n gloo-system default").await;
    let start = Instant::now();
    while answer("GET", &url).await == "green-pod" {
        assert!(start.elapsed() < Duration::from_secs(30), "the route is deleted and still carries");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
