//! `failctl diff`, `apply` and `delete` of a mesh: what is asked of clusters, what is written where and in which order,
//! and that taking it away gives everything back, the mesh configuration's other lines included.

use failctl::sandbox::crds;
use serde_json::{Value, json};

use super::support::fleet::Ground;
use super::support::root;

const FLEET: &str = "apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: bookinfo}
spec:
  clusters:
  - {name: local, context: gloo-fed, trustDomain: kind2, istio: {version: 1.27.0}}
  - {name: remote, context: gloo-fed-2, trustDomain: kind3, istio: {version: 1.27.0}}
";

const REVIEWS: &str = "---
apiVersion: failctl.dev/v1alpha1
kind: Failover
metadata: {name: reviews}
spec:
  service: {namespace: default, name: reviews, port: 9080}
  order:
  - clusters: [{name: local}]
  - clusters: [{name: remote}]
  detection: {outlierDetection: {consecutive5xx: 1, interval: 1s, baseEjectionTime: 10s}}
  retries: {attempts: 2, idempotent: true}
";

const FEDERATED: &str = "reviews.default.svc.remote.global";
/// The Gateway that lets it through.
const PASSED: &str = "reviews-default-svc-remote-global";
const MESH: &str = "# the platform team's\ndefaultConfig:\n  discoveryAddress: istiod.istio-system.svc:15012 # do not touch\ntrustDomain: ";

fn mesh_text(domain: &str) -> String {
    format!("{MESH}{domain}\n")
}

fn networking(namespace: &str, plural: &str, name: &str) -> String {
    format!("/apis/networking.istio.io/v1/namespaces/{namespace}/{plural}/{name}")
}

/// Two clusters with Istio, reviews on both, and an east-west gateway that has its address.
fn ground() -> Ground {
    let ground = Ground::bare();
    for (cluster, domain, ip) in [("local", "kind2", "192.0.2.2"), ("remote", "kind3", "192.0.2.3")] {
        for crd in crds::istio() {
            let path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
            ground.ask(cluster, "POST", path, "application/json", Some(serde_json::to_value(crd).unwrap()));
        }
        let post = |path: &str, body: Value| ground.ask(cluster, "POST", path, "application/json", Some(body));
        let meta = |name: &str, namespace: &str| json!({ "name": name, "namespace": namespace });
        post(
            "/api/v1/namespaces",
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-system" } }),
        );
        post(
            "/api/v1/namespaces/istio-system/configmaps",
            json!({ "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": meta("istio", "istio-system"), "data": { "mesh": mesh_text(domain), "meshNetworks": "networks: {}" } }),
        );
        post(
            "/api/v1/namespaces/istio-system/services",
            json!({ "apiVersion": "v1", "kind": "Service",
            "metadata": { "name": "istio-eastwestgateway", "namespace": "istio-system", "labels": { "istio": "eastwestgateway" } },
            "spec": { "type": "LoadBalancer", "selector": { "istio": "eastwestgateway" },
                "ports": [{ "name": "status-port", "port": 15021 }, { "name": "tls", "port": 15443 }] } }),
        );
        let status = json!({ "status": { "loadBalancer": { "ingress": [{ "ip": ip }] } } });
        let path = "/api/v1/namespaces/istio-system/services/istio-eastwestgateway/status";
        ground.ask(cluster, "PATCH", path, "application/merge-patch+json", Some(status));
        post(
            "/api/v1/namespaces/default/services",
            json!({ "apiVersion": "v1", "kind": "Service", "metadata": meta("reviews", "default"),
            "spec": { "selector": { "app": "reviews" }, "ports": [{ "name": "http", "port": 9080 }] } }),
        );
        post(
            "/apis/apps/v1/namespaces/default/deployments",
            json!({ "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": meta("reviews-v1", "default"), "spec": { "replicas": 0, "selector": { "matchLabels": { "app": "reviews" } },
                "template": { "metadata": { "labels": { "app": "reviews" } }, "spec": { "serviceAccountName": "bookinfo-reviews",
                    "containers": [{ "name": "reviews", "image": "docker.io/istio/examples-bookinfo-reviews-v1:1.20.3" }] } } } }),
        );
    }
    ground.write("failctl.yaml", &format!("{FLEET}{REVIEWS}"));
    ground
}

/// An object by its path; null when there is none.
fn there(ground: &Ground, cluster: &str, path: &str) -> Value {
    let (collection, name) = path.rsplit_once('/').unwrap();
    let list = ground.ask(cluster, "GET", collection, "application/json", None);
    let items = list["items"].as_array().unwrap();
    items.iter().find(|i| i["metadata"]["name"] == name).cloned().unwrap_or_default()
}

fn config(ground: &Ground) -> Value {
    there(ground, "remote", "/api/v1/namespaces/istio-system/configmaps/istio")
}

