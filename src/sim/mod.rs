//! The drill director
//! May not know:  scenario × observation → next step. Pure.:clients, clocks.
