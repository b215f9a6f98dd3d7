//! The drill director: scenario × observation → next step, and records of requests → what happened.
//! What comes in: a scenario, observations, records with times as offsets from the start of the load.
//! What goes out: steps, measurements, per-second counts. Pure.
//! May not know: clients, clocks, terminals.

pub mod analysis;
pub mod director;
pub mod document;
pub mod fault;
pub mod processors;
pub mod record;
pub mod scenario;
pub mod timeline;

pub use analysis::{Marks, Measured, Run};
pub use director::{Director, Ending, Observation, Step};
pub use fault::Fault;
pub use record::{Class, Micros, Outcome, Record, Samples};
pub use scenario::{Expected, Scenario};
