//! Objects as managers might apply them: each names some of the fields that its kind has, again and again other ones.

use serde_json::{Map, Value, json};

use crate::dice::Dice;

/// The kinds, as their URLs have them.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// Lists keyed by two fields, allocated and defaulted fields.
    Service,
    /// Deep lists keyed by name, quantities, a scale subresource.
    Deployment,
    /// A custom kind with a schema.
    DestinationRule,
    /// A map of bytes that has a second, write-only face.
    Secret,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 4] = [Kind::Service, Kind::Deployment, Kind::DestinationRule, Kind::Secret];

    /// Its collection in the namespace default.
    pub fn place(self) -> &'static str {
        match self {
            Kind::Service => "/api/v1/namespaces/default/services",
            Kind::Deployment => "/apis/apps/v1/namespaces/default/deployments",
            Kind::DestinationRule => "/apis/networking.istio.io/v1/namespaces/default/destinationrules",
            Kind::Secret => "/api/v1/namespaces/default/secrets",
        }
    }

    /// Some wish for an object of this kind.
    pub fn wish(self, name: &str, dice: &mut Dice) -> Value {
        let (version, mut object) = match self {
            Kind::Service => ("v1", service(dice)),
            Kind::Deployment => ("apps/v1", deployment(dice)),
            Kind::DestinationRule => ("networking.istio.io/v1", destination_rule(dice)),
            Kind::Secret => ("v1", secret(dice)),
        };
        let mut metadata = Map::from_iter([("name".to_string(), json!(name))]);
        dice.maybe(&mut metadata, 3, "labels", words);
        dice.maybe(&mut metadata, 5, "annotations", words);
        dice.maybe(&mut metadata, 30, "finalizers", |d| d.some(&["a.example/x", "b.example/y"]));
        object["apiVersion"] = json!(version);
        object["kind"] = json!(format!("{self:?}"));
        object["metadata"] = Value::Object(metadata);
        object
    }
}

impl Dice {
    fn maybe(&mut self, to: &mut Map<String, Value>, n: usize, name: &str, value: impl FnOnce(&mut Dice) -> Value) {
        if self.one_in(n) {
            to.insert(name.into(), value(self));
        }
    }

    fn pick(&mut self, from: &[Value]) -> Value {
        from[self.roll(from.len())].clone()
    }

    /// Some of these, in their order or turned around.
    fn some(&mut self, from: &[&str]) -> Value {
        let mut chosen: Vec<&str> = from.iter().copied().filter(|_| !self.one_in(3)).collect();
        if self.one_in(3) {
            chosen.reverse();
        }
        json!(chosen)
    }

    /// Some of a list's items by their keys, each made anew, in any order.
    fn items(&mut self, keys: &[&str], mut item: impl FnMut(&mut Dice, &str) -> Value) -> Value {
        let mut chosen: Vec<&str> = keys.iter().copied().filter(|_| self.one_in(2)).collect();
        if self.one_in(2) {
            chosen.reverse();
        }
        Value::Array(chosen.into_iter().map(|key| item(self, key)).collect())
    }
}

fn words(dice: &mut Dice) -> Value {
    let mut map = Map::new();
    for key in ["a", "b", "example.com/c"] {
        dice.maybe(&mut map, 2, key, |d| d.pick(&[json!("1"), json!("2"), json!("")]));
    }
    Value::Object(map)
}

fn service(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    dice.maybe(&mut spec, 3, "selector", words);
    dice.maybe(&mut spec, 6, "type", |d| d.pick(&[json!("ClusterIP"), json!("NodePort"), json!("LoadBalancer")]));
    dice.maybe(&mut spec, 6, "sessionAffinity", |d| d.pick(&[json!("None"), json!("ClientIP")]));
    dice.maybe(&mut spec, 8, "publishNotReadyAddresses", |d| d.pick(&[json!(true), json!(false)]));
    dice.maybe(&mut spec, 12, "externalTrafficPolicy", |d| d.pick(&[json!("Local"), json!("Cluster")]));
    dice.maybe(&mut spec, 12, "internalTrafficPolicy", |d| d.pick(&[json!("Local"), json!("Cluster")]));
    dice.maybe(&mut spec, 12, "externalIPs", |d| d.some(&["192.0.2.1", "192.0.2.2"]));
    let ports = dice.items(&["80", "81", "82", "83"], |dice, key| {
        let mut port = Map::from_iter([("port".to_string(), json!(key.parse::<u16>().unwrap()))]);
        if !dice.one_in(12) {
            port.insert("name".into(), json!(format!("p{key}")));
        }
        dice.maybe(&mut port, 2, "targetPort", |d| d.pick(&[json!(8080), json!("http"), json!(8081)]));
        dice.maybe(&mut port, 3, "protocol", |d| d.pick(&[json!("TCP"), json!("UDP")]));
        dice.maybe(&mut port, 5, "appProtocol", |d| d.pick(&[json!("http"), json!("grpc")]));
        Value::Object(port)
    });
    if !dice.one_in(4) {
        spec.insert("ports".into(), ports);
    }
    json!({ "spec": spec })
}

