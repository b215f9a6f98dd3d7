//! EDGE. The director's steps on a fleet of clusters; the journal that puts everything back.
//! What comes in: a scenario, clients, targets. What goes out: events while it runs, and all that was measured.
//! May not know: commands, terminals, the sandbox.

pub mod act;
pub mod callers;
pub mod deed;
pub mod health;
mod hold;
pub mod journal;
pub mod lock;
pub mod resolve;
pub mod restore;
pub mod run;
mod signals;
pub mod state;
pub mod watching;

pub use run::{Drill, Event, Lane, Leftover, Outcome, run};
