//! Envoy's semantics as pure functions, and routing → Envoy configuration.
//! May not know: objects, clients.
