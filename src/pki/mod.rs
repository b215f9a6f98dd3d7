//! Who needs which certificate → issue → secrets. What comes in: a fleet, its failovers, keys, the time and serial
//! numbers. What goes out: certificates as PEM, manifests of Secrets, findings about certificates met elsewhere.
//! May not know: files, clusters, clocks. Keys are made in one place ([`Key::generate`]) and never shown.

mod cacerts;
mod check;
mod facts;
mod issue;
mod key;
mod mesh;
mod party;
mod root;
mod rotation;
mod secret;

pub use cacerts::{CACERTS, Cacerts};
pub use check::{Finding, SOON_DAYS, accepted, check_pair, check_side, is_good};
pub use facts::{Facts, certificates, facts};
pub use issue::{Issued, Lifetimes, Serial, issue_leaf, issue_root, issue_self_signed, keeps};
pub use key::{Algorithm, Key};
pub use mesh::{Intermediate, chained, issue_intermediate, issue_mesh_root, issue_workload};
pub use party::{Party, Role, parties};
pub use root::brought;
pub use rotation::{Seen, Step, bundle, comes_from, next, trusts};
pub use secret::{Pair, secret};

/// Why a certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The bytes are no key failctl can use.
    #[error("the private key cannot be used: {0}")]
    Key(String),
    /// The bytes are no certificate.
    #[error("the certificate cannot be read: {0}")]
    Certificate(String),
    /// Signing failed.
    #[error("the certificate cannot be issued: {0}")]
    Issue(String),
    /// The root's key belongs to another root.
    #[error("the root's private key does not belong to its certificate")]
    RootMismatch,
    /// The certificate that should sign is no authority.
    #[error("the root is no certificate authority")]
    NotAnAuthority,
    /// The path length of the authority allows no other authority below it.
    #[error("the root may sign leaves only (path length 0), and a mesh needs an authority of its own per cluster")]
    NoRoomBelow,
    /// A Secret that is no `cacerts` as Istio takes it.
    #[error("the Secret is no cacerts: {0}")]
    Cacerts(String),
}
