//! Strategic and JSON merge patches: an object and a patch in, an object out. Pure.