fn container(dice: &mut Dice, name: &str) -> Value {
    let mut container = Map::from_iter([("name".to_string(), json!(name))]);
    if !dice.one_in(8) {
        container.insert("image".into(), dice.pick(&[json!("i:1"), json!("i:2"), json!("i")]));
    }
    dice.maybe(&mut container, 3, "args", |d| d.some(&["--a", "--b", "--c"]));
    dice.maybe(&mut container, 3, "env", |d| {
        d.items(&["A", "B", "C"], |d, key| json!({"name": key, "value": d.pick(&[json!("1"), json!("2")])}))
    });
    dice.maybe(&mut container, 3, "ports", |d| {
        d.items(&["80", "81", "82"], |d, key| {
            let mut port = Map::from_iter([("containerPort".to_string(), json!(key.parse::<u16>().unwrap()))]);
            d.maybe(&mut port, 2, "name", |_| json!(format!("p{key}")));
            d.maybe(&mut port, 3, "protocol", |d| d.pick(&[json!("TCP"), json!("UDP")]));
            Value::Object(port)
        })
    });
    dice.maybe(&mut container, 4, "resources", |d| {
        let mut amounts = Map::new();
        d.maybe(&mut amounts, 2, "cpu", |d| d.pick(&[json!("1"), json!("1000m"), json!("0.5"), json!(2)]));
        d.maybe(&mut amounts, 2, "memory", |d| d.pick(&[json!("1Gi"), json!("1024Mi"), json!("64Mi")]));
        if d.one_in(2) { json!({ "limits": amounts }) } else { json!({ "requests": amounts }) }
    });
    dice.maybe(&mut container, 5, "readinessProbe", |d| {
        let mut probe = Map::from_iter([("httpGet".to_string(), json!({"path": "/", "port": 80}))]);
        d.maybe(&mut probe, 2, "periodSeconds", |d| json!(1 + d.roll(3)));
        d.maybe(&mut probe, 2, "failureThreshold", |d| json!(1 + d.roll(3)));
        Value::Object(probe)
    });
    dice.maybe(&mut container, 6, "imagePullPolicy", |d| d.pick(&[json!("Always"), json!("IfNotPresent")]));
    dice.maybe(&mut container, 8, "volumeMounts", |d| {
        d.items(&["/a", "/b"], |_, key| json!({"name": "v", "mountPath": key}))
    });
    Value::Object(container)
}

fn deployment(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    if !dice.one_in(12) {
        spec.insert("selector".into(), json!({"matchLabels": {"app": "x"}}));
    }
    dice.maybe(&mut spec, 2, "replicas", |d| json!(d.roll(3)));
    dice.maybe(&mut spec, 6, "minReadySeconds", |d| json!(d.roll(3)));
    dice.maybe(&mut spec, 6, "strategy", |d| match d.roll(3) {
        0 => json!({"type": "Recreate"}),
        1 => json!({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": d.roll(2)}}),
        _ => json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "50%"}}),
    });
    let mut pod = Map::new();
    let containers = dice.items(&["one", "two", "three"], container);
    if !dice.one_in(8) {
        pod.insert("containers".into(), containers);
    }
    dice.maybe(&mut pod, 6, "serviceAccountName", |d| d.pick(&[json!("x"), json!("y")]));
    dice.maybe(&mut pod, 6, "terminationGracePeriodSeconds", |d| json!(d.roll(3)));
    dice.maybe(&mut pod, 6, "nodeSelector", words);
    dice.maybe(&mut pod, 6, "tolerations", |d| {
        d.items(&["a", "b"], |d, key| json!({"key": key, "operator": d.pick(&[json!("Exists"), json!("Equal")])}))
    });
    dice.maybe(&mut pod, 5, "volumes", |d| {
        d.items(&["v", "w"], |d, key| {
            if d.one_in(2) {
                json!({"name": key, "emptyDir": {}})
            } else {
                json!({"name": key, "configMap": {"name": "m"}})
            }
        })
    });
    dice.maybe(&mut pod, 8, "securityContext", |d| json!({"runAsUser": d.roll(3)}));
    let mut labels = words(dice);
    labels["app"] = json!("x");
    spec.insert("template".into(), json!({"metadata": {"labels": labels}, "spec": pod}));
    json!({ "spec": spec })
}

