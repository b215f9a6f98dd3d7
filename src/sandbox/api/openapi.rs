//! The OpenAPI v3 documents that kubectl asks for: kinds in, JSON documents out. Pure.
//!
//! They carry what clients act on: the fields and their types, how lists merge (`kubectl apply` computes its patches from
//! that), the parameters a patch takes, and the descriptions of custom kinds (`kubectl explain`). Built-in kinds have
//! fields and types but no descriptions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map as Object, Value, json};
use sha2::{Digest, Sha256};

use super::schema::{Atom, Field, Form, Map, Merge, Scalar, Shape, TypeId, Types};

/// One kind that the server serves.
#[derive(Clone, Copy, Debug)]
pub struct Kind<'a> {
    /// Its group, empty for the core group.
    pub group: &'a str,
    /// Its version.
    pub version: &'a str,
    /// Its kind.
    pub kind: &'a str,
    /// Its plural, as in URLs.
    pub plural: &'a str,
    /// Whether its objects have a namespace.
    pub namespaced: bool,
    /// The schema of a custom kind; none for a built-in one.
    pub schema: Option<&'a Value>,
}

impl Kind<'_> {
    /// Whether this is a custom kind, of which a CRD is the only source.
    fn builtin(&self) -> Option<Shape> {
        if self.schema.is_some() {
            return None;
        }
        Shape::builtin(self.group, self.version, self.kind)
    }

    fn identity(&self) -> Value {
        json!({"group": self.group, "kind": self.kind, "version": self.version})
    }
}

/// `api/v1` or `apis/GROUP/VERSION`.
fn prefix(group: &str, version: &str) -> String {
    if group.is_empty() { format!("api/{version}") } else { format!("apis/{group}/{version}") }
}

