//! Membership of a cluster: the accounts others use on it, and the registrations that carry their credentials.
//! What comes in: names, a credential, an API server's address. What goes out: manifests, and what a stored
//! registration says. May not know: clients, clocks, files.
//!
//! | file | what it does |
//! |---|---|
//! | [`account`] | ServiceAccount, roles and bindings on the member |
//! | [`registration`] | Gloo Federation's Secret and `KubernetesCluster`; Istio's remote secret |
//! | [`stored`] | a registration as it was read: server, account, expiry |
//! | [`identity`] | one cluster, one name: who may be registered under which |

pub mod account;
pub mod identity;
pub mod registration;
pub mod stored;

pub use account::{Account, Purpose};
pub use registration::{Credential, Endpoint, Place};
pub use stored::Stored;
