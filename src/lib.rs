//! failctl: makes a service survive the loss of a Kubernetes cluster, and proves it.
//!
//! The rooms, from the pure core to the edges. A room may use only what stands above it;
//! `tests/it/architecture.rs` holds that order as data and fails when it is broken.
//!
//! | room | what it does |
//! |---|---|
//! | [`model`] | nouns: if you hold one, it is valid |
//! | [`yaml`] | the only file that names the YAML crate |
//! | [`manifest`] | a keyed object for one cluster; ownership; waves; worlds of objects |
//! | [`resource`] | the Kubernetes resources failctl writes and reads |
//! | [`spec`] | bytes → model: our documents and the vendors' |
//! | [`compile`] | model → manifests, one folder per target |
//! | [`pki`] | who needs which certificate → issue → secrets |
//! | [`plan`] | desired × observed → ordered changes |
//! | [`routing`] | objects → effective routing |
//! | [`envoy`] | Envoy's semantics, and routing → Envoy configuration |
//! | [`sim`] | the drill director: a pure state machine |
//! | [`judge`] | rules with stable codes: health, verdicts |
//! | [`report`] | value → text |
//! | [`cluster`] | EDGE: kubeconfigs, observe, apply, port-forward |
//! | [`probe`] | EDGE: constant-rate load, who answered when |
//! | [`sandbox`] | EDGE: API servers, nodes, controllers and Envoys on this machine |
//! | [`drill`] | EDGE: the director's steps on a fleet; journal |
//! | [`ui`] | EDGE: terminal, progress, prompt |
//! | [`cli`] | one file per subcommand |

pub mod cli;
pub mod cluster;
pub mod compile;
pub mod drill;
pub mod envoy;
pub mod error;
pub mod judge;
pub mod manifest;
pub mod model;
pub mod pki;
pub mod plan;
pub mod probe;
pub mod report;
pub mod resource;
pub mod routing;
pub mod sandbox;
pub mod sim;
pub mod spec;
pub mod ui;
pub mod yaml;

pub use cli::main;
