#!/usr/bin/env python3
"""Certificates for a whole fleet against openssl doing the same: a root, and a server and a client leaf per cluster."""

import tempfile
from pathlib import Path

import bench

args = bench.arguments(__doc__, clusters=(int, 100, "clusters"), runs=(int, 3, "runs of each"))
openssl = bench.program("openssl", "apt-get install openssl")


def failctl():
    with tempfile.TemporaryDirectory() as folder:
        # Each cluster is the primary of one failover and the backup of another, so each needs both leaves.
        pairs = [bench.failover(f"s{i}", [i, (i + 1) % args.clusters]) for i in range(args.clusters)]
        bench.write(f"{folder}/failctl.yaml", [bench.fleet(args.clusters)] + pairs)
        seconds, _ = bench.run([args.failctl, "certs", "generate"], cwd=folder)
        made = len(list(Path(folder).rglob("*.key"))) + len(list(Path(folder).rglob("*key*.pem")))
        assert made >= 2 * args.clusters, f"only {made} keys"
        return seconds


def with_openssl():
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    with tempfile.TemporaryDirectory() as folder:
        command = [openssl, "req", "-x509", *key, "-days", "3650", "-subj", "/CN=root", "-keyout", "ca.key", "-out", "ca.crt"]
        total = bench.run(command, cwd=folder)[0]
        for i in range(args.clusters):
            for role in ("server", "client"):
                name = f"c{i}.{role}"
                usage = f"extendedKeyUsage={role}Auth"
                command = [openssl, "req", "-x509", *key, "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "365"]
                command += ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}.internal", "-addext", usage]
                command += ["-addext", "basicConstraints=critical,CA:FALSE"]
                total += bench.run([*command, "-keyout", f"{name}.key", "-out", f"{name}.crt"], cwd=folder)[0]
        return total


ours, theirs = [], []
for _ in range(args.runs):
    ours.append(failctl())
    theirs.append(with_openssl())
ours, theirs = bench.median(ours), bench.median(theirs)
what = f"`failctl certs generate` against `openssl req -x509 -CA …`, P-256, once per leaf ({2 * args.clusters} leaves and a root)"
figure = f"{ours:.0f} ms against {theirs:.0f} ms (medians of {args.runs}): {theirs / ours:.1f} times faster"
bench.row(f"certificates for {args.clusters} clusters", what, figure)
