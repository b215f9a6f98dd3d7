#!/usr/bin/env bash
# How long an apply of many objects takes on a real kube-apiserver: failctl against `kubectl apply --server-side`.
#
#   FAILCTL=target/release/failctl tests/controlplane/benchmark.sh [COUNT]
#
# Prints a line per run on stdout: who, seconds, objects. Three runs each, in turn, every time on a server without them.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
count=${1:-1000}
failctl=$(realpath "${FAILCTL:-$(command -v failctl)}")
programs=$("$here/build.sh" kube-apiserver kubectl)
command -v etcd >/dev/null || { echo "etcd is missing: install it (Debian: apt-get install etcd-server)" >&2; exit 1; }

dir=$(mktemp -d)
started=()
trap 'kill "${started[@]}" 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$dir"' EXIT
cd "$dir"
ip=127.29.0.1
etcd --data-dir etcd --unsafe-no-fsync --log-level error --listen-client-urls "http://$ip:2379" \
  --advertise-client-urls "http://$ip:2379" --listen-peer-urls "http://$ip:2380" >etcd.log 2>&1 &
started+=($!)
openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out sa.key 2>/dev/null
openssl pkey -in sa.key -pubout -out sa.pub
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -subj /CN=ca -days 2 2>/dev/null
openssl req -newkey rsa:2048 -nodes -keyout api.key -subj /CN=api 2>/dev/null |
  openssl x509 -req -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile <(echo "subjectAltName=IP:$ip") -out api.crt 2>/dev/null
token=$(openssl rand -hex 24)
echo "$token,admin,admin,\"system:masters\"" >tokens.csv
"$programs/kube-apiserver" --etcd-servers "http://$ip:2379" --bind-address "$ip" --advertise-address "$ip" --secure-port 6443 \
  --tls-cert-file api.crt --tls-private-key-file api.key --service-account-key-file sa.pub \
  --service-account-signing-key-file sa.key --service-account-issuer https://kubernetes.default.svc \
  --authorization-mode RBAC --token-auth-file tokens.csv --service-cluster-ip-range 10.96.0.0/16 \
  --disable-admission-plugins ServiceAccount --endpoint-reconciler-type none >api.log 2>&1 &
started+=($!)
cat >kubeconfig <<E1
apiVersion: v1
kind: Config
current-context: bench
clusters: [{name: bench, cluster: {server: "https://$ip:6443", certificate-authority: $dir/ca.crt}}]
users: [{name: bench, user: {token: $token}}]
contexts: [{name: bench, context: {cluster: bench, user: bench}}]
E1
export KUBECONFIG=$dir/kubeconfig HOME=$dir
kubectl=$programs/kubectl
for _ in $(seq 300); do
  if "$kubectl" get --raw /readyz >/dev/null 2>&1; then up=1; break; fi
  kill -0 "${started[1]}" 2>/dev/null || break
  sleep 0.2
done
[ -n "${up:-}" ] || { echo "kube-apiserver does not come up; the end of its log:" >&2; tail -20 api.log >&2; exit 1; }

for i in $(seq "$count"); do
  printf -- '---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: bench-%s, namespace: default, labels: {bench: "yes"}}\ndata: {a: "%s", b: some text}\n' "$i" "$i"
done >objects.yaml
cat >failctl.yaml <<'E2'
apiVersion: failctl.dev/v1alpha1
kind: Fleet
metadata: {name: bench}
spec: {clusters: [{name: bench, context: bench, gloo: {edition: open-source, version: 1.18.3}}]}
E2

timed() { # name command…
  local name=$1 begun ended
  shift
  begun=$(date +%s%N)
  "$@" >run.log 2>&1 || { echo "$name failed:" >&2; tail -5 run.log >&2; exit 1; }
  ended=$(date +%s%N)
  there=$("$kubectl" get configmaps -l bench=yes -o name | wc -l)
  [ "$there" = "$count" ] || { echo "$name left $there of $count objects" >&2; exit 1; }
  echo "$name $(((ended - begun) / 1000000)) ms, $count objects"
  "$kubectl" delete configmaps -l bench=yes >/dev/null
}
for _ in 1 2 3; do
  timed failctl "$failctl" apply -f failctl.yaml -f bench=objects.yaml --yes
  timed kubectl "$kubectl" apply --server-side -f objects.yaml
done
