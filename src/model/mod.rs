//! Nouns. What comes in: parts already parsed. What goes out: values that are valid by construction.
//! May not know: files, YAML, Kubernetes, clocks.

pub mod code;
pub mod duration;
pub mod failover;
pub mod fleet;
pub mod identity;
pub mod mesh;
pub mod name;
pub mod problem;
pub mod smh;
