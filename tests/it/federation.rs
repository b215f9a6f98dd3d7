//! Gloo Federation in the sandbox: registrations, schemes and their statuses, and what follows an edit.
//! No Pods: Federation reads objects and writes objects.

use std::time::{Duration, Instant};

use crate::sandboxes::Lab;

const SERVICES: &str = "kubectl --context gloo-fed create service clusterip blue --tcp=80 && \
    kubectl --context gloo-fed-2 create service clusterip green --tcp=80";

const SCHEME: &str = "kubectl --context gloo-fed apply -f - <<EOF
apiVersion: fed.solo.io/v1
kind: FailoverScheme
metadata: {name: scheme, namespace: gloo-fed}
spec:
  primary: {clusterName: PRIMARY, name: default-blue-80, namespace: gloo-system}
  failoverGroups:
  - priorityGroup:
    - cluster: TARGET
      upstreams: [{name: default-green-80, namespace: gloo-system}]
EOF";

fn scheme(primary: &str, target: &str) -> String {
    SCHEME.replace("PRIMARY", primary).replace("TARGET", target)
}

/// Reads with kubectl until it says what is expected.
async fn until(lab: &Lab, line: &str, expected: &str) {
    let start = Instant::now();
    loop {
        let got = lab.try_type(line).await;
        if got.out == expected {
            return;
        }
        let said = format!("$ {line}\n{}{}expected {expected}", got.out, got.err);
        assert!(start.elapsed() < Duration::from_secs(20), "{said}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

const STATUS: &str = "kubectl get failoverscheme -n gloo-fed scheme -o jsonpath='{.status.state}: {.status.message}'";
const ADDRESS: &str = "kubectl get upstream -n gloo-system default-blue-80 -o \
    jsonpath='{range .spec.failover.prioritizedLocalities[*].localityEndpoints[*].lbEndpoints[*]}{.address}:{.port} {.upstreamSslConfig.sni}{end}'";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scheme_for_an_unregistered_cluster_is_failed_undeletable_and_freed_by_registering() {
    let lab = Lab::guide().await;
    lab.type_(SERVICES).await;
    lab.type_(&scheme("nowhere", "remote")).await;
    // The remote gateway has no failover port yet; what is wrong with the primary is told once that is there.
    lab.type_(&service("LoadBalancer")).await;
    let failed = "FAILED: failed to get client for cluster nowhere: Failed to get manager for cluster nowhere";
    until(&lab, STATUS, failed).await;
    lab.type_("kubectl delete failoverscheme -n gloo-fed scheme --wait=false").await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    until(&lab, STATUS, failed).await;
    // The registration is the Secret: the same kubeconfig under the missing name.
    lab.type_(
        "kubectl get secret -n gloo-system local -o jsonpath='{.data.kubeconfig}' | base64 -d > k && \
         kubectl create secret generic nowhere -n gloo-system --type=solo.io/kubeconfig --from-file=kubeconfig=k",
    )
    .await;
    until(&lab, "kubectl get failoverscheme -n gloo-fed -o name", "").await;
    lab.down().await;
}

/// The failover Service of the remote gateway.
fn service(kind: &str) -> String {
    format!(
        "kubectl --context gloo-fed-2 apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {{name: failover, namespace: gloo-system}}
spec:
  type: {kind}
  selector: {{gateway-proxy: live, gateway-proxy-id: gateway-proxy}}
  ports: [{{name: failover, port: 15443, nodePort: 32000, targetPort: 15443}}]
EOF"
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_on_any_registered_cluster_reach_the_primary_and_deletion_takes_everything_back() {
    let lab = Lab::guide().await;
    lab.type_(SERVICES).await;
    lab.type_(&scheme("local", "remote")).await;
    let pending = "FAILED: no external address with a port named failover for Gloo instance of cluster remote";
    until(&lab, STATUS, pending).await;
    let block = format!("127.{}", lab.sandbox.block().second);
    lab.type_(&service("LoadBalancer")).await;
    until(&lab, STATUS, "ACCEPTED: ").await;
    until(&lab, ADDRESS, &format!("{block}.17.2:15443 default-green-80_gloo-system")).await;
    lab.type_(&service("NodePort")).await;
    until(&lab, ADDRESS, &format!("{block}.16.2:32000 default-green-80_gloo-system")).await;
    // Rediscovery of the Service keeps what users and Federation set.
    lab.type_("kubectl label service blue new=label && kubectl patch upstream -n gloo-system default-blue-80 --type=merge -p '{\"spec\":{\"healthChecks\":[{\"interval\":\"1s\"}]}}'").await;
    until(&lab, "kubectl get upstream -n gloo-system default-blue-80 -o jsonpath='{.spec.discoveryMetadata.labels.new} {.spec.healthChecks[0].interval}'", "label 1s").await;
    until(&lab, ADDRESS, &format!("{block}.16.2:32000 default-green-80_gloo-system")).await;
    // The trap of this kind: a target written like the primary.
    let trap = scheme("local", "remote").replace("cluster: remote", "clusterName: remote");
    lab.type_(&trap).await;
    until(&lab, STATUS, "INVALID: failoverGroups[0].priorityGroup[0]: cluster must be set").await;
    lab.type_("kubectl delete failoverscheme -n gloo-fed scheme --timeout=20s").await;
    until(&lab, "kubectl get upstream -n gloo-system default-blue-80 -o jsonpath='{.spec.failover}'", "").await;
    let instance = "kubectl get glooinstance -n gloo-system -o name";
    until(&lab, instance, "glooinstance.fed.solo.io/local-gloo-system\nglooinstance.fed.solo.io/remote-gloo-system\n")
        .await;
    lab.type_("kubectl delete secret -n gloo-system remote").await;
    until(&lab, instance, "glooinstance.fed.solo.io/local-gloo-system\n").await;
    lab.down().await;
}
