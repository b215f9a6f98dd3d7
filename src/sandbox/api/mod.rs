//! EDGE. A Kubernetes API server for one cluster of the sandbox.
//! May not know: nodes, controllers, Envoys: they are its clients.

pub mod defaults;
pub mod openapi;
pub mod printing;
pub mod protobuf;
pub mod schema;
pub mod ssa;
pub mod strategic;
