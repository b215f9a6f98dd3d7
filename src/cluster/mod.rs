//! EDGE. Kubeconfigs, observe, apply, port-forward.
//! May not know: targets, terminals.
