//! `failctl cluster`: a cluster joins, is known by a credential that was used, and leaves, whatever is killed on the
//! way.

use std::collections::BTreeMap;

use base64::Engine;
use serde_json::{Value, json};

use crate::sandboxes::Lab;
use crate::support::fleet::{Fault, Ground};
use crate::support::offline::failover;

/// Two clusters that run Gloo and Istio, the first with Federation.
const FLEET: &str = "apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: shop}
spec:
  clusters:
  - name: local
    context: gloo-fed
    gloo: {edition: enterprise, version: 1.18.3, federation: {}}
    istio: {version: 1.27.0}
    trustDomain: local
  - name: remote
    context: gloo-fed-2
    gloo: {edition: open-source, version: 1.18.3}
    istio: {version: 1.27.0}
    trustDomain: remote
";

fn ground() -> Ground {
    let ground = Ground::new();
    ground.write("failctl.yaml", FLEET);
    for cluster in ["local", "remote"] {
        ground.put(cluster, json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "istio-system"}}));
    }
    ground
}

/// Every object that membership is made of, on both clusters, without what differs from write to write.
fn members(ground: &Ground) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::new();
    for cluster in ["local", "remote"] {
        for path in [
            "/api/v1/namespaces",
            "/api/v1/serviceaccounts",
            "/api/v1/secrets",
            "/apis/rbac.authorization.k8s.io/v1/roles",
            "/apis/rbac.authorization.k8s.io/v1/rolebindings",
            "/apis/rbac.authorization.k8s.io/v1/clusterroles",
            "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        ] {
            collect(ground, cluster, path, &mut all);
        }
    }
    collect(ground, "local", "/apis/multicluster.solo.io/v1alpha1/kubernetesclusters", &mut all);
    all
}

fn collect(ground: &Ground, cluster: &str, path: &str, all: &mut BTreeMap<String, Value>) {
    let list = ground.ask(cluster, "GET", path, "application/json", None);
    for item in list["items"].as_array().unwrap() {
        let mut item = item.clone();
        let metadata = item["metadata"].as_object_mut().unwrap();
        let name =
            format!("{cluster} {path} {} {}", metadata.get("namespace").unwrap_or(&Value::Null), metadata["name"]);
        for field in ["managedFields", "resourceVersion", "generation", "uid", "creationTimestamp"] {
            metadata.shift_remove(field);
        }
        for annotation in ["failctl.dev/expires", "failctl.dev/issued", "failctl.dev/cluster-uid"] {
            if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
                annotations.shift_remove(annotation);
            }
        }
        // Tokens and addresses differ; which keys there are does not.
        if let Some(data) = item.get_mut("data").and_then(Value::as_object_mut) {
            data.values_mut().for_each(|v| *v = Value::Null);
        }
        all.insert(name, item);
    }
}

fn kubeconfig(ground: &Ground, cluster: &str, path: &str, key: &str) -> String {
    let secret = ground.ask(cluster, "GET", path, "application/json", None);
    let bytes = base64::engine::general_purpose::STANDARD.decode(secret["data"][key].as_str().unwrap()).unwrap();
    String::from_utf8(bytes).unwrap()
}

const REGISTRATION: &str = "/api/v1/namespaces/gloo-system/secrets/remote";
const REMOTE_SECRET: &str = "/api/v1/namespaces/istio-system/secrets/istio-remote-secret-remote";

fn token(kubeconfig: &str) -> &str {
    kubeconfig.lines().find_map(|l| l.trim().strip_prefix("token: ")).expect("a token").trim_matches('"')
}

