//! Value → text: tables for people, versioned json and yaml for scripts. What comes in: values of the pure rooms.
//! What goes out: text. May not know: clients, terminals.

pub mod applied;
pub mod certificates;
pub mod diff;
pub mod drill;
pub mod membership;
pub mod plan;
pub mod status;
mod status_text;
pub mod table;
pub mod traffic;

/// `apiVersion` of every machine-readable report.
pub const API_VERSION: &str = "failctl.dev/v1alpha1";
