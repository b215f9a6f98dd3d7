//! Server-side defaulting of built-in kinds: an object as a client sent it in, as a client sees it out. Pure.
