//! The OpenAPI v3 documents that kubectl asks for: kinds in, JSON documents out. Pure.
