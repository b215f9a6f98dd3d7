//! Server-side apply: who owns which field of an object. Pure; the time is an argument.