fn istio_writes(ground: &Ground, cluster: &str) -> Vec<String> {
    let log = ground.clusters[cluster].log.lock().unwrap();
    let writes = log.iter().filter(|l| l.starts_with("PATCH") || l.starts_with("DELETE"));
    writes.filter(|l| l.contains("istio")).cloned().collect()
}

#[test]
fn a_mesh_failover_is_written_with_what_the_clusters_told_and_taken_away_without_a_trace() {
    let ground = ground();
    ground.golden("mesh_diff", &["diff"]);
    ground.golden("mesh_apply", &["apply", "--yes"]);
    let entry = there(&ground, "local", &networking("istio-system", "serviceentries", FEDERATED));
    assert_eq!(entry["spec"]["endpoints"][0]["address"], "192.0.2.3");
    let rule = there(&ground, "local", &networking("istio-system", "destinationrules", FEDERATED));
    let names = &rule["spec"]["trafficPolicy"]["tls"]["subjectAltNames"];
    assert_eq!(*names, json!(["spiffe://kind3/ns/default/sa/bookinfo-reviews"]));
    assert!(!there(&ground, "remote", &networking("default", "serviceentries", FEDERATED)).is_null());
    let mesh = config(&ground)["data"]["mesh"].as_str().unwrap().to_string();
    assert_eq!(mesh, format!("{}trustDomainAliases:\n- kind2\n", mesh_text("kind3")));
    assert_eq!(config(&ground)["data"]["meshNetworks"], "networks: {}");

    let before = (istio_writes(&ground, "local").len(), istio_writes(&ground, "remote").len());
    ground.golden("mesh_apply_again", &["apply"]);
    assert_eq!((istio_writes(&ground, "local").len(), istio_writes(&ground, "remote").len()), before);
    assert_eq!(ground.run(&["diff"]).code, Some(0));

    ground.golden("mesh_delete", &["delete", "--yes"]);
    for (cluster, namespace, plural, name) in [
        ("local", "default", "destinationrules", "reviews"),
        ("local", "default", "virtualservices", "reviews"),
        ("local", "istio-system", "destinationrules", FEDERATED),
        ("local", "istio-system", "serviceentries", FEDERATED),
        ("local", "istio-system", "serviceentries", "failctl-reviews"),
        ("remote", "default", "serviceentries", FEDERATED),
        ("remote", "istio-system", "gateways", PASSED),
    ] {
        assert!(there(&ground, cluster, &networking(namespace, plural, name)).is_null(), "{cluster} {plural} {name}");
    }
    assert_eq!(config(&ground)["data"]["mesh"], mesh_text("kind3"));
    assert!(config(&ground)["metadata"]["annotations"].as_object().is_none_or(|a| a.is_empty()));
}

#[test]
fn what_failovers_share_goes_with_the_last_of_them() {
    let ground = ground();
    // The same backup for another Service of the same Pods: the remote side is shared.
    let service = json!({ "apiVersion": "v1", "kind": "Service", "metadata": { "name": "opinions", "namespace": "default" },
        "spec": { "selector": { "app": "reviews" }, "ports": [{ "name": "http", "port": 9080 }] } });
    ground.ask("local", "POST", "/api/v1/namespaces/default/services", "application/json", Some(service));
    let other = REVIEWS
        .replace("name: reviews}", "name: opinions}")
        .replace("{name: local}", "{name: local, service: {name: opinions}}");
    ground.write("failctl.yaml", &format!("{FLEET}{REVIEWS}{other}"));
    ground.ok(&["apply", "--yes"]);
    ground.ok(&["apply", "opinions", "--yes"]);
    ground.ok(&["delete", "opinions", "--yes"]);
    assert!(
        there(
            &ground,
            "local",
            &networking("istio-system", "envoyfilters", "failctl-opinions").replace("/v1/", "/v1alpha3/")
        )
        .is_null()
    );
    assert!(!there(&ground, "remote", &networking("default", "serviceentries", FEDERATED)).is_null());
    assert!(
        !there(&ground, "local", &networking("istio-system", "serviceentries", FEDERATED)).is_null(),
        "reviews needs it too"
    );
    assert!(config(&ground)["data"]["mesh"].as_str().unwrap().contains("kind2"));
    ground.ok(&["delete", "reviews", "--yes"]);
    assert!(there(&ground, "remote", &networking("default", "serviceentries", FEDERATED)).is_null());
    assert_eq!(config(&ground)["data"]["mesh"], mesh_text("kind3"));
}

