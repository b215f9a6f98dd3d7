//! EDGE. The director's steps on a fleet of clusters; the journal.
//! May not know: commands, the sandbox.
