#!/usr/bin/env python3
"""The load generator against wrk on the same target: a real Envoy in a sandbox's Pod.

wrk asks as fast as answers come (closed loop) and so finds out what the target can do. failctl starts requests at a
constant rate whatever comes back (open loop), as a drill does: the figure is the highest rate it held of the steps tried,
with less than one start in a thousand missed, and its latency from the intended start.
"""

import json
import re

import bench

args = bench.arguments(
    __doc__,
    seconds=(int, 10, "seconds per step"),
    connections=(int, 64, "connections of wrk"),
)
wrk = bench.program("wrk", "apt-get install wrk")
SAMPLE = bench.ROOT / "templates/sample/blue.yaml"
# What is broken in the drills below: nobody asks it.
BYSTANDER = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "bystander", "namespace": "default"},
    "spec": {
        "selector": {"matchLabels": {"app": "bystander"}},
        "template": {
            "metadata": {"labels": {"app": "bystander"}},
            "spec": {"containers": [{"name": "echo", "image": "hashicorp/http-echo", "args": ["-text=nobody"]}]},
        },
    },
}


def held(folder, env, url, rate):
    """One step: whether the rate was held, and what was measured."""
    command = [args.failctl, "simulate", "-f", "failctl.yaml", "--fault", "scale-to-zero", "--cluster", "one"]
    command += ["--deployment", "default/bystander", "--url", url, "--rate", str(rate), "--warmup", "1s"]
    command += ["--heal-after", f"{args.seconds}s", "--duration", f"{args.seconds + 3}s", "-o", "json"]
    # Exit code 8: no failover is seen, as nothing that is asked was broken.
    run = json.loads(bench.run(command, cwd=folder, env=env, codes=(0, 1, 8))[1])["runs"][0]
    starts = run["requests"] + run["missed"]
    good = run["failed"] == 0 and run["missed"] * 1000 < starts and run["ending"] == "completed"
    return good, run


with bench.sandbox(args.failctl, "one") as (folder, env):
    bench.write(folder / "bystander.yaml", [BYSTANDER])
    command = [args.failctl, "apply", "-f", "failctl.yaml", "-f", f"one={SAMPLE}", "-f", "one=bystander.yaml", "--yes"]
    bench.run(command, cwd=folder, env=env)
    kubectl = bench.program("kubectl", "https://kubernetes.io/docs/tasks/tools/")
    wait = [kubectl, "rollout", "status", "deployment/echo-blue", "--timeout=60s"]
    bench.run(wait, cwd=folder, env=env)
    pods = [kubectl, "get", "pods", "-l", "text=blue", "-o", "jsonpath={.items[0].status.podIP}"]
    url = f"http://{bench.run(pods, cwd=folder, env=env)[1].decode()}:10000/"
    command = [wrk, "-t1", f"-c{args.connections}", f"-d{args.seconds}s", "--latency", url]
    text = bench.run(command)[1].decode()
    most = float(re.search(r"Requests/sec:\s+([\d.]+)", text).group(1))
    p99 = re.search(r"99%\s+(\S+)", text).group(1)
    best = None
    for share in (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        rate = int(most * share / 100) * 100
        good, seen = held(folder, env, url, rate)
        if not good:
            break
        best = (rate, seen["latency_us"])
if best is None:
    figure = f"no step was held; wrk {most:.0f}/s"
else:
    rate, latency = best
    ours = f"{rate}/s held, p50 {latency['p50'] / 1000:.1f} ms, p99 {latency['p99'] / 1000:.1f} ms"
    figure = f"{ours}; wrk {most:.0f}/s, p99 {p99}: {rate * 100 / most:.0f} % of it"
how = f"open loop at a constant rate against `wrk -t1 -c{args.connections}` (closed loop), same machine, same Envoy"
bench.row("load generator", how, figure)
