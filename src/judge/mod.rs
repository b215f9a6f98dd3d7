//! Rules with stable codes: health of a fleet, verdicts of drills.
//! What comes in: values observed or measured. What goes out: findings and verdicts.
//! May not know: clients, terminals, clocks.

pub mod crossing;
pub mod drill;
pub mod service;
pub mod since;
pub mod transparent;
