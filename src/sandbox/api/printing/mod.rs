//! The tables of `kubectl get`: objects in, a `Table` out. Pure; the time is an argument.
//!
//! Columns and cells are those of Kubernetes 1.33 for the kinds that the server knows, a CRD's
//! `additionalPrinterColumns` for custom ones, and name and creation time for the rest.

mod age;
mod builtin;
mod jsonpath;
mod pods;

use jiff::Timestamp;
use jsonpath::JsonPath;
use serde_json::{Value, json};

/// How much of each object goes into its row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Include {
    /// Nothing.
    None,
    /// Its metadata.
    Metadata,
    /// All of it.
    Object,
}

impl Include {
    /// Reads the `includeObject` parameter; metadata is what a server includes unasked.
    pub fn parse(text: Option<&str>) -> Include {
        match text {
            Some("None") => Include::None,
            Some("Object") => Include::Object,
            _ => Include::Metadata,
        }
    }
}

/// A column.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    kind: String,
    format: String,
    priority: i64,
    description: String,
}

type Cells = fn(&Value, Timestamp) -> Vec<Value>;

/// Makes tables of one kind.
#[derive(Clone, Debug)]
pub struct Printer {
    columns: Vec<Column>,
    cells: How,
}

#[derive(Clone, Debug)]
enum How {
    Builtin(Cells),
    Custom(Vec<Option<JsonPath>>),
}

impl Printer {
    /// The printer of a built-in kind.
    pub fn builtin(group: &str, kind: &str) -> Printer {
        let (columns, cells) = builtin::printer(group, kind);
        let columns = columns
            .iter()
            .map(|(name, kind, priority)| Column {
                name: (*name).to_owned(),
                kind: (*kind).to_owned(),
                format: if *name == "Name" { "name".to_owned() } else { String::new() },
                priority: *priority,
                description: String::new(),
            })
            .collect();
        Printer { columns, cells: How::Builtin(cells) }
    }

    /// The printer of a custom kind; without columns it shows name and age.
    pub fn custom(additional_printer_columns: &[Value]) -> Printer {
        let age = [json!({"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"})];
        let wanted = if additional_printer_columns.is_empty() { &age[..] } else { additional_printer_columns };
        let text = |column: &Value, name: &str| column.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let name = Column {
            name: "Name".into(),
            kind: "string".into(),
            format: "name".into(),
            priority: 0,
            description: String::new(),
        };
        let more = wanted.iter().map(|column| {
            let description = match text(column, "description") {
                empty if empty.is_empty() => {
                    format!("Custom resource definition column (in JSONPath format): {}", text(column, "jsonPath"))
                }
                given => given,
            };
            Column {
                name: text(column, "name"),
                kind: text(column, "type"),
                format: text(column, "format"),
                priority: column.get("priority").and_then(Value::as_i64).unwrap_or(0),
                description,
            }
        });
        let columns = std::iter::once(name).chain(more).collect();
        let paths = wanted.iter().map(|column| JsonPath::parse(&text(column, "jsonPath"))).collect();
        Printer { columns, cells: How::Custom(paths) }
    }

    /// The `Table` of some objects. `list_metadata` is the metadata of the list, or of the one object.
    pub fn table(&self, objects: &[&Value], include: Include, list_metadata: Value, now: Timestamp) -> Value {
        let columns: Vec<Value> = self
            .columns
            .iter()
            .map(|c| {
                json!({"name": c.name, "type": c.kind, "format": c.format, "description": c.description,
                    "priority": c.priority})
            })
            .collect();
        let rows: Vec<Value> = objects.iter().map(|object| self.row(object, include, now)).collect();
        json!({"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_metadata,
            "columnDefinitions": columns, "rows": rows})
    }

