//! Model → manifests, one folder per target. What comes in: a fleet, failovers, certificates, addresses.
//! What goes out: manifests, or problems: a target that cannot express an intent says so, never approximates.
//! May not know: clusters, files, clocks.

pub mod gloo;
