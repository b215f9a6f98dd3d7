//! Real control planes: the tests of the other rings on real API servers, and what only real ones can say.
//!
//! `cargo test --test controlplane` runs it; plain `cargo test` does not. See docs/testing.md.
#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking, and its name is its documentation")]

mod agreement;
mod applies;
mod coming_up;
mod dice;
mod gloo_guide;
mod ground;
mod kit;
mod lab;
mod mesh_accepted;
mod multi_primary;
mod node;
mod real_failover;

// The same source as in the other rings, with another ground under it.
#[path = "../it/api_promises.rs"]
mod api_promises;
#[path = "../it/apply.rs"]
mod apply;
#[path = "../it/delete.rs"]
mod delete;
#[path = "../it/diff.rs"]
mod diff;
#[path = "../it/guide.rs"]
mod guide;
#[path = "../it/kubectl/mod.rs"]
mod kubectl;
#[path = "../it/support/mod.rs"]
mod support;
#[path = "../it/typist.rs"]
mod typist;
