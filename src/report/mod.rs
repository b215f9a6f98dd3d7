//! Value → text
//! May not know:  tables, json, yaml.:clients, terminals.
