//! Upstream (gloo.solo.io/v1): looked into for what would hide a loss; a partial one, such as a health-check patch
//! written as a document, is accepted. May not know: what becomes of it.

use serde_json::Value;

use crate::model::problem::Problem;
use crate::spec::text::{End, Located};

/// Group and kind.
pub const NAME: (&str, &str) = ("gloo.solo.io", "Upstream");

/// What is wrong, or will hurt.
pub fn check(document: &Located, value: &Value) -> Vec<Problem> {
    let mut problems = Vec::new();
    let checks = value.pointer("/spec/healthChecks");
    let Some(checks) = checks.and_then(Value::as_array) else { return problems };
    for (i, check) in checks.iter().enumerate() {
        let at = format!("/spec/healthChecks/{i}");
        for field in ["timeout", "interval"] {
            if check.get(field).is_none() {
                let problem = Problem::error("FCT0309", format!("Gloo refuses a health check without `{field}`"));
                problems.push(document.locate(problem, &at, End::Value));
            }
        }
        if check.get("noTrafficInterval").is_none() {
            let what = "without `noTrafficInterval` Envoy waits 60s between checks until traffic has flowed, so the first loss may go unseen for a minute";
            let problem = Problem::warning("FCT0310", what).hint("add noTrafficInterval: 1s");
            problems.push(document.locate(problem, &at, End::Value));
        }
    }
    problems
}
