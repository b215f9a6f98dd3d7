"""What the benchmarks share: finding programs, documents of any size, running and timing, a sandbox of their own."""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def arguments(description, **more):
    """The command line: the failctl to measure, and what the benchmark adds."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--failctl", default=str(ROOT / "target/release/failctl"), help="the program to measure")
    for name, (kind, default, about) in more.items():
        if kind is bool:
            parser.add_argument(f"--{name}", action="store_true", help=about)
        else:
            parser.add_argument(f"--{name}", type=kind, default=default, help=f"{about} (default {default})")
    args = parser.parse_args()
    if not Path(args.failctl).is_file():
        sys.exit(f"{args.failctl} is not there: cargo build --release, or --failctl FILE")
    args.failctl = str(Path(args.failctl).resolve())
    return args


def program(name, install):
    """The path of a program that must be there."""
    found = shutil.which(name)
    if not found:
        sys.exit(f"{name} is not installed: {install}")
    return found


def run(command, cwd=None, env=None, codes=(0,), quiet=True):
    """Runs a command; its seconds, its largest memory in MB and its output. Anything but the codes ends the benchmark."""
    started = time.perf_counter()
    out = subprocess.PIPE if quiet else None
    with subprocess.Popen(command, cwd=cwd, env=env, stdout=out, stderr=subprocess.PIPE) as child:
        stdout, stderr = child.communicate()
    seconds = time.perf_counter() - started
    if child.returncode not in codes:
        sys.exit(f"{command}: exit code {child.returncode}\n{stderr.decode()[-2000:]}")
    return seconds, stdout


def memory(command, cwd):
    """The largest resident memory of one run, in MB, measured by a process that runs nothing else."""
    code = (
        "import resource, subprocess, sys\n"
        "subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
    )
    return int(subprocess.run([sys.executable, "-c", code, *command], cwd=cwd, capture_output=True, check=True).stdout)


def median(values):
    """The median, in milliseconds."""
    return statistics.median(values) * 1000


def fleet(clusters):
    """A fleet of that many clusters that all run Gloo, with known gateway addresses."""
    gloo = {"edition": "enterprise", "version": "1.18.3"}
    spec = [
        {"name": f"c{i}", "context": f"c{i}", "region": f"r{i}", "gloo": gloo, "gateway": {"host": f"10.0.{i // 250}.{i % 250 + 1}"}}
        for i in range(clusters)
    ]
    document = {"apiVersion": "failctl.dev/v1alpha1", "kind": "Fleet", "metadata": {"name": "big"}, "spec": {"clusters": spec}}
    return document


def failover(name, order):
    """A failover over clusters in this order."""
    return {
        "apiVersion": "failctl.dev/v1alpha1",
        "kind": "Failover",
        "metadata": {"name": name},
        "spec": {
            "service": {"namespace": "shop", "name": name, "port": 80},
            "order": [{"clusters": [{"name": f"c{i}"}]} for i in order],
            "detection": {"activeHealthCheck": {"path": "/health"}},
            "target": "glooUpstream",
        },
    }


def write(path, documents):
    """Documents as one YAML stream (JSON is YAML)."""
    Path(path).write_text("".join(f"---\n{json.dumps(d)}\n" for d in documents))


@contextmanager
def sandbox(failctl, clusters):
    """A sandbox for one benchmark; the environment of its commands and the folder they run in."""
    with tempfile.TemporaryDirectory() as folder:
        env = dict(os.environ, XDG_STATE_HOME=f"{folder}/state")
        run([failctl, "sandbox", "up", "--name", "bench", "--clusters", clusters], cwd=folder, env=env)
        try:
            path = run([failctl, "sandbox", "kubeconfig", "--name", "bench"], cwd=folder, env=env)[1].decode().strip()
            document = run([failctl, "sandbox", "fleet", "--name", "bench"], cwd=folder, env=env)[1].decode().strip()
            env["KUBECONFIG"] = path
            shutil.copy(document, f"{folder}/failctl.yaml")
            yield Path(folder), env
        finally:
            run([failctl, "sandbox", "down", "--name", "bench"], cwd=folder, env=env)


def row(what, how, figure):
    """One line for the table in docs/benchmarks.md."""
    print(f"| {what} | {how} | {figure} |")
