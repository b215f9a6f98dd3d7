//! EDGE. Constant-rate open-loop HTTP load: who answered when, and what failed why.
//! What comes in: targets and a rate. What goes out: a stream of events, one per request.
//! May not know: clusters, commands.

pub mod capacity;
pub mod classify;
pub mod load;
pub mod machine;
pub mod pool;
pub mod request;
pub mod target;

pub use load::{Event, Running, start};
pub use target::Target;
