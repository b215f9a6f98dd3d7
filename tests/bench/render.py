#!/usr/bin/env python3
"""Render of many failovers on many clusters: seconds, memory and bytes."""

import tempfile

import bench

args = bench.arguments(
    __doc__,
    clusters=(int, 100, "clusters"),
    failovers=(int, 1000, "failovers"),
    order=(int, 3, "clusters in each failover's order"),
    runs=(int, 3, "runs"),
)
with tempfile.TemporaryDirectory() as folder:
    order = lambda i: [(i + j) % args.clusters for j in range(args.order)]
    documents = [bench.fleet(args.clusters)] + [bench.failover(f"s{i}", order(i)) for i in range(args.failovers)]
    bench.write(f"{folder}/big.yaml", documents)
    command = [args.failctl, "render", "-f", "big.yaml"]
    times, text = [], b""
    for _ in range(args.runs):
        seconds, text = bench.run(command, cwd=folder)
        times.append(seconds)
    mb = bench.memory(command, folder)
what = f"render, {args.clusters} clusters × {args.failovers} failovers of {args.order} clusters each"
figure = f"{bench.median(times) / 1000:.2f} s, {mb} MB, {len(text) / 1e6:.1f} MB of YAML (median of {args.runs})"
bench.row(what, "`failctl render -f big.yaml`", figure)