#[test]
fn registering_makes_what_federation_and_istio_expect_and_doing_it_again_changes_nothing() {
    let ground = ground();
    let before = members(&ground);
    let dry = ground.ok(&["cluster", "register", "remote", "--dry-run"]);
    assert!(dry.out.contains("KubernetesCluster"), "{}", dry.out);
    ground.ok(&["cluster", "register", "remote", "--dry-run=server"]);
    assert_eq!(members(&ground), before, "dry runs write nothing");
    let ran = ground.ok(&["cluster", "register", "remote", "--yes"]);
    assert!(ran.out.contains("issued") && ran.out.contains("federation") && ran.out.contains("mesh"), "{}", ran.out);
    let secret = ground.ask("local", "GET", REGISTRATION, "application/json", None);
    assert_eq!(secret["type"], "solo.io/kubeconfig");
    let config = kubeconfig(&ground, "local", REGISTRATION, "kubeconfig");
    for part in ["current-context: remote", "name: remote", &ground.clusters["remote"].address.to_string()] {
        assert!(config.contains(part), "{part} in\n{config}");
    }
    let remote = ground.ask("local", "GET", REMOTE_SECRET, "application/json", None);
    assert_eq!(remote["metadata"]["labels"]["istio/multiCluster"], "true");
    assert_eq!(remote["metadata"]["annotations"]["networking.istio.io/cluster"], "remote");
    let keys: Vec<_> = remote["data"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["remote"], "istiod takes every key for a cluster");
    let path = "/apis/multicluster.solo.io/v1alpha1/namespaces/gloo-system/kubernetesclusters/remote";
    let cluster = ground.ask("local", "GET", path, "application/json", None);
    assert_eq!(cluster["spec"], json!({"secretName": "remote", "clusterDomain": "cluster.local"}));
    assert_eq!(cluster["status"]["namespace"], "gloo-system");
    assert!(cluster["status"]["policyRules"].as_array().unwrap().len() > 1);
    for text in [&ran.out, &ran.err, &dry.out, &dry.err] {
        assert!(!text.contains(token(&config)), "a token is never printed");
    }
    let once = members(&ground);
    let writes: usize =
        ground.clusters.values().map(|c| c.log.lock().unwrap().iter().filter(|l| l.starts_with("PATCH")).count()).sum();
    let again = ground.ok(&["cluster", "register", "remote"]);
    assert!(again.out.contains("kept"), "{}", again.out);
    let later: usize =
        ground.clusters.values().map(|c| c.log.lock().unwrap().iter().filter(|l| l.starts_with("PATCH")).count()).sum();
    assert_eq!((members(&ground), later), (once, writes));
    assert_eq!(kubeconfig(&ground, "local", REGISTRATION, "kubeconfig"), config, "a good credential stays");
}

#[test]
fn a_credential_may_what_it_must_and_no_more_and_list_and_show_say_so() {
    let ground = ground();
    let list = ground.ok(&["cluster", "list"]);
    assert!(list.out.contains("remote is not registered"), "{}", list.out);
    ground.ok(&["cluster", "register", "remote", "--yes", "--lifetime", "240h"]);
    let list = ground.ok(&["cluster", "list", "-o", "json"]);
    let report: Value = serde_json::from_str(&list.out).unwrap();
    let rows = report["registrations"].as_array().unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert_eq!((&row["standing"], &row["ours"]), (&json!("works"), &json!(true)));
        assert!([9, 10].contains(&row["daysLeft"].as_i64().unwrap()), "240 hours: {row}");
        assert_eq!(row.get("excessive"), None, "{row}");
    }
    assert_eq!(report["notRegistered"], json!(["local"]));
    let show = ground.ok(&["cluster", "show", "remote"]);
    for part in ["patch upstreams.gloo.solo.io", "read clusterrolebindings", "istio-system/istio-reader-remote"] {
        assert!(show.out.contains(part), "{part} in\n{}", show.out);
    }
    // A role that lost a rule is noticed by using the credential, not by reading what it says.
    let role = "/apis/rbac.authorization.k8s.io/v1/clusterroles/gloo-federation-remote";
    ground.ask("remote", "PATCH", role, "application/merge-patch+json", Some(json!({"rules": []})));
    let ran = ground.run(&["cluster", "list"]);
    assert_eq!(ran.code, Some(1), "{}", ran.out);
    assert!(ran.out.contains("REFUSED") && ran.out.contains("it may not: read services"), "{}", ran.out);
    assert_eq!(
        ground.run(&["cluster", "register", "remote", "--yes"]).code,
        Some(5),
        "somebody else holds the rules now"
    );
    ground.ok(&["cluster", "register", "remote", "--yes", "--force"]);
    assert_eq!(ground.run(&["cluster", "list"]).code, Some(0));
    // Unknown is never good.
    ground.stop("remote");
    let ran = ground.run(&["cluster", "list"]);
    assert_eq!(ran.code, Some(8), "{}{}", ran.out, ran.err);
    assert!(ran.out.contains("UNKNOWN") && ran.out.contains("remote could not be asked"), "{}", ran.out);
}

