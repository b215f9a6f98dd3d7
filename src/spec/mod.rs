//! Bytes → model. What comes in
//! May not know:  documents with their place. What goes out: fleets, failovers, foreign objects, problems.:cluster clients, files.
