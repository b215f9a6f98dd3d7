//! The tables of `kubectl get`: objects in, `Table` rows out. Pure; the time is an argument.
