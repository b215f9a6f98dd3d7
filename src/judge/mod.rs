//! Rules with stable codes
//! May not know:  health, verdicts.:clients, terminals.
