//! Custom resource definitions and their objects.

use super::Cluster;

const GADGETS: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gadgets, singular: gadget, kind: Gadget, shortNames: [gg], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Colour, type: string, jsonPath: .spec.colour}
    - {name: Ready, type: string, jsonPath: '.status.conditions[?(@.type==\"Ready\")].status'}
    - {name: Age, type: date, jsonPath: .metadata.creationTimestamp}
    schema:
      openAPIV3Schema:
        type: object
        description: A gadget.
        required: [spec]
        properties:
          spec:
            type: object
            description: What is wanted.
            required: [colour]
            properties:
              colour: {type: string, enum: [red, green], description: Its colour.}
              replicas: {type: integer, minimum: 0, default: 1}
              parts:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items: {type: object, required: [name], properties: {name: {type: string}, size: {type: integer}}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

const ONE: &str = "{apiVersion: example.com/v1, kind: Gadget, metadata: {name: one}, spec: {colour: red}}";

fn with_gadgets() -> Cluster {
    let cluster = Cluster::start();
    cluster.apply(GADGETS);
    cluster.ok("wait crd/gadgets.example.com --for=condition=Established --timeout 20s");
    cluster
}

#[test]
fn a_definition_brings_a_kind_with_names_columns_and_words() {
    let cluster = with_gadgets();
    assert_eq!(cluster.apply(ONE), "gadget.example.com/one created\n");
    let table = cluster.ok("get gg");
    let rows: Vec<Vec<&str>> = table.lines().map(|l| l.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NAME", "COLOUR", "READY", "AGE"]);
    assert_eq!(rows[1][..2], ["one", "red"]);
    assert!(cluster.ok("get all").contains("gadget.example.com/one"));
    let words = cluster.ok("explain gadget.spec");
    assert!(words.contains("What is wanted.") && words.contains("colour\t<string> -required-"), "{words}");
    assert_eq!(cluster.field("gadget one", ".spec.replicas"), "1");
    cluster.ok("delete crd gadgets.example.com");
    let gone = cluster.fails("get gadgets.example.com");
    assert!(gone.contains("resource"), "{gone}");
}

#[test]
fn a_schema_is_enforced_pruned_and_defaulted() {
    let cluster = with_gadgets();
    let refused = |document: &str| cluster.refused(&["create", "-f", "-"], document);
    let wrong = refused(&ONE.replace("red", "blue"));
    assert!(
        wrong.contains("spec.colour: Unsupported value: \"blue\": supported values: \"red\", \"green\""),
        "{wrong}"
    );
    assert!(refused(&ONE.replace("colour: red", "replicas: 1")).contains("spec.colour: Required value"));
    let typed = refused(&ONE.replace("colour: red", "colour: red, replicas: many"));
    assert!(typed.contains("must be of type integer"), "{typed}");
    let unknown = refused(&ONE.replace("colour: red", "colour: red, odd: 1"));
    assert!(unknown.contains("unknown field \"spec.odd\""), "{unknown}");
    cluster.all(&["create", "--validate=false", "-f", "-"], &ONE.replace("colour: red", "colour: red, odd: 1"));
    assert_eq!(cluster.field("gadget one", ".spec"), "{\"colour\":\"red\",\"replicas\":1}");
}

#[test]
fn custom_objects_are_scaled_and_have_a_status_of_their_own() {
    let cluster = with_gadgets();
    cluster.apply(ONE);
    assert_eq!(cluster.ok("scale gg one --replicas 3"), "gadget.example.com/one scaled\n");
    assert_eq!(cluster.field("gg one", ".spec.replicas"), "3");
    let patch = r#"{"status":{"conditions":[{"type":"Ready","status":"True"}]},"spec":{"colour":"green"}}"#;
    cluster.all(&["patch", "gg", "one", "--subresource", "status", "--type", "merge", "-p", patch], "");
    assert!(cluster.ok("get gg one").contains("red      True"));
    cluster.ok("wait gg/one --for=condition=Ready --timeout 20s");
    let generation = cluster.field("gg one", ".metadata.generation");
    assert_eq!(generation, "2", "a status is no new generation");
}

#[test]
fn lists_of_custom_objects_merge_by_their_keys_under_server_side_apply() {
    let cluster = with_gadgets();
    let apply = |manager: &str, parts: &str| {
        let document = ONE.replace("colour: red", &format!("colour: red, parts: {parts}"));
        cluster.all(&["apply", "--server-side", "--field-manager", manager, "-f", "-"], &document);
    };
    apply("one", "[{name: a, size: 1}]");
    apply("two", "[{name: b, size: 2}]");
    assert_eq!(cluster.field("gg one", ".spec.parts[*].name"), "a b");
    apply("one", "[]");
    assert_eq!(cluster.field("gg one", ".spec.parts"), "[{\"name\":\"b\",\"size\":2}]");
}

#[test]
fn a_definition_that_contradicts_itself_is_refused() {
    let cluster = Cluster::start();
    let refused =
        cluster.refused(&["create", "-f", "-"], &GADGETS.replace("name: gadgets.example", "name: other.example"));
    assert!(refused.contains("must be spec.names.plural+\".\"+spec.group"), "{refused}");
}
