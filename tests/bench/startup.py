#!/usr/bin/env python3
"""Start-up: `failctl --version` against `kubectl version --client`, in turn so that both see the same machine."""

import bench

args = bench.arguments(__doc__, runs=(int, 15, "runs of each"))
kubectl = bench.program("kubectl", "https://kubernetes.io/docs/tasks/tools/")
ours, theirs = [], []
for _ in range(args.runs + 1):
    ours.append(bench.run([args.failctl, "--version"])[0])
    theirs.append(bench.run([kubectl, "version", "--client"])[0])
# The first of each reads the program from disk.
ours, theirs = bench.median(ours[1:]), bench.median(theirs[1:])
what = f"`failctl --version` against `kubectl version --client`, {args.runs} runs in turn"
bench.row("start-up", what, f"{ours:.1f} ms against {theirs:.1f} ms (medians): {theirs / ours:.1f} times faster")
