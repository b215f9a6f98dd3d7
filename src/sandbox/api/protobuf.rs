//! The protobuf bodies that `kubectl` sends: bytes in, JSON objects out. Pure.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// Bytes as JSON has them.
pub fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}
