//! The protobuf bodies that kubectl sends: bytes in, JSON objects out. Pure.