#[test]
fn an_alias_that_was_there_before_stays_when_failctl_goes() {
    let ground = ground();
    let text = format!("{}trustDomainAliases: [kind2, old]\n", mesh_text("kind3"));
    let path = "/api/v1/namespaces/istio-system/configmaps/istio";
    let patch = json!({ "data": { "mesh": text } });
    ground.ask("remote", "PATCH", path, "application/merge-patch+json", Some(patch));
    ground.ok(&["apply", "--yes"]);
    ground.ok(&["delete", "--yes"]);
    assert_eq!(config(&ground)["data"]["mesh"], text);
}

#[test]
fn a_destination_rule_of_the_user_is_never_overwritten_silently() {
    let ground = ground();
    let theirs = json!({ "apiVersion": "networking.istio.io/v1", "kind": "DestinationRule",
        "metadata": { "name": "reviews", "namespace": "default" }, "spec": { "host": "reviews", "subsets": [{ "name": "v1", "labels": { "version": "v1" } }] } });
    let path = "/apis/networking.istio.io/v1/namespaces/default/destinationrules";
    ground.ask("local", "POST", path, "application/json", Some(theirs));
    let ran = ground.golden("mesh_apply_foreign", &["apply", "--yes"]);
    assert_eq!(ran.code, Some(5));
    assert!(istio_writes(&ground, "remote").is_empty(), "nothing is half-applied");
}

#[test]
fn a_backup_out_of_reach_keeps_callers_where_they_are() {
    let ground = ground();
    ground.stop("remote");
    let ran = ground.run(&["apply", "--yes", "--timeout", "300ms"]);
    assert_ne!(ran.code, Some(0), "{}{}", ran.out, ran.err);
    let service = there(&ground, "local", &networking("default", "virtualservices", "reviews"));
    assert!(service.is_null(), "callers would be sent to a failover without a backup: {}", ran.err);
    ground.start_again("remote");
    ground.ok(&["apply", "--yes"]);
    assert!(!there(&ground, "local", &networking("default", "virtualservices", "reviews")).is_null());
}

#[test]
fn the_narrower_door_writes_what_a_mesh_reads_and_nothing_else() {
    let ground = ground();
    let extra = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: theirs, namespace: default}\ndata: {a: b}\n";
    ground.write("extra.yaml", extra);
    ground.ok(&["istio", "apply", "-f", "failctl.yaml", "-f", "local=extra.yaml", "--yes"]);
    assert!(ground.get("local", "ConfigMap", "theirs").is_null());
    assert!(!there(&ground, "local", &networking("default", "virtualservices", "reviews")).is_null());
    assert!(config(&ground)["data"]["mesh"].as_str().unwrap().contains("trustDomainAliases"));
}

#[test]
fn service_mesh_hubs_documents_are_applied_without_its_management_plane() {
    let ground = ground();
    let article = std::fs::read_to_string(root().join("tests/golden/istio/article/kind1.yaml")).unwrap();
    let article = article.replace("kind2", "local").replace("kind3", "remote");
    // A selector by label: which Services it means, only the clusters can tell.
    let article = article.replacen("  - kubeServiceRefs:\n      services:\n      - name: reviews\n        namespace: default\n        clusterName: local\n      - name: reviews\n        namespace: default\n        clusterName: remote\n", "  - kubeServiceMatcher: {namespaces: [default]}\n", 1);
    ground.write("failctl.yaml", FLEET);
    ground.write("article.yaml", &article);
    let documents = ["-f", "failctl.yaml", "-f", "article.yaml"];
    ground.ok(&[&["apply", "--yes"], &documents[..]].concat());
    let service = there(&ground, "local", &networking("default", "virtualservices", "reviews"));
    let to = &service["spec"]["http"][0]["route"][0]["destination"]["host"];
    assert_eq!(*to, "reviews-failover.default.global");
    assert!(!there(&ground, "remote", &networking("default", "destinationrules", "reviews")).is_null());
    assert_eq!(ground.run(&[&["diff"], &documents[..]].concat()).code, Some(0));
    ground.ok(&[&["delete", "--yes"], &documents[..]].concat());
    assert!(there(&ground, "local", &networking("default", "virtualservices", "reviews")).is_null());
    assert!(there(&ground, "remote", &networking("default", "destinationrules", "reviews")).is_null());
    assert_eq!(config(&ground)["data"]["mesh"], mesh_text("kind3"));
}

/// The codes `status` gives the failover, with its exit code.
fn codes(ground: &Ground) -> (Option<i32>, Vec<String>) {
    let ran = ground.run(&["status", "--no-drift", "-o", "json"]);
    let report: Value = serde_json::from_str(&ran.out).unwrap_or_else(|e| panic!("{e}: {} {}", ran.out, ran.err));
    let findings = report["failovers"][0]["findings"].as_array().unwrap();
    (ran.code, findings.iter().map(|f| f["code"].as_str().unwrap().to_string()).collect())
}