/// The answer to `GET /openapi/v3`: where each group's document is. The hash changes when the group does.
pub fn index(kinds: &[Kind<'_>]) -> Value {
    let mut hashes: BTreeMap<String, Sha256> = BTreeMap::new();
    for kind in kinds {
        let hash = hashes.entry(prefix(kind.group, kind.version)).or_default();
        hash.update(format!("{} {} {} ", kind.kind, kind.plural, kind.namespaced));
        if let Some(schema) = kind.schema {
            hash.update(schema.to_string());
        }
    }
    let paths: Object<String, Value> = hashes
        .into_iter()
        .map(|(path, hash)| {
            let url = format!("/openapi/v3/{path}?hash={}", hex::encode_upper(hash.finalize()));
            (path, json!({"serverRelativeURL": url}))
        })
        .collect();
    json!({ "paths": paths })
}

/// The document of one group and version; `None` if no kind is in it.
pub fn document(group: &str, version: &str, kinds: &[Kind<'_>]) -> Option<Value> {
    let kinds: Vec<&Kind<'_>> = kinds.iter().filter(|k| k.group == group && k.version == version).collect();
    if kinds.is_empty() {
        return None;
    }
    let (mut paths, mut schemas) = (Object::new(), Object::new());
    for kind in kinds {
        paths.extend(paths_of(kind));
        match (kind.builtin(), kind.schema) {
            (Some(shape), _) => {
                let mut wanted = BTreeSet::from([shape.root()]);
                describe(shape.types(), &mut wanted, &mut schemas);
                let name = shape.types().name(shape.root()).unwrap_or_default();
                schemas[name]["x-kubernetes-group-version-kind"] = json!([kind.identity()]);
            }
            (None, schema) => {
                let meta = add_metadata(&mut schemas);
                schemas.insert(custom_name(kind), custom(kind, schema, &meta));
            }
        }
    }
    schemas.sort_keys();
    Some(json!({
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.33.0"},
        "paths": paths,
        "components": {"schemas": schemas},
    }))
}

/// `io.solo.gloo.v1.Upstream`
fn custom_name(kind: &Kind<'_>) -> String {
    let mut group: Vec<&str> = kind.group.split('.').collect();
    group.reverse();
    format!("{}.{}.{}", group.join("."), kind.version, kind.kind)
}

fn paths_of(kind: &Kind<'_>) -> Object<String, Value> {
    let parameter = |name: &str, kind: &str| json!({"name": name, "in": "query", "schema": {"type": kind}});
    let write = json!([
        parameter("dryRun", "string"),
        parameter("fieldManager", "string"),
        parameter("fieldValidation", "string"),
        parameter("force", "boolean"),
    ]);
    let mut patches =
        vec!["application/apply-patch+yaml", "application/json-patch+json", "application/merge-patch+json"];
    if kind.schema.is_none() {
        patches.push("application/strategic-merge-patch+json");
    }
    let patches: Object<String, Value> = patches.into_iter().map(|p| (p.to_owned(), json!({"schema": {}}))).collect();
    let identity = kind.identity();
    let action = |name: &str| {
        json!({"x-kubernetes-action": name, "x-kubernetes-group-version-kind": identity,
            "responses": {"200": {"description": "OK"}}})
    };
    let with = |mut operation: Value, more: Value| {
        if let (Some(operation), Value::Object(more)) = (operation.as_object_mut(), more) {
            operation.extend(more);
        }
        operation
    };
    let all = json!({"get": action("list"), "post": with(action("post"), json!({ "parameters": write }))});
    let one = json!({
        "get": action("get"),
        "put": with(action("put"), json!({ "parameters": write })),
        "patch": with(action("patch"), json!({"parameters": write, "requestBody": {"content": patches}})),
        "delete": action("delete"),
    });
    let base = match kind.namespaced {
        true => format!("/{}/namespaces/{{namespace}}/{}", prefix(kind.group, kind.version), kind.plural),
        false => format!("/{}/{}", prefix(kind.group, kind.version), kind.plural),
    };
    Object::from_iter([(format!("{base}/{{name}}"), one), (base, all)])
}

/// Writes the wanted named types, and whatever they refer to.
fn describe(types: &Types, wanted: &mut BTreeSet<TypeId>, schemas: &mut Object<String, Value>) {
    while let Some(id) = wanted.pop_first() {
        let Some(name) = types.name(id) else { continue };
        if !schemas.contains_key(name) {
            let schema = inline(types, types.atom(id), wanted);
            schemas.insert(name.to_owned(), schema);
        }
    }
}

/// A type where it is used: a reference if it has a name.
fn reference(types: &Types, id: TypeId, wanted: &mut BTreeSet<TypeId>) -> Value {
    match types.name(id) {
        Some(name) => {
            wanted.insert(id);
            json!({"$ref": format!("#/components/schemas/{name}")})
        }
        None if id == Types::DEDUCED || id == Types::UNTYPED => json!({}),
        None => inline(types, types.atom(id), wanted),
    }
}

fn inline(types: &Types, atom: &Atom, wanted: &mut BTreeSet<TypeId>) -> Value {
    match atom {
        Atom { map: Some(map), .. } => object(types, map, wanted),
        Atom { list: Some(list), .. } => {
            let mut schema = json!({"type": "array", "items": reference(types, list.element, wanted)});
            match &list.merge {
                Merge::Atomic => schema["x-kubernetes-list-type"] = json!("atomic"),
                Merge::Set => schema["x-kubernetes-list-type"] = json!("set"),
                Merge::Keys(keys) => {
                    schema["x-kubernetes-list-type"] = json!("map");
                    schema["x-kubernetes-list-map-keys"] = json!(keys);
                }
            }
            schema
        }
        Atom { scalar, .. } => match scalar.unwrap_or(Scalar::Any) {
            Scalar::String | Scalar::Duration | Scalar::Quantity => json!({"type": "string"}),
            Scalar::Bytes => json!({"type": "string", "format": "byte"}),
            Scalar::Int32 => json!({"type": "integer", "format": "int32"}),
            Scalar::Int64 => json!({"type": "integer", "format": "int64"}),
            Scalar::Double => json!({"type": "number", "format": "double"}),
            Scalar::Bool => json!({"type": "boolean"}),
            Scalar::Time | Scalar::MicroTime => json!({"type": "string", "format": "date-time"}),
            Scalar::Any => json!({}),
        },
    }
}

fn object(types: &Types, map: &Map, wanted: &mut BTreeSet<TypeId>) -> Value {
    let mut schema = json!({"type": "object"});
    let shown = || map.fields.iter().filter(|(_, field)| !field.wire.is_some_and(|w| w.embedded));
    if !map.fields.is_empty() {
        let fields: Object<String, Value> =
            shown().map(|(name, field)| (name.clone(), property(types, field, wanted))).collect();
        schema["properties"] = Value::Object(fields);
    } else if let Some(element) = map.element.filter(|e| *e != Types::DEDUCED) {
        schema["additionalProperties"] = reference(types, element, wanted);
    }
    let required: Vec<&String> = shown().filter(|(_, field)| field.required).map(|(name, _)| name).collect();
    if !required.is_empty() {
        schema["required"] = json!(required);
    }
    if map.atomic {
        schema["x-kubernetes-map-type"] = json!("atomic");
    }
    schema
}

fn property(types: &Types, field: &Field, wanted: &mut BTreeSet<TypeId>) -> Value {
    let mut schema = reference(types, field.ty, wanted);
    let mut more = Object::new();
    if field.wire.is_some_and(|w| w.form == Form::IntOrString) {
        more.insert("format".into(), json!("int-or-string"));
        more.insert("oneOf".into(), json!([{"type": "integer"}, {"type": "string"}]));
    }
    if let Some(default) = &field.default {
        more.insert("default".into(), default.clone());
    }
    let strategy: Vec<&str> = [(field.patch.merge, "merge"), (field.patch.retain_keys, "retainKeys")]
        .into_iter()
        .filter_map(|(has, word)| has.then_some(word))
        .collect();
    if !strategy.is_empty() {
        more.insert("x-kubernetes-patch-strategy".into(), json!(strategy.join(",")));
    }
    if let Some(key) = &field.patch.key {
        more.insert("x-kubernetes-patch-merge-key".into(), json!(key));
    }
    if more.is_empty() {
        return schema;
    }
    // Beside a reference nothing else counts, so the reference stands inside.
    if schema.get("$ref").is_some() {
        schema = json!({ "allOf": [schema] });
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.extend(more);
    }
    schema
}

/// Adds the types of metadata; answers the reference to them.
fn add_metadata(schemas: &mut Object<String, Value>) -> Value {
    let table = super::schema::builtin::table();
    let Some(meta) = table.named("meta.v1.ObjectMeta") else { return json!({}) };
    let mut wanted = BTreeSet::new();
    let reference = reference(&table.types, meta, &mut wanted);
    describe(&table.types, &mut wanted, schemas);
    reference
}

fn custom(kind: &Kind<'_>, schema: Option<&Value>, meta: &Value) -> Value {
    let mut schema = schema
        .filter(|s| s.is_object())
        .cloned()
        .unwrap_or_else(|| json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}));
    schema["x-kubernetes-group-version-kind"] = json!([kind.identity()]);
    let version = "APIVersion defines the versioned schema of this representation of an object.";
    let name = "Kind is a string value representing the REST resource this object represents.";
    schema["properties"]["apiVersion"] = json!({"description": version, "type": "string"});
    schema["properties"]["kind"] = json!({"description": name, "type": "string"});
    schema["properties"]["metadata"] = json!({"description": "Standard object's metadata.", "allOf": [meta]});
    if let Some(properties) = schema["properties"].as_object_mut() {
        properties.sort_keys();
    }
    schema
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pods() -> Kind<'static> {
        Kind { group: "", version: "v1", kind: "Pod", plural: "pods", namespaced: true, schema: None }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        let schema =
            json!({"type": "object", "properties": {"spec": {"type": "object", "description": "What is wanted."}}});
        let gateways = Kind {
            group: "gateway.solo.io",
            version: "v1",
            kind: "Gateway",
            plural: "gateways",
            namespaced: true,
            schema: Some(&schema),
        };
        for (group, version) in [("", "v1"), ("gateway.solo.io", "v1")] {
            let document = document(group, version, &[pods(), gateways]).unwrap();
            let text = document.to_string();
            for part in text.split("\"$ref\":\"#/components/schemas/").skip(1) {
                let name = part.split('"').next().unwrap();
                assert!(document["components"]["schemas"].get(name).is_some(), "{name}");
            }
        }
        let document = document("gateway.solo.io", "v1", &[gateways]).unwrap();
        let schema = &document["components"]["schemas"]["io.solo.gateway.v1.Gateway"];
        assert_eq!(schema["properties"]["spec"]["description"], "What is wanted.");
    }

    #[test]
    fn a_patch_takes_field_validation_and_lists_say_how_they_merge() {
        let document = document("", "v1", &[pods()]).unwrap();
        let patch = &document["paths"]["/api/v1/namespaces/{namespace}/pods/{name}"]["patch"];
        assert!(patch["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "fieldValidation"));
        let containers = &document["components"]["schemas"]["core.v1.PodSpec"]["properties"]["containers"];
        assert_eq!(containers["x-kubernetes-patch-merge-key"], "name");
        assert_eq!(containers["x-kubernetes-list-map-keys"], json!(["name"]));
    }

    #[test]
    fn the_hash_of_a_group_changes_with_its_kinds_alone() {
        let (a, b) = (index(&[pods()]), index(&[pods(), Kind { group: "x", ..pods() }]));
        assert_eq!(a["paths"]["api/v1"], b["paths"]["api/v1"]);
        assert_ne!(a["paths"]["api/v1"], index(&[Kind { kind: "Other", ..pods() }])["paths"]["api/v1"]);
    }
}
