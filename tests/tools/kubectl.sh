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

key=$(cat "$here/kubectl/go.mod" "$here/kubectl/go.sum" | sha256sum | cut -c1-16)
cache="${XDG_CACHE_HOME:-$HOME/.cache}/failctl-tests/kubectl-$key"
if [ ! -x "$cache/kubectl" ]; then
  command -v go >/dev/null || {
    echo "the tests need kubectl 1.31 or later on PATH or in \$KUBECTL, or Go 1.25 or later to build one; neither was found" >&2
    exit 1
  }
  mkdir -p "$cache"
  exec 9>"$cache/lock"; flock 9
  if [ ! -x "$cache/kubectl" ]; then
    echo "building kubectl from its Go module (once)" >&2
    (cd "$here/kubectl" && go build -o "$cache/kubectl.new" k8s.io/kubernetes/cmd/kubectl) >&2
    mv "$cache/kubectl.new" "$cache/kubectl"
  fi
fi
echo "$cache/kubectl"
