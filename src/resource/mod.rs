//! The Kubernetes resources failctl writes and reads, as typed structs.
//! May not know: clusters, compilers.