#[test]
fn renewing_overlaps_and_the_old_credential_ends_with_its_account() {
    let ground = ground();
    assert_eq!(ground.run(&["cluster", "renew", "remote", "--yes"]).code, Some(3), "nothing to renew");
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    let old = kubeconfig(&ground, "local", REGISTRATION, "kubeconfig");
    let idle = ground.ok(&["cluster", "renew"]);
    assert!(idle.err.contains("nothing to renew"), "{}", idle.err);
    let ran = ground.ok(&["cluster", "renew", "remote", "--yes"]);
    assert!(ran.out.contains("replaced") && ran.out.contains("the old one stays good until"), "{}", ran.out);
    let new = kubeconfig(&ground, "local", REGISTRATION, "kubeconfig");
    assert_ne!(token(&old), token(&new));
    assert_eq!(new, kubeconfig_of(&ground, "remote").0, "what Federation uses is what was stored");
    let works = |config: &str| {
        let address = ground.clusters["remote"].address;
        let out = std::process::Command::new("curl")
            .args(["-s", "-o", "/dev/null", "-w", "%{http_code}", "-H"])
            .arg(format!("Authorization: Bearer {}", token(config)))
            .arg(format!("http://{address}/api/v1/services"))
            .output()
            .expect("curl is needed for this test");
        String::from_utf8(out.stdout).unwrap()
    };
    assert_eq!((works(&old), works(&new)), ("200".into(), "200".into()), "both are good for a while");
    ground.ok(&["cluster", "deregister", "remote", "--yes"]);
    assert_eq!((works(&old), works(&new)), ("401".into(), "401".into()), "the account is gone");
}

fn kubeconfig_of(ground: &Ground, _member: &str) -> (String, String) {
    let federation = kubeconfig(ground, "local", REGISTRATION, "kubeconfig");
    let mesh = kubeconfig(ground, "local", REMOTE_SECRET, "remote");
    assert_ne!(token(&federation), token(&mesh), "each has an account of its own");
    (federation, mesh)
}

#[test]
fn one_cluster_has_one_name_and_one_name_one_cluster() {
    let ground = ground();
    // Two names, one API server.
    let twice = FLEET.replace("context: gloo-fed-2", "context: gloo-fed-copy");
    let config = std::fs::read_to_string(ground.dir.path().join("kubeconfig")).unwrap();
    let mut config: Value = serde_json::from_str(&config).unwrap();
    let copy = json!({"name": "gloo-fed-copy", "context": {"cluster": "local", "user": "admin"}});
    config["contexts"].as_array_mut().unwrap().push(copy);
    ground.write("kubeconfig", &config.to_string());
    ground.write("twice.yaml", &twice);
    let before = members(&ground);
    let ran = ground.golden("cluster_register_twice", &["cluster", "register", "remote", "-f", "twice.yaml", "--yes"]);
    assert_eq!(ran.code, Some(3));
    // A name that stands for another cluster already.
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    let patch = json!({"metadata": {"annotations": {"failctl.dev/cluster-uid": "another"}}});
    ground.ask("local", "PATCH", REGISTRATION, "application/merge-patch+json", Some(patch));
    let ran = ground.golden("cluster_register_other", &["cluster", "register", "remote", "--yes"]);
    assert_eq!(ran.code, Some(3));
    let list = ground.run(&["cluster", "list"]);
    assert!(list.code == Some(1) && list.out.contains("OTHER CLUSTER"), "{}", list.out);
    ground.ok(&["cluster", "deregister", "remote", "--yes"]);
    assert_eq!(members(&ground), before);
    ground.golden("cluster_register_unknown", &["cluster", "register", "west", "--yes"]);
    ground.golden("cluster_register_nobody_asks", &["cluster", "register", "remote"]);
    assert_eq!(members(&ground), before);
}