#[test]
fn a_backup_that_does_not_accept_the_callers_is_none_though_nothing_has_failed_yet() {
    let ground = ground();
    ground.ok(&["apply", "--yes"]);
    let caller = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "caller", "namespace": "default" },
        "spec": { "containers": [{ "name": "app", "image": "x" },
            { "name": "istio-proxy", "image": "docker.io/istio/proxyv2:1.27.0", "args": ["proxy", "sidecar"] }] } });
    let pods = "/api/v1/namespaces/default/pods";
    ground.ask("local", "POST", pods, "application/json", Some(caller));
    let status = json!({ "status": { "phase": "Running", "podIP": "10.0.0.1" } });
    ground.ask("local", "PATCH", &format!("{pods}/caller/status"), "application/merge-patch+json", Some(status));
    let backup = |codes: &[String]| codes.iter().any(|c| c == "FCT0643") && codes.iter().any(|c| c == "FCT0631");

    let (code, found) = codes(&ground);
    assert!(code == Some(1) && backup(&found), "each istiod has a root of its own: {found:?}");
    ground.ok(&["certs", "generate"]);
    ground.ok(&["certs", "install", "--yes"]);
    let (code, found) = codes(&ground);
    assert!(code == Some(8) && found == ["FCT0633"], "no Envoy can be asked here, nothing else is amiss: {found:?}");

    let path = "/api/v1/namespaces/istio-system/configmaps/istio";
    let mesh = |text: Value| {
        ground.ask("remote", "PATCH", path, "application/merge-patch+json", Some(json!({ "data": { "mesh": text } })))
    };
    let taken = config(&ground)["data"]["mesh"].clone();
    mesh(json!(mesh_text("kind3")));
    let (code, found) = codes(&ground);
    assert!(code == Some(1) && backup(&found), "the callers' trust domain is not taken: {found:?}");
    mesh(taken);
    assert_eq!(codes(&ground).0, Some(8));

    let path = "/api/v1/namespaces/istio-system/secrets/cacerts";
    let first = there(&ground, "remote", path)["data"].clone();
    ground.ok(&["certs", "generate", "--dir", "another"]);
    ground.ok(&["certs", "install", "--dir", "another", "--force", "--yes"]);
    assert_eq!(codes(&ground).0, Some(8), "another root for both is as good");
    ground.ask("remote", "PATCH", path, "application/merge-patch+json", Some(json!({ "data": first })));
    let (code, found) = codes(&ground);
    assert!(code == Some(1) && backup(&found), "the roots differ: {found:?}");
}

#[test]
fn clusters_that_join_a_name_are_written_everywhere_and_leave_nothing_behind_when_callers_go() {
    let ground = ground();
    let joined = REVIEWS.replace("  retries:", "  target: istioLocality\n  retries:");
    ground.write("failctl.yaml", &format!("{FLEET}{joined}"));
    assert_eq!(ground.run(&["apply", "--yes"]).code, Some(0));
    let passed = "reviews-default-svc-cluster-local";
    let endpoint = |cluster: &str| {
        there(&ground, cluster, &networking("default", "serviceentries", "reviews"))["spec"]["endpoints"][0].clone()
    };
    assert_eq!(endpoint("local")["address"], "192.0.2.3");
    assert_eq!(endpoint("remote")["address"], "192.0.2.2");
    assert_eq!(endpoint("local")["network"], "remote");
    for cluster in ["local", "remote"] {
        assert!(!there(&ground, cluster, &networking("istio-system", "gateways", passed)).is_null(), "{cluster}");
    }
    assert_eq!(ground.run(&["diff"]).code, Some(0));

    // Callers on one cluster alone: the other keeps what lets them in, and nothing else.
    ground.write("failctl.yaml", &format!("{FLEET}{joined}  mesh: {{callers: [local]}}\n"));
    assert_eq!(ground.run(&["apply", "--yes", "--prune"]).code, Some(0));
    for plural in ["serviceentries", "destinationrules", "virtualservices"] {
        assert!(!there(&ground, "local", &networking("default", plural, "reviews")).is_null(), "local {plural}");
        assert!(there(&ground, "remote", &networking("default", plural, "reviews")).is_null(), "remote {plural}");
    }
    assert!(there(&ground, "local", &networking("istio-system", "gateways", passed)).is_null());
    assert!(!there(&ground, "remote", &networking("istio-system", "gateways", passed)).is_null());

    assert_eq!(ground.run(&["delete", "--yes"]).code, Some(0));
    assert!(there(&ground, "local", &networking("default", "serviceentries", "reviews")).is_null());
    assert!(there(&ground, "remote", &networking("istio-system", "gateways", passed)).is_null());
    assert_eq!(config(&ground)["data"]["mesh"], mesh_text("kind3"));
}
