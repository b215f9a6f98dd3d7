//! EDGE. Constant-rate load, who answered when.
//! May not know: clusters, commands.
