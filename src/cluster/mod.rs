//! EDGE. Clusters over the Kubernetes API: who they are, what they hold, the one function that writes to them, ways
//! in to a pod. What comes in: a fleet and a kubeconfig. What goes out: worlds and outcomes as values; a cluster that
//! cannot be reached is a value too. May not know: documents, targets, terminals.

pub mod address;
mod apply;
mod clients;
mod credential;
mod exec;
mod forward;
mod kinds;
mod observe;
mod version;
mod wait;
mod write;

pub use apply::{Event, Held, Report, Written, apply, stop_on_ctrl_c};
pub use clients::{Clients, Trouble, merged, trouble_of};
pub use credential::{Asked, Verified, allowed, identity, mint, verify};
pub use exec::{Ran, exec};
pub use forward::{Forward, PodAddress, http, listen, logs, open, pod_behind, pods_with};
pub use kinds::{Kind, KindOf, url_of};
pub use observe::{Want, observe};
pub use version::version;
pub use wait::{Waited, until};
pub use write::{DryRun, FieldConflict, Outcome, WriteOptions, WriteResult, moved_on_pauses, write};