fn traffic_policy(dice: &mut Dice) -> Value {
    let mut policy = Map::new();
    dice.maybe(&mut policy, 2, "outlierDetection", |d| {
        let mut detection = Map::new();
        d.maybe(&mut detection, 2, "consecutive5xxErrors", |d| json!(d.roll(5)));
        d.maybe(&mut detection, 2, "interval", |d| d.pick(&[json!("1s"), json!("10s"), json!("1m")]));
        d.maybe(&mut detection, 2, "baseEjectionTime", |d| d.pick(&[json!("30s"), json!("1m")]));
        d.maybe(&mut detection, 2, "maxEjectionPercent", |d| json!(d.roll(3) * 50));
        Value::Object(detection)
    });
    dice.maybe(&mut policy, 3, "tls", |d| {
        let mut tls = Map::from_iter([("mode".to_string(), d.pick(&[json!("ISTIO_MUTUAL"), json!("DISABLE")]))]);
        d.maybe(&mut tls, 2, "subjectAltNames", |d| d.some(&["spiffe://a/ns/b/sa/c", "spiffe://d/ns/e/sa/f"]));
        d.maybe(&mut tls, 3, "sni", |_| json!("outbound_.80_._.x"));
        Value::Object(tls)
    });
    dice.maybe(&mut policy, 3, "loadBalancer", |d| match d.roll(4) {
        0 => json!({"simple": d.pick(&[json!("ROUND_ROBIN"), json!("LEAST_REQUEST")])}),
        1 => json!({"consistentHash": {"httpHeaderName": "x"}}),
        2 => json!({"localityLbSetting": {"enabled": true, "failover": [{"from": "a", "to": "b"}]}}),
        _ => json!({"localityLbSetting": {"failoverPriority": d.some(&["topology.istio.io/network", "x"])}}),
    });
    dice.maybe(&mut policy, 4, "connectionPool", |d| {
        json!({"http": {"maxRetries": d.roll(3)}, "tcp": {"connectTimeout": d.pick(&[json!("1s"), json!("500ms")])}})
    });
    Value::Object(policy)
}

fn destination_rule(dice: &mut Dice) -> Value {
    let mut spec = Map::new();
    if !dice.one_in(8) {
        spec.insert("host".into(), dice.pick(&[json!("reviews"), json!("ratings")]));
    }
    dice.maybe(&mut spec, 2, "trafficPolicy", traffic_policy);
    dice.maybe(&mut spec, 2, "subsets", |d| {
        d.items(&["v1", "v2", "v3"], |d, key| {
            let mut subset = Map::from_iter([("name".to_string(), json!(key))]);
            d.maybe(&mut subset, 2, "labels", words);
            d.maybe(&mut subset, 4, "trafficPolicy", traffic_policy);
            Value::Object(subset)
        })
    });
    dice.maybe(&mut spec, 4, "exportTo", |d| d.some(&[".", "istio-system"]));
    dice.maybe(&mut spec, 6, "workloadSelector", |d| json!({"matchLabels": words(d)}));
    json!({ "spec": spec })
}

fn secret(dice: &mut Dice) -> Value {
    let mut object = Map::new();
    dice.maybe(&mut object, 2, "data", |d| {
        let mut data = Map::new();
        // An empty map in an immutable secret is a change to a real server: Go tells it from none.
        data.insert("a".into(), d.pick(&[json!("MQ=="), json!("")]));
        for key in ["b", "c.d"] {
            d.maybe(&mut data, 2, key, |d| d.pick(&[json!("MQ=="), json!("Mg=="), json!("")]));
        }
        Value::Object(data)
    });
    dice.maybe(&mut object, 3, "stringData", |d| {
        let mut data = Map::new();
        for key in ["a", "b", "e"] {
            d.maybe(&mut data, 2, key, |d| d.pick(&[json!("1"), json!("2"), json!("")]));
        }
        Value::Object(data)
    });
    dice.maybe(&mut object, 6, "type", |d| d.pick(&[json!("Opaque"), json!("example.com/x")]));
    dice.maybe(&mut object, 20, "immutable", |d| d.pick(&[json!(true), json!(false)]));
    Value::Object(object)
}
