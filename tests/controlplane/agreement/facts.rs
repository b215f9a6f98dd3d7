//! What a proxy does, as facts that two sources can be compared by: a name for each, and a value.
//!
//! Left out is what Envoy does not act on: weights of localities where it does not weigh them, levels without any endpoint.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// Facts by name.
pub type Facts = BTreeMap<String, Value>;

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Its priority.
    pub level: u64,
    /// Region, zone, sub-zone.
    pub place: [String; 3],
    /// `ADDRESS:PORT`.
    pub address: String,
    /// Its share.
    pub weight: u64,
    /// Spoken to by mTLS.
    pub mtls: bool,
    /// Sent as unhealthy.
    pub unready: bool,
}

/// Endpoints by level and place, shares relative to each other; `shares` are those of places, where they count.
pub fn levels(mut endpoints: Vec<Endpoint>, shares: Option<BTreeMap<(u64, [String; 3]), u64>>) -> Value {
    endpoints.sort();
    let mut numbers: Vec<u64> = endpoints.iter().map(|e| e.level).collect();
    numbers.dedup();
    let level = |number: &u64| {
        let mut places: BTreeMap<&[String; 3], Vec<&Endpoint>> = BTreeMap::new();
        for endpoint in endpoints.iter().filter(|e| e.level == *number) {
            places.entry(&endpoint.place).or_default().push(endpoint);
        }
        let of = |place: &[String; 3]| {
            shares.as_ref().map_or(0, |s| s.get(&(*number, place.clone())).copied().unwrap_or_default())
        };
        let divisor = places.keys().map(|p| of(p)).fold(0, gcd).max(1);
        let place = |(place, endpoints): (&&[String; 3], &Vec<&Endpoint>)| {
            let divide = endpoints.iter().map(|e| e.weight).fold(0, gcd).max(1);
            let endpoint = |e: &&Endpoint| {
                let mtls = if e.mtls { " mTLS" } else { "" };
                let unready = if e.unready { " not ready" } else { "" };
                format!("{} weight {}{mtls}{unready}", e.address, e.weight / divide)
            };
            let all: Vec<String> = endpoints.iter().map(endpoint).collect();
            json!({"place": place.join("/"), "share": of(place) / divisor, "endpoints": all})
        };
        places.iter().map(place).collect::<Vec<_>>()
    };
    json!(numbers.iter().map(level).collect::<Vec<_>>())
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Where two sources part, one line for each fact.
pub fn differences(istiod: &Facts, routing: &Facts) -> Vec<String> {
    let mut names: Vec<&String> = istiod.keys().chain(routing.keys()).collect();
    names.sort();
    names.dedup();
    let text = |facts: &Facts, name: &str| facts.get(name).map_or("nothing".into(), Value::to_string);
    let line =
        |name: &&String| format!("{name}:\n    istiod  {}\n    routing {}", text(istiod, name), text(routing, name));
    names.iter().filter(|n| istiod.get(**n) != routing.get(**n)).map(line).collect()
}
