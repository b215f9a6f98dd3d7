#!/usr/bin/env bash
# Compile time from scratch and binary size, with nothing cached but the downloaded sources.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo fetch --quiet
target=$(mktemp -d)
trap 'rm -rf "$target"' EXIT
start=$(date +%s)
CARGO_TARGET_DIR="$target" cargo build --quiet --release --locked
seconds=$(($(date +%s) - start))
bytes=$(stat -c %s "$target/release/failctl")
echo "| compile time and size | \`cargo build --release\`, nothing built before, $(nproc) cores | $seconds s; $((bytes / 1000000)) MB |"
