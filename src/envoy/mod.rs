//! Envoy: its failover semantics as pure functions, its configuration as values, its admin answers as types.
//! What comes in: [`routing`](crate::routing) values, numbers, bytes. What goes out: numbers and JSON.
//! May not know: who runs Envoy, clocks, clients.
//!
//! The semantics were measured on Envoy 1.40; each function names its rule.

pub mod admin;
pub mod config;
pub mod detection;
pub mod load;
pub mod merge;
pub mod retry;