#[test]
fn a_registration_somebody_else_made_is_left_alone_unless_forced() {
    let ground = ground();
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "type": "solo.io/kubeconfig",
        "metadata": {"name": "remote", "namespace": "gloo-system"}, "data": {"kubeconfig": ""}});
    ground.put("local", secret);
    let before = members(&ground);
    let ran = ground.run(&["cluster", "register", "remote", "--yes"]);
    assert_eq!(ran.code, Some(5), "{}", ran.err);
    assert!(ran.err.contains("FCP0101") && ran.err.contains("--force"), "{}", ran.err);
    assert_eq!(ground.run(&["cluster", "deregister", "remote", "--yes"]).code, Some(5));
    assert_eq!(members(&ground), before);
    ground.ok(&["cluster", "register", "remote", "--yes", "--force"]);
    assert_eq!(ground.run(&["cluster", "list"]).code, Some(0));
}

#[test]
fn what_you_may_not_do_is_said_before_anything_is_done() {
    let ground = ground();
    // Somebody who may look and write Secrets, and nothing else.
    ground.put(
        "remote",
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "poor", "namespace": "default"}}),
    );
    ground.put(
        "remote",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "poor"},
        "rules": [{"apiGroups": [""], "resources": ["*"], "verbs": ["get", "list"]}]}),
    );
    ground.put(
        "remote",
        json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "poor"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "poor"},
        "subjects": [{"kind": "ServiceAccount", "name": "poor", "namespace": "default"}]}),
    );
    let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}});
    let path = "/api/v1/namespaces/default/serviceaccounts/poor/token";
    let token = ground.ask("remote", "POST", path, "application/json", Some(request));
    let mut config: Value =
        serde_json::from_str(&std::fs::read_to_string(ground.dir.path().join("kubeconfig")).unwrap()).unwrap();
    config["users"].as_array_mut().unwrap().push(json!({"name": "poor", "user": {"token": token["status"]["token"]}}));
    config["contexts"][1]["context"]["user"] = "poor".into();
    ground.write("kubeconfig", &config.to_string());
    let before = members(&ground);
    let ran = ground.golden("cluster_register_forbidden", &["cluster", "register", "remote", "--yes"]);
    assert_eq!(ran.code, Some(5));
    assert_eq!(members(&ground), before);
    ground.stop("remote");
    let ran = ground.run(&["cluster", "register", "remote", "--yes"]);
    assert_eq!(ran.code, Some(4), "{}", ran.err);
    assert!(ran.err.contains("remote cannot be reached"), "{}", ran.err);
    assert_eq!(ground.run(&["cluster", "register", "remote", "--server", "west", "--yes"]).code, Some(2));
    assert_eq!(ground.run(&["cluster", "register", "remote", "--lifetime", "1m", "--yes"]).code, Some(2));
}

#[test]
fn what_fails_on_the_way_is_taken_back() {
    let ground = ground();
    let before = members(&ground);
    // The last write is refused for good.
    for n in [1, 4, 7] {
        ground.clusters["remote"].fault(Fault::None);
        ground.clusters["local"].fault(Fault::Refuse(n, 422));
        let ran = ground.run(&["cluster", "register", "remote", "--yes"]);
        ground.clusters["local"].fault(Fault::None);
        assert_eq!(ran.code, Some(5), "{}{}", ran.out, ran.err);
        if members(&ground) != before {
            // The refusals met the clean-up too: it says so, and one command goes on.
            assert!(ran.err.contains("failctl cluster undo"), "{}", ran.err);
            ground.ok(&["cluster", "undo", "--yes"]);
        }
        assert_eq!(members(&ground), before, "{}", ran.err);
        assert!(ground.ok(&["cluster", "undo"]).err.contains("nothing to undo"));
    }
}

