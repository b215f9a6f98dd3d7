#!/usr/bin/env python3
"""Apply of many objects against `kubectl apply --server-side` to the same API server of a sandbox."""

import json

import bench

args = bench.arguments(__doc__, objects=(int, 1000, "ConfigMaps"), runs=(int, 2, "runs of each"))
kubectl = bench.program("kubectl", "https://kubernetes.io/docs/tasks/tools/")


def objects(prefix):
    return [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{prefix}-{i}", "namespace": "default"},
            "data": {"a": "x" * 200, "n": str(i)},
        }
        for i in range(args.objects)
    ]


ours, theirs = [], []
with bench.sandbox(args.failctl, "one") as (folder, env):
    for n in range(args.runs):
        bench.write(folder / "ours.yaml", objects(f"ours-{n}"))
        bench.write(folder / "theirs.yaml", objects(f"theirs-{n}"))
        command = [args.failctl, "apply", "-f", "failctl.yaml", "-f", "one=ours.yaml", "--yes", "-o", "json"]
        seconds, out = bench.run(command, cwd=folder, env=env)
        assert json.loads(out)["summary"]["done"] == args.objects, out[-500:]
        ours.append(seconds)
        seconds, out = bench.run([kubectl, "apply", "--server-side", "-f", "theirs.yaml"], cwd=folder, env=env)
        assert out.count(b"serverside-applied") == args.objects, out[-500:]
        theirs.append(seconds)
ours, theirs = bench.median(ours) / 1000, bench.median(theirs) / 1000
what = "`failctl apply … --yes` against `kubectl apply --server-side`, in turn"
figure = f"{ours:.2f} s against {theirs:.2f} s (medians of {args.runs}): {theirs / ours:.1f} times faster"
bench.row(f"apply of {args.objects} ConfigMaps to a sandbox API", what, figure)
