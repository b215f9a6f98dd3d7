//! Gloo Federation: FailoverSchemes on the management cluster become `spec.failover` of Upstreams on registered clusters.
//!
//! Stands for the `gloo-fed` Deployment. Like it, it knows a cluster by its registration (a Secret of type
//! `solo.io/kubeconfig` in Federation's namespace, named after the cluster) and by nothing else, and reaches it only
//! through the kubeconfig inside.
//!
//! | file | what it does |
//! |---|---|
//! | [`instance`] | a cluster's objects → its GlooInstance: locality, external addresses |
//! | [`block`] | a scheme and the instances → the failover block |
//! | [`decide`] | everything observed → writes: blocks, finalizers, statuses, GlooInstances |
//! | [`run`] | the loop: registrations, watches, writes |

pub mod block;
pub mod decide;
pub mod instance;
pub mod run;

pub use block::{Refusal, State, failover_block};
pub use instance::Instance;
