//! Requests by version: a header sends them to one, weights share the rest. What comes in: the rules that hold for all
//! versions. What goes out: rules for each. A version that falls back to another has a host of its own, behind which an
//! aggregate stands (see `locality::version`); the others are subsets of the Service.

use crate::compile::istio::intent::{Leg, Rule};
use crate::model::failover::Version;
use crate::model::mesh;
use crate::resource::istio::virtual_service::{HttpMatch, Text};

/// The rules with the versions in them; as they are where there are no versions.
pub fn rules(plain: Vec<Rule>, versions: &[Version], failover: &str, namespace: &str) -> Vec<Rule> {
    if versions.is_empty() {
        return plain;
    }
    let leg = |whole: &Leg, version: &Version, weight: Option<u32>| match version.fallback {
        Some(_) => {
            Leg { weight, ..Leg::to(mesh::version_host(version.name.as_str(), failover, namespace), whole.port) }
        }
        None => Leg { subset: Some(version.name.to_string()), weight, ..whole.clone() },
    };
    let mut all = Vec::new();
    for version in versions.iter().filter(|v| !v.headers.is_empty()) {
        for rule in &plain {
            let to = rule.to.iter().map(|whole| leg(whole, version, None)).collect();
            let name = rule.name.as_ref().map(|n| format!("{n}/{}", version.name));
            all.push(Rule { name, matches: with_headers(&rule.matches, version), to, ..rule.clone() });
        }
    }
    let shared: Vec<&Version> = versions.iter().filter(|v| v.weight > 0).collect();
    for rule in plain {
        let weight = |v: &Version| (shared.len() > 1).then_some(v.weight);
        let to = rule.to.iter().flat_map(|whole| shared.iter().map(|v| leg(whole, v, weight(v))).collect::<Vec<_>>());
        all.push(Rule { to: to.collect(), ..rule });
    }
    all
}

fn with_headers(matches: &[HttpMatch], version: &Version) -> Vec<HttpMatch> {
    let all = [HttpMatch::default()];
    let matches = if matches.is_empty() { &all[..] } else { matches };
    let headers =
        || version.headers.iter().map(|(name, value)| (name.to_ascii_lowercase(), Text::Exact(value.clone())));
    matches.iter().map(|m| HttpMatch { headers: headers().collect(), ..m.clone() }).collect()
}
