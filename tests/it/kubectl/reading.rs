//! get in all its forms, describe, explain, discovery.

use super::{Cluster, SETTINGS, WEB};

/// Cells of a table, row by row.
fn table(text: &str) -> Vec<Vec<&str>> {
    text.lines().map(|line| line.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect()).collect()
}

#[test]
fn get_shows_the_columns_of_every_kind() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    let deployments = cluster.ok("get deployments");
    assert_eq!(table(&deployments)[0], ["NAME", "READY", "UP-TO-DATE", "AVAILABLE", "AGE"]);
    assert_eq!(table(&deployments)[1][..4], ["web", "0/2", "0", "0"]);
    let wide = cluster.ok("get deploy -o wide");
    assert_eq!(table(&wide)[1][5..], ["server,proxy", "hashicorp/http-echo,envoyproxy/envoy:v1.14.2", "app=web"]);
    let namespaces = cluster.ok("get ns default");
    assert_eq!(table(&namespaces)[1][..2], ["default", "Active"]);
    let services = cluster.ok("get svc kubernetes");
    assert_eq!(table(&services)[0], ["NAME", "TYPE", "CLUSTER-IP", "EXTERNAL-IP", "PORT(S)", "AGE"]);
    cluster.apply(
        "{apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: s}, addressType: IPv4, endpoints: []}",
    );
    let header = |kind: &str| table(&cluster.ok(&format!("get {kind} -A")))[0].join(" ");
    assert_eq!(header("serviceaccounts"), "NAMESPACE NAME SECRETS AGE");
    assert_eq!(header("clusterroles"), "NAME CREATED AT");
    assert_eq!(header("endpointslices"), "NAMESPACE NAME ADDRESSTYPE PORTS ENDPOINTS AGE");
}

#[test]
fn get_prints_every_output_format() {
    let cluster = Cluster::start();
    cluster.apply(SETTINGS);
    assert_eq!(cluster.ok("get cm settings -o name"), "configmap/settings\n");
    assert_eq!(cluster.field("cm settings", ".data.colour"), "blue");
    assert_eq!(cluster.all(&["get", "cm", "settings", "-o", "go-template={{.data.size}}"], ""), "1");
    let columns = cluster.ok("get cm settings -o custom-columns=N:.metadata.name,C:.data.colour");
    assert_eq!(table(&columns), [["N", "C"], ["settings", "blue"]]);
    let yaml = cluster.ok("get cm settings -o yaml");
    assert!(yaml.contains("  colour: blue\n  size: \"1\"\n") && !yaml.contains("managedFields"), "{yaml}");
    assert_eq!(cluster.object("cm settings")["kind"], "ConfigMap");
    let list = cluster.ok("get cm,sa -o json");
    assert!(list.contains("\"kind\": \"List\""), "{list}");
    assert_eq!(cluster.ok("get cm settings --no-headers").split_whitespace().nth(1), Some("2"));
    let labels = cluster.ok("get ns default --show-labels");
    assert!(labels.contains("kubernetes.io/metadata.name=default"), "{labels}");
}

#[test]
fn get_selects_by_label_field_and_namespace() {
    let cluster = Cluster::start();
    cluster.ok("create namespace other");
    for (name, namespace, tier) in [("a", "default", "x"), ("b", "default", "y"), ("c", "other", "x")] {
        cluster.ok(&format!("create configmap {name} -n {namespace}"));
        cluster.ok(&format!("label cm {name} -n {namespace} tier={tier}"));
    }
    assert_eq!(cluster.ok("get cm -A -l tier=x -o name"), "configmap/a\nconfigmap/c\n");
    assert_eq!(cluster.all(&["get", "cm", "-l", "tier in (y, z)", "-o", "name"], ""), "configmap/b\n");
    assert_eq!(cluster.ok("get cm -l tier!=x -o name"), "configmap/b\n");
    assert_eq!(cluster.ok("get cm --field-selector metadata.name=b -o name"), "configmap/b\n");
    assert_eq!(cluster.ok("get cm -A -l tier --sort-by .metadata.name --chunk-size 1 -o name").lines().count(), 3);
    let missing = cluster.fails("get cm nosuch");
    assert_eq!(missing, "Error from server (NotFound): configmaps \"nosuch\" not found\n");
    let unknown = cluster.fails("get nosuch");
    assert_eq!(unknown, "error: the server doesn't have a resource type \"nosuch\"\n");
}

#[test]
fn discovery_lists_kinds_with_their_short_names_and_versions() {
    let cluster = Cluster::start();
    let resources = cluster.ok("api-resources");
    let row = |name: &str| resources.lines().find(|l| l.starts_with(name)).unwrap_or_default().to_owned();
    let words = |line: String| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(row("deployments")), ["deployments", "deploy", "apps/v1", "true", "Deployment"]);
    assert_eq!(words(row("namespaces")), ["namespaces", "ns", "v1", "false", "Namespace"]);
    let versions = cluster.ok("api-versions");
    for version in ["v1", "apps/v1", "rbac.authorization.k8s.io/v1", "discovery.k8s.io/v1", "apiextensions.k8s.io/v1"] {
        assert!(versions.lines().any(|l| l == version), "{version} in {versions}");
    }
    assert!(cluster.ok("version").contains("Server Version: v1.33"));
    assert_eq!(cluster.ok("get --raw /readyz"), "ok");
    assert!(cluster.ok("cluster-info").contains("is running at"));
    let verbs = cluster.ok("api-resources --api-group=apps -o wide");
    assert!(verbs.contains("create,delete,deletecollection,get,list,patch,update,watch"), "{verbs}");
}

#[test]
fn explain_knows_the_fields_of_built_in_kinds() {
    let cluster = Cluster::start();
    let strategy = cluster.ok("explain deployment.spec.strategy.rollingUpdate");
    assert!(strategy.contains("maxSurge") && strategy.contains("RollingUpdateDeployment"), "{strategy}");
    let all = cluster.ok("explain service --recursive");
    assert!(all.contains("targetPort") && all.contains("ingress"), "{all}");
    assert!(cluster.fails("explain pod.spec.nosuch").contains("field \"nosuch\" does not exist"));
}

#[test]
fn describe_tells_about_objects_and_their_events() {
    let cluster = Cluster::start();
    cluster.apply(WEB);
    cluster.ok("expose deployment web --port 80 --target-port 5678");
    cluster.apply(
        "{apiVersion: v1, kind: Event, metadata: {name: web.1}, reason: Tested, message: it was tested, type: Normal, \
         involvedObject: {apiVersion: apps/v1, kind: Deployment, name: web, namespace: default}, \
         lastTimestamp: \"2026-01-01T00:00:00Z\"}",
    );
    let deployment = cluster.ok("describe deployment web");
    assert!(deployment.contains("hashicorp/http-echo") && deployment.contains("2 desired"), "{deployment}");
    let events = cluster.ok("get events");
    assert!(events.contains("deployment/web") && events.contains("it was tested"), "{events}");
    assert!(cluster.ok("events").contains("Tested"), "kubectl events");
    let service = cluster.ok("describe svc web");
    assert!(service.contains("TargetPort:               5678/TCP"), "{service}");
    assert!(cluster.ok("describe ns default").contains("Active"));
}
