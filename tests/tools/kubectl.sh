#!/usr/bin/env bash
# Prints the path of a kubectl of 1.31 or later: $KUBECTL, the one on PATH, or one built from its Go module into a cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

new_enough() {
  local minor
  minor=$("$1" version --client -o json 2>/dev/null | sed -n 's/.*"minor": *"\([0-9]*\).*/\1/p' | head -n 1)
  [ -n "$minor" ] && [ "$minor" -ge 31 ]
}

if [ -n "${KUBECTL:-}" ]; then
  new_enough "$KUBECTL" || { echo "\$KUBECTL ($KUBECTL) is not a kubectl of 1.31 or later" >&2; exit 1; }
  echo "$KUBECTL"; exit 0
fi
if found=$(command -v kubectl) && new_enough "$found"; then
  echo "$found"; exit 0
fi
folder=$("$here/../controlplane/build.sh" kubectl) || {
  echo "the tests need kubectl 1.31 or later on PATH or in \$KUBECTL, or a Go to build one with" >&2
  exit 1
}
echo "$folder/kubectl"