    fn row(&self, object: &Value, include: Include, now: Timestamp) -> Value {
        let cells = match &self.cells {
            How::Builtin(cells) => cells(object, now),
            How::Custom(paths) => {
                let name = object.pointer("/metadata/name").cloned().unwrap_or_default();
                let columns = paths.iter().zip(&self.columns[1..]);
                let more = columns.map(|(path, column)| custom_cell(path.as_ref(), column, object, now));
                std::iter::once(name).chain(more).collect()
            }
        };
        let mut row = json!({ "cells": cells });
        match include {
            Include::None => {}
            Include::Object => row["object"] = object.clone(),
            Include::Metadata => {
                row["object"] = json!({"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                    "metadata": object.get("metadata")});
            }
        }
        row
    }
}

fn custom_cell(path: Option<&JsonPath>, column: &Column, object: &Value, now: Timestamp) -> Value {
    let found = path.map(|path| path.find(object)).unwrap_or_default();
    let Some(first) = found.first() else { return Value::Null };
    match column.kind.as_str() {
        "string" => match first {
            Value::String(text) => json!(text),
            Value::Null => Value::Null,
            other => json!(other.to_string()),
        },
        "date" => first.as_str().map_or(Value::Null, |text| match text.parse::<Timestamp>() {
            Ok(then) => json!(age::human(now, then)),
            Err(_) => json!("<invalid>"),
        }),
        "integer" => first.as_i64().map_or(Value::Null, |n| json!(n)),
        "number" => first.as_f64().map_or(Value::Null, |n| json!(n)),
        "boolean" => first.as_bool().map_or(Value::Null, |b| json!(b)),
        _ => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(printer: &Printer, object: &Value) -> Value {
        let now = "2026-01-01T01:00:00Z".parse().unwrap();
        printer.table(&[object], Include::Metadata, json!({}), now)["rows"][0]["cells"].clone()
    }

    #[test]
    fn a_deployment_shows_its_replicas() {
        let object = json!({"metadata": {"name": "web", "creationTimestamp": "2026-01-01T00:00:00Z"},
            "spec": {"replicas": 3, "selector": {"matchLabels": {"b": "2", "a": "1"}},
                "template": {"spec": {"containers": [{"name": "c", "image": "i"}, {"name": "d", "image": "j"}]}}},
            "status": {"readyReplicas": 1, "updatedReplicas": 3}});
        let want = json!(["web", "1/3", 3, 0, "60m", "c,d", "i,j", "a=1,b=2"]);
        assert_eq!(cells(&Printer::builtin("apps", "Deployment"), &object), want);
    }

    #[test]
    fn a_pod_shows_why_it_waits() {
        let object = json!({"metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}, "status": {"phase": "Pending",
            "containerStatuses": [{"restartCount": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}]}});
        let row = cells(&Printer::builtin("", "Pod"), &object);
        assert_eq!(
            row,
            json!(["p", "0/1", "ImagePullBackOff", "0", "<unknown>", "<none>", "<none>", "<none>", "<none>"])
        );
    }

    #[test]
    fn a_load_balancer_is_pending_until_it_has_an_address() {
        let mut object = json!({"metadata": {"name": "s"}, "spec": {"type": "LoadBalancer", "clusterIPs": ["10.0.0.1"],
            "ports": [{"port": 80, "nodePort": 30000, "protocol": "TCP"}]}, "status": {"loadBalancer": {}}});
        let printer = Printer::builtin("", "Service");
        let row = cells(&printer, &object);
        assert_eq!(row, json!(["s", "LoadBalancer", "10.0.0.1", "<pending>", "80:30000/TCP", "<unknown>", "<none>"]));
        object["status"]["loadBalancer"]["ingress"] = json!([{"ip": "127.0.0.1"}]);
        assert_eq!(cells(&printer, &object)[3], "127.0.0.1");
    }

    #[test]
    fn custom_columns_follow_their_paths() {
        let columns = [
            json!({"name": "State", "type": "string", "jsonPath": ".status.conditions[?(@.type=='Ready')].status"}),
            json!({"name": "Size", "type": "integer", "jsonPath": ".spec.size"}),
            json!({"name": "Team", "type": "string", "jsonPath": ".metadata.labels.example\\.com/team", "priority": 1}),
            json!({"name": "Gone", "type": "string", "jsonPath": ".spec.gone"}),
        ];
        let object = json!({"metadata": {"name": "x", "labels": {"example.com/team": "t"}}, "spec": {"size": 3},
            "status": {"conditions": [{"type": "Other", "status": "False"}, {"type": "Ready", "status": "True"}]}});
        assert_eq!(cells(&Printer::custom(&columns), &object), json!(["x", "True", 3, "t", null]));
        let made = json!({"metadata": {"name": "x", "creationTimestamp": "2026-01-01T00:59:30Z"}});
        assert_eq!(cells(&Printer::custom(&[]), &made), json!(["x", "30s"]));
    }
}
