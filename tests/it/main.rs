//! Every integration test, in one binary.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking, and its name is its documentation")]

mod apply;
mod architecture;
mod bad_input;
mod certificates;
mod certs;
mod child;
mod compile_laws;
mod delete;
mod demo;
mod diff;
mod documents;
mod drills;
mod envoys;
mod federation;
mod field_ownership;
mod gateway;
mod gateway_url;
mod generated;
mod gloo_golden;
mod gloo_guide;
mod kubectl;
mod node;
mod orders;
mod plan_laws;
mod probe;
mod protobuf;
mod route;
mod routing;
mod sandbox;
mod sandbox_api;
mod sandboxes;
mod simulate;
mod simulate_disturbed;
mod support;
mod yaml_laws;
