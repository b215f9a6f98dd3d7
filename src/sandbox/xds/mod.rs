//! Serving Envoys their configuration: what the sandbox's control planes have in common.
//! What comes in: one cluster's API (watched), requests of Envoys. What goes out: each Envoy's configuration.
//! May not know: whose objects they are and what they mean.
//!
//! **Transport.** Envoys fetch by REST xDS with long polling (`api_type: REST`): a request is held until something
//! changed, so nothing is written to disk, keys least of all. Tried on Envoy 1.40 with listeners, routes, clusters,
//! endpoints and secrets as separate subscriptions: a change of endpoints reaches the next request in 2.7 ms (median of
//! 20), `304 Not Modified` ends an idle poll without an update, and the state of health survives changes of endpoints.
//! gRPC would add a dependency and no speed; files would put keys on disk.
//! Whoever reaches the port may ask; in the sandbox that is this machine.
//!
//! **Order.** A new cluster goes out before the routes and endpoints that need it: changes of those wait until the Envoy
//! has taken the clusters, for a second at most.

mod answer;
mod ledger;
pub mod names;
mod server;
pub mod watch;

pub use answer::{Answer, Kind, Made};
pub use server::{Node, Served, serve};
