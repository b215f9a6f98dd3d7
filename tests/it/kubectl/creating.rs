//! create in its many forms (which kubectl sends as protobuf), run, expose.

use super::Cluster;

#[test]
fn create_makes_namespaces_config_maps_and_accounts() {
    let cluster = Cluster::start();
    assert_eq!(cluster.ok("create namespace web"), "namespace/web created\n");
    let again = cluster.fails("create namespace web");
    assert_eq!(again, "Error from server (AlreadyExists): namespaces \"web\" already exists\n");
    let file = cluster.file("colour", "blue\n");
    cluster.ok(&format!("create configmap c -n web --from-literal=a=b --from-file={}", file.display()));
    assert_eq!(cluster.field("cm c -n web", ".data"), "{\"a\":\"b\",\"colour\":\"blue\\n\"}");
    cluster.ok("create serviceaccount bot -n web");
    let token = cluster.ok("create token bot -n web --duration 10m");
    assert_eq!(token.trim().split('.').count(), 3, "{token}");
    let nowhere = cluster.fails("create configmap c -n nowhere");
    assert!(nowhere.contains("namespaces \"nowhere\" not found"), "{nowhere}");
}

#[test]
fn create_makes_secrets_of_every_type() {
    let cluster = Cluster::start();
    cluster.ok("create secret generic plain --from-literal=password=s3cret");
    assert_eq!(cluster.field("secret plain", ".data.password"), "czNjcmV0");
    assert_eq!(cluster.field("secret plain", ".type"), "Opaque");
    let made = std::process::Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"])
        .args(["-subj", "/CN=x", "-keyout", "tls.key", "-out", "tls.crt"])
        .current_dir(cluster.home.path())
        .output()
        .expect("openssl is needed for this test");
    assert!(made.status.success(), "{}", super::text(&made.stderr));
    cluster.ok("create secret tls pair --cert=tls.crt --key=tls.key");
    assert_eq!(cluster.field("secret pair", ".type"), "kubernetes.io/tls");
    assert!(cluster.ok("get secret pair").contains("kubernetes.io/tls   2"));
    cluster.apply("{apiVersion: v1, kind: Secret, metadata: {name: words}, stringData: {a: hello}}");
    assert_eq!(cluster.field("secret words", ".data.a"), "aGVsbG8=");
    assert_eq!(cluster.field("secret words", ".stringData"), "");
    let lacking = "{apiVersion: v1, kind: Secret, metadata: {name: bad}, type: kubernetes.io/tls, data: {}}";
    let refused = cluster.refused(&["create", "-f", "-"], lacking);
    assert!(refused.contains("data[tls.crt]: Required value"), "{refused}");
}

#[test]
fn create_makes_deployments_services_and_pods() {
    let cluster = Cluster::start();
    cluster.ok("create deployment web --image=nginx:1 --replicas=3 --port=80");
    assert_eq!(cluster.field("deploy web", ".spec.replicas"), "3");
    assert_eq!(cluster.ok("expose deploy web --port 8080 --target-port 80"), "service/web exposed\n");
    assert_eq!(cluster.field("svc web", ".spec.selector"), "{\"app\":\"web\"}");
    assert_ne!(cluster.field("svc web", ".spec.clusterIP"), "");
    cluster.ok("create service nodeport n --tcp=80:8080 --node-port=32000");
    assert!(cluster.ok("get svc n").contains("80:32000/TCP"));
    cluster.ok("create service loadbalancer l --tcp=443");
    assert!(cluster.ok("get svc l").contains("<pending>"));
    cluster.ok("create service externalname e --external-name example.com");
    assert!(cluster.ok("get svc e").contains("example.com"));
    assert_eq!(cluster.ok("run p --image=nginx --env=A=B --labels=a=b"), "pod/p created\n");
    assert_eq!(cluster.field("pod p", ".status.phase"), "Pending");
    assert_eq!(cluster.field("pod p", ".status.qosClass"), "BestEffort");
    let nameless = "{apiVersion: v1, kind: Service, metadata: {name: bad}, spec: {ports: [{port: 1}, {port: 2}]}}";
    let refused = cluster.refused(&["create", "-f", "-"], nameless);
    assert!(refused.contains("spec.ports[0].name: Required value"), "{refused}");
}

#[test]
fn create_makes_roles_and_bindings() {
    let cluster = Cluster::start();
    cluster.ok("create role reader --verb=get,list --resource=pods,deployments.apps");
    cluster.ok("create rolebinding readers --role=reader --user=ann --serviceaccount=default:default");
    cluster.ok("create clusterrole probe --verb=get --non-resource-url=/metrics");
    cluster.ok("create clusterrolebinding probes --clusterrole=probe --group=watchers");
    assert_eq!(cluster.field("role reader", ".rules[*].verbs"), "[\"get\",\"list\"] [\"get\",\"list\"]");
    let wide = cluster.ok("get rolebinding readers -o wide --no-headers");
    assert!(wide.contains("Role/reader") && wide.contains("ann") && wide.contains("default/default"), "{wide}");
    let patch = r#"{"roleRef":{"apiGroup":"rbac.authorization.k8s.io","kind":"Role","name":"other"}}"#;
    let refused = cluster.refused(&["patch", "rolebinding", "readers", "-p", patch], "");
    assert!(refused.contains("cannot change roleRef"), "{refused}");
}

#[test]
fn a_generated_name_is_made_by_the_server() {
    let cluster = Cluster::start();
    let document = "{apiVersion: v1, kind: ConfigMap, metadata: {generateName: run-}}";
    let (a, b) = (cluster.all(&["create", "-f", "-"], document), cluster.all(&["create", "-f", "-"], document));
    assert!(a.starts_with("configmap/run-") && a != b, "{a}{b}");
}
