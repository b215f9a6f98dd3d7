//! EDGE. API servers, nodes, controllers and Envoys on this machine.
//! May not know: commands.

pub mod api;
pub mod child;
pub mod envoy_binary;
