//! SPDY/3.1, the server's side, as far as Kubernetes clients use it for exec, attach and port-forward.
//!
//! In: a connection after its upgrade. Out: streams with headers, readable and writable. May not know: pods, Kubernetes.
//!
//! The clients that exist (kubectl, kube-apiserver: both of one library) grant no flow-control windows and ignore ours, so
//! windows do not limit what is sent; what is consumed is granted back all the same. Back-pressure is TCP's.

mod dictionary;
mod frame;
mod headers;
mod session;

pub use session::{Session, Stream};
