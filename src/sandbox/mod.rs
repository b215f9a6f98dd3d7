//! EDGE. API servers, nodes, controllers and Envoys on this machine.
//! May not know: commands.

pub mod address;
pub mod api;
pub mod child;
pub mod controllers;
pub mod crds;
pub mod envoy_binary;
pub mod gloo_control;
pub mod node;
