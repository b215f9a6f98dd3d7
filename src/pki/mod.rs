//! Who needs which certificate → issue → secrets as manifests. Time and randomness come in as arguments.
//! May not know: clusters, files.