/// Kills a command after its n-th write to a cluster was done and before it was answered. False when there is no n-th.
fn killed_after(ground: &Ground, cluster: &str, n: usize, args: &[&str]) -> bool {
    ground.clusters[cluster].fault(Fault::Hang(n));
    let mut child = ground.start(args);
    let end = std::time::Instant::now() + std::time::Duration::from_secs(60);
    loop {
        if ground.clusters[cluster].hangs() {
            break;
        }
        if child.try_wait().unwrap().is_some() {
            ground.clusters[cluster].fault(Fault::None);
            return false;
        }
        assert!(std::time::Instant::now() < end, "neither hung nor ended: {args:?}");
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
    // The write itself must be done: the server answers it, the answer stays away.
    std::thread::sleep(std::time::Duration::from_millis(100));
    child.kill().unwrap();
    child.wait().unwrap();
    ground.clusters[cluster].fault(Fault::None);
    ground.clusters[cluster].break_hung();
    true
}

#[test]
fn killed_after_any_write_a_registration_is_finished_or_undone_by_one_command() {
    let ground = ground();
    let before = members(&ground);
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    let registered = members(&ground);
    ground.ok(&["cluster", "deregister", "remote", "--yes"]);
    assert_eq!(members(&ground), before);
    let register = ["cluster", "register", "remote", "--yes"];
    let mut kills = 0;
    for cluster in ["remote", "local"] {
        let mut n = 1;
        while killed_after(&ground, cluster, n, &register) {
            // Odd: undone. Even: finished, then taken out.
            if n % 2 == 1 {
                ground.ok(&["cluster", "undo", "--yes"]);
            } else {
                ground.ok(&register);
                assert_eq!(members(&ground), registered, "killed after write {n} to {cluster}");
                assert_eq!(ground.run(&["cluster", "list"]).code, Some(0));
                ground.ok(&["cluster", "deregister", "remote", "--yes"]);
            }
            assert_eq!(members(&ground), before, "killed after write {n} to {cluster}");
            n += 1;
            kills += 1;
        }
        if members(&ground) != before {
            ground.ok(&["cluster", "deregister", "remote", "--yes"]);
        }
    }
    assert!(kills > 12, "only {kills} writes were met");
}

#[test]
fn killed_after_any_write_a_deregistration_is_finished_by_the_same_command() {
    let ground = ground();
    let before = members(&ground);
    let deregister = ["cluster", "deregister", "remote", "--yes"];
    let mut kills = 0;
    for cluster in ["local", "remote"] {
        for n in 1.. {
            ground.ok(&["cluster", "register", "remote", "--yes"]);
            let killed = killed_after(&ground, cluster, n, &deregister);
            ground.ok(&deregister);
            assert_eq!(members(&ground), before, "killed after write {n} to {cluster}");
            if !killed {
                break;
            }
            kills += 1;
        }
    }
    assert!(kills > 8, "only {kills} writes were met");
}

#[test]
fn a_dead_cluster_is_taken_out_everywhere_else_and_the_rest_is_said() {
    let ground = ground();
    let before = members(&ground);
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    ground.stop("remote");
    let ran = ground.run(&["cluster", "deregister", "remote", "--yes"]);
    assert_eq!(ran.code, Some(6), "{}{}", ran.out, ran.err);
    for part in [
        "kubectl --context gloo-fed-2 -n gloo-system delete serviceaccount remote",
        "failctl cluster deregister remote",
    ] {
        assert!(ran.err.contains(part), "{part} in\n{}", ran.err);
    }
    let mine = |all: &BTreeMap<String, Value>| -> BTreeMap<String, Value> {
        all.iter().filter(|(k, _)| k.starts_with("local ")).map(|(k, v)| (k.clone(), v.clone())).collect()
    };
    let mut there = BTreeMap::new();
    for path in [
        "/api/v1/secrets",
        "/api/v1/serviceaccounts",
        "/api/v1/namespaces",
        "/apis/rbac.authorization.k8s.io/v1/roles",
        "/apis/rbac.authorization.k8s.io/v1/rolebindings",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles",
        "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
        "/apis/multicluster.solo.io/v1alpha1/kubernetesclusters",
    ] {
        collect(&ground, "local", path, &mut there);
    }
    assert_eq!(mine(&there), mine(&before), "nothing is left behind in the others");
    // Gone for good: not asked, not missed.
    assert_eq!(ground.run(&["cluster", "deregister", "remote", "--gone", "--yes"]).code, Some(0));
}

#[test]
fn who_could_not_be_asked_did_not_say_that_nothing_is_to_be_done() {
    let ground = ground();
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    ground.stop("local");
    let all = ground.run(&["cluster", "renew"]);
    assert_eq!(all.code, Some(8), "{}", all.err);
    assert!(all.err.contains("local could not be asked") && !all.err.contains("nothing to renew"), "{}", all.err);
    let one = ground.run(&["cluster", "renew", "remote"]);
    assert_eq!(one.code, Some(4), "{}", one.err);
    assert!(one.err.contains("whether `remote` is registered is not known"), "{}", one.err);
    let listed = ground.run(&["cluster", "list"]);
    assert_eq!(listed.code, Some(8), "{}{}", listed.out, listed.err);
    assert!(listed.out.contains("local could not be asked"), "{}", listed.out);
    assert!(!listed.out.contains("remote is not registered"), "{}", listed.out);
    // Somebody who is no longer in the fleet document, if ever.
    let gone = ground.run(&["cluster", "deregister", "west", "--yes"]);
    assert_eq!(gone.code, Some(4), "{}", gone.err);
    assert!(gone.err.contains("whether it is registered is not known: local cannot be reached"), "{}", gone.err);
    // No document is to blame for a gateway whose cluster does not answer.
    ground.write("shop.yaml", &failover("blue", ""));
    let drill = ["simulate", "-f", "failctl.yaml", "-f", "shop.yaml", "--fault", "gateway-down"];
    let drill = ground.run(&drill);
    assert_eq!(drill.code, Some(4), "{}", drill.err);
    assert!(drill.err.contains("FCT0609"), "{}", drill.err);
}

#[test]
fn a_cluster_that_keeps_no_registrations_is_not_asked_whether_it_knows_a_stranger() {
    let ground = ground();
    ground.write("failctl.yaml", &FLEET.replace("    istio: {version: 1.27.0}\n", ""));
    ground.stop("remote");
    let gone = ground.run(&["cluster", "deregister", "west", "--yes"]);
    assert_eq!(gone.code, Some(3), "{}", gone.err);
    assert!(gone.err.contains("FCT0706"), "{}", gone.err);
}

#[test]
fn a_cluster_that_schemes_still_name_stays() {
    let ground = ground();
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    ground.put(
        "local",
        json!({"apiVersion": "fed.solo.io/v1", "kind": "FailoverScheme",
        "metadata": {"name": "s", "namespace": "gloo-system"},
        "spec": {"primary": {"clusterName": "local", "name": "a", "namespace": "b"},
            "failoverGroups": [{"priorityGroup": [{"cluster": "remote", "upstreams": []}]}]}}),
    );
    let ran = ground.golden("cluster_deregister_used", &["cluster", "deregister", "remote", "--yes"]);
    assert_eq!(ran.code, Some(5));
    ground.ok(&["cluster", "deregister", "remote", "--yes", "--force"]);
}

#[test]
fn failovers_come_and_go_without_touching_membership() {
    let ground = ground();
    ground.write("failctl.yaml", &format!("{FLEET}---\n{}", crate::support::fleet::COLOR));
    ground.ok(&["cluster", "register", "remote", "--yes"]);
    let registered = members(&ground);
    ground.ok(&["apply", "--yes"]);
    ground.ok(&["delete", "--all", "--yes"]);
    assert_eq!(members(&ground), registered);
}

#[test]
fn status_shows_when_credentials_end() {
    let ground = ground();
    ground.ok(&["cluster", "register", "remote", "--yes", "--lifetime", "240h"]);
    let status = ground.run(&["status", "-o", "json"]);
    let report: Value = serde_json::from_str(&status.out).unwrap();
    let rows = report["certificates"].as_array().unwrap().iter();
    let mine: Vec<_> =
        rows.filter(|r| r["subject"].as_str().unwrap_or_default().starts_with("credential for remote")).collect();
    assert_eq!(mine.len(), 2, "Federation's and the mesh's: {report}");
    assert!(mine.iter().all(|r| [9, 10].contains(&r["daysLeft"].as_i64().unwrap())), "{mine:?}");
}

/// Types a command until it prints what is expected.
async fn until(lab: &Lab, line: &str, expected: &str) {
    let start = std::time::Instant::now();
    loop {
        let got = lab.try_type(line).await;
        if got.out == expected {
            return;
        }
        let said = format!("$ {line}\n{}{}expected {expected}", got.out, got.err);
        assert!(start.elapsed() < std::time::Duration::from_secs(60), "{said}");
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
}

const SCHEME: &str = "kubectl apply -f - <<EOF
apiVersion: fed.solo.io/v1
kind: FailoverScheme
metadata: {name: scheme, namespace: gloo-fed}
spec:
  primary: {clusterName: local, name: default-blue-80, namespace: gloo-system}
  failoverGroups:
  - priorityGroup:
    - cluster: remote
      upstreams: [{name: default-green-80, namespace: gloo-system}]
EOF";

const SERVICES: &str = "kubectl create service clusterip blue --tcp=80 && \
    kubectl --context gloo-fed-2 create service clusterip green --tcp=80 && \
    kubectl --context gloo-fed-2 apply -f - <<EOF
apiVersion: v1
kind: Service
metadata: {name: failover, namespace: gloo-system}
spec:
  type: LoadBalancer
  selector: {gateway-proxy: live, gateway-proxy-id: gateway-proxy}
  ports: [{name: failover, port: 15443, targetPort: 15443}]
EOF";

/// Real TLS, real tokens, real kubectl, and a Federation that knows the cluster by nothing but this registration.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn federation_carries_schemes_out_through_a_registration_of_failctls() {
    let lab = Lab::guide().await;
    let list = lab.type_("failctl cluster list").await;
    assert!(list.contains("never") && list.contains("not made by failctl"), "{list}");
    lab.type_("kubectl delete secret,kubernetescluster -n gloo-system remote").await;
    // Accounts of an earlier registration are somebody else's.
    let refused = lab.try_type("failctl cluster register remote --yes").await;
    assert!(!refused.ok && refused.err.contains("FCP0101"), "{}", refused.err);
    lab.type_("failctl cluster register remote --yes --force --lifetime 1h").await;
    lab.type_(SERVICES).await;
    lab.type_(SCHEME).await;
    let status = "kubectl get failoverscheme -n gloo-fed scheme -o jsonpath='{.status.state}'";
    until(&lab, status, "ACCEPTED").await;
    let context = "kubectl config current-context";
    assert_eq!(lab.type_(context).await.trim(), "gloo-fed", "it is as it was");
    lab.type_("kubectl get secret -n gloo-system remote -o jsonpath='{.data.kubeconfig}' | base64 -d > stored").await;
    let seen = lab.type_("kubectl --kubeconfig stored get upstreams -n gloo-system -o name").await;
    assert!(seen.contains("default-green-80"), "{seen}");
    let no = lab.try_type("kubectl --kubeconfig stored get secrets -A").await;
    assert!(!no.ok && no.err.contains("Forbidden"), "{}", no.err);
    // The new credential is taken up, and the cluster stays a member meanwhile.
    lab.type_("failctl cluster renew remote --yes --lifetime 1h").await;
    lab.type_("kubectl delete failoverscheme -n gloo-fed scheme").await;
    lab.type_(SCHEME).await;
    until(&lab, status, "ACCEPTED").await;
    let used = lab.try_type("failctl cluster deregister remote --yes").await;
    assert!(!used.ok && used.err.contains("FCT0705"), "{}", used.err);
    lab.type_("kubectl delete failoverscheme -n gloo-fed scheme").await;
    lab.type_("failctl cluster deregister remote --yes").await;
    let gone = lab.try_type("kubectl --kubeconfig stored get upstreams -A").await;
    assert!(!gone.ok, "the account is gone, and its credentials with it");
    lab.down().await;
}
