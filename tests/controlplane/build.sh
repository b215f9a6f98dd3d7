#!/usr/bin/env bash
# Builds the programs of real control planes from their Go modules, once, and prints the folder they are in.
#
#   build.sh [WHAT…]      everything without arguments
#
# WHAT is a program, or `istio`: a link to Istio's sources in the Go module cache (CRDs and the proxies' bootstrap template are
# read there). The folder is named by the pins, so a changed pin is another folder: $FAILCTL_CONTROLPLANE/PINS, else in the
# XDG cache. Builds use every core; GOFLAGS=-p=1 and GOMAXPROCS=1 make them modest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)

kubernetes=(kube-apiserver kube-controller-manager kube-scheduler kubectl)
istio=(pilot-discovery pilot-agent istioctl xds-client istio)

package() {
  case $1 in
    kube*) echo "k8s.io/kubernetes/cmd/$1" ;;
    pilot-*) echo "istio.io/istio/pilot/cmd/$1" ;;
    xds-client) echo ./xds-client ;;
    istioctl) echo "istio.io/istio/istioctl/cmd/istioctl" ;;
  esac
}

wanted=("$@")
[ $# -gt 0 ] || wanted=("${kubernetes[@]}" "${istio[@]}")
for one in "${wanted[@]}"; do
  [[ " ${kubernetes[*]} ${istio[*]} " == *" $one "* ]] || {
    echo "build.sh knows no $one; it knows ${kubernetes[*]} ${istio[*]}" >&2; exit 2
  }
done

pins=$(cat "$here"/{kubernetes,istio}/go.{mod,sum} | sha256sum | cut -c1-16)
folder=${FAILCTL_CONTROLPLANE:-${XDG_CACHE_HOME:-$HOME/.cache}/failctl-tests/controlplane}/$pins

# Those of the given names that are wanted and not there. A link whose module left the cache is not there, nor is a program
# of ours that is older than its source.
missing() {
  local one
  for one in "$@"; do
    [[ " ${wanted[*]} " == *" $one "* ]] || continue
    case $one in
      istio) [ -d "$folder/istio/manifests" ] ;;
      xds-client) [ "$folder/$one" -nt "$here/istio/$one/main.go" ] ;;
      *) [ -x "$folder/$one" ] ;;
    esac || echo "$one"
  done
}

# Counts the packages that `go build -v` names, and passes on everything else that it says.
progress() {
  awk -v what="$1" '/^[A-Za-z0-9.\/_-]+$/ { if (++n % 250 == 0) { print "  " what ": " n " packages compiled"; fflush() } next }
    { print; fflush() }' >&2
}

build() { # module program…
  local module=$1 one version minor flags=-s started=$SECONDS packages=()
  shift
  if [ "$module" = kubernetes ]; then # clients ask for the version, which only the project's own build would set
    version=$(cd "$here/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
    minor=${version#v1.}
    flags+=" -X k8s.io/component-base/version.gitVersion=$version -X k8s.io/component-base/version.gitMajor=1"
    flags+=" -X k8s.io/component-base/version.gitMinor=${minor%%.*}"
  fi
  for one in "$@"; do packages+=("$(package "$one")"); done
  echo "building $* from Go modules (once; many minutes when nothing is cached)" >&2
  rm -rf "$folder/new-$module"; mkdir -p "$folder/new-$module"
  (cd "$here/$module" && go build -v -ldflags="$flags" -o "$folder/new-$module/" "${packages[@]}" 2> >(progress "$module")) || {
    echo "building $* failed, see above; what is not in the module cache must come from $(go env GOPROXY)" >&2
    return 1
  }
  mv "$folder/new-$module"/* "$folder/"; rmdir "$folder/new-$module"
  echo "built $* in $((SECONDS - started)) s" >&2
}

complete() { # module name…: makes what is missing of it, one process at a time
  local module=$1 names programs=()
  shift
  [ -n "$(missing "$@")" ] || return 0
  command -v go >/dev/null || { echo "Go 1.26 or later is missing: it builds ${wanted[*]}" >&2; return 1; }
  mkdir -p "$folder"
  exec 9>"$folder/lock-$module"; flock 9
  mapfile -t names < <(missing "$@")
  for one in "${names[@]}"; do
    if [ "$one" = istio ]; then
      (cd "$here/istio" && go mod download istio.io/istio) >&2
      ln -sfn "$(cd "$here/istio" && go list -m -f '{{.Dir}}' istio.io/istio)" "$folder/istio"
    else
      programs+=("$one")
    fi
  done
  [ ${#programs[@]} -eq 0 ] || build "$module" "${programs[@]}" || return 1
  exec 9>&-
}

complete kubernetes "${kubernetes[@]}"
complete istio "${istio[@]}"
echo "$folder"
