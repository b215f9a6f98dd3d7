//! The vendors' own kinds. What comes in: one object as it stands. What goes out: what is wrong with it; the object
//! itself is never changed. A kind failctl knows has a file here; every other object passes if it can be named.
//! May not know: what the object compiles to.

mod failover_scheme;
mod failover_service;
pub mod smh;
mod traffic_policy;
mod upstream;
mod virtual_mesh;

use serde_json::Value;

use super::text::{End, Located};
use crate::manifest::Gvk;
use crate::model::fleet::Fleet;
use crate::model::name::ObjectName;
use crate::model::problem::Problem;

/// The kinds failctl looks into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    FailoverScheme,
    Upstream,
}

impl Known {
    const ALL: [Known; 2] = [Known::FailoverScheme, Known::Upstream];

    /// Group and kind.
    fn name(self) -> (&'static str, &'static str) {
        match self {
            Known::FailoverScheme => failover_scheme::NAME,
            Known::Upstream => upstream::NAME,
        }
    }

    fn check(self, document: &Located, value: &Value, fleet: Option<&Fleet>) -> Vec<Problem> {
        match self {
            Known::FailoverScheme => failover_scheme::check(document, value, fleet),
            Known::Upstream => upstream::check(document, value),
        }
    }
}

/// What is wrong with a vendor's or Kubernetes' object.
pub fn check(document: &Located, value: &Value, fleet: Option<&Fleet>) -> Vec<Problem> {
    let mut problems = nameless(document, value);
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let gvk = Gvk::new(text("apiVersion"), text("kind"));
    let known = Known::ALL.into_iter().find(|k| k.name() == (gvk.group.as_str(), gvk.kind.as_str()));
    problems.extend(known.into_iter().flat_map(|k| k.check(document, value, fleet)));
    problems
}

/// An object without a name cannot be found again, so it cannot be written.
fn nameless(document: &Located, value: &Value) -> Vec<Problem> {
    let name = value.pointer("/metadata/name");
    let problem = match name {
        Some(Value::String(name)) => match ObjectName::new(name.as_str()) {
            Ok(_) => return Vec::new(),
            // Some built-in kinds allow more (`system:auth-delegator`); the API server has the last word.
            Err(_) if name.contains(':') => return Vec::new(),
            Err(why) => Problem::error("FCT0108", why),
        },
        Some(_) => Problem::error("FCT0105", "`name` must be text").hint("put it in quotes"),
        None => {
            let problem = Problem::error("FCT0104", "`metadata.name` is missing");
            problem.hint("generateName is of no use here: failctl must find the object again")
        }
    };
    vec![document.locate(problem, "/metadata/name", End::Value)]
}
