//! Objects → effective routing. What comes in: a [`World`](crate::manifest::World), rendered or live.
//! What goes out: [`Proxy`] values, what each proxy would do with a request, and findings where objects are wrong.
//! May not know: our own failover documents, Envoy's configuration, clients.
//!
//! The compiler says what was meant; a proxy does what the objects say. Everything that judges or imitates
//! traffic reads the objects through this room, so deleting one object by hand changes what all of it says.
//! The model names no vendor; one folder per vendor reads its objects into it.

mod access;
pub mod effective;
pub mod gloo;
pub mod istio;
mod outside;
mod proxy;
mod read;
mod route;
mod slices;
mod tls;
mod upstream;

pub use access::{Access, Grant, Need, Part, Text};
pub use proxy::{Bind, Finding, HttpChain, Listener, ListenerKind, Proxy, Side, TcpChain, TcpDestination};
pub use route::{Action, BackOff, HeaderMatch, Matcher, PathMatch, Retry, Route, VirtualHost};
pub use tls::{ClientTls, Identity, Pem, Root, SecretRef, ServerTls, TlsVersions};
pub use upstream::{
    Balancer, Breakers, Check, CheckOverride, Endpoint, HealthCheck, Level, Locality, Origin, Outlier, Shape, Upstream,
};
