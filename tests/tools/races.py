#!/usr/bin/python3
"""Five replicas at once on an empty database, again and again, with each real tool: by itself, and behind lockstep.

    tests/tools/races.py [--rounds 20] [--lockstep build/lockstep] [--limit SECONDS] [TOOL...]

Prints the table of README: how many of the replicas failed, and in how many rounds the database was not as one run alone would
have left it (a migration applied twice, or an index missing or invalid), and how long a start takes when nothing is pending.
Without --lockstep only the tools by themselves."""

import argparse
import atexit
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]

from harness.postgres import Cluster
from kit import install
from kit.project import Project
from tools import TOOLS

TIMEOUT = 120  # a replica that has not ended by then has failed


def replicas(project, count, lockstep):
    """Starts them as closely together as one process can; answers with how many failed, and what the first one of them said."""
    if lockstep:
        env = {**project.env, "LOCKSTEP_TOOL": project.tool.name, **project.lockstep_env}
        start = [subprocess.Popen([lockstep, "--", "/bin/true"], cwd=project.folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, start_new_session=True) for _ in range(count)]
    else:
        start = [project.start(project.tool.command) for _ in range(count)]
    deadline, failed = time.monotonic() + TIMEOUT, []
    for process in start:
        try:
            output, _ = process.communicate(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
        if process.returncode != 0:
            failed.append(output.decode(errors="replace"))
    return failed


def wrong_because(project):
    """What is not as one run alone would have left it, or None."""
    try:
        project.assert_applied_once()
    except AssertionError as error:
        return str(error).splitlines()[0]


def race(tool, folder, cluster, options, lockstep):
    """(replicas that failed, replicas, rounds that left a wrong database, rounds)"""
    project, began = Project(tool, folder, cluster.database()), time.monotonic()
    failed = wrong = rounds = 0
    words = {}
    while rounds < options.rounds and time.monotonic() - began < options.limit:
        project.use(cluster.database())
        bad = replicas(project, options.replicas, lockstep)
        for output in bad:
            line = next((line.strip() for line in output.splitlines() if "rror" in line or "already" in line or "xception" in line), output.strip()[-100:])
            words[line[:140]] = words.get(line[:140], 0) + 1
        rounds, failed = rounds + 1, failed + len(bad)
        if reason := wrong_because(project):
            wrong += 1
            print(f"  {tool.name}, round {rounds}: {len(bad)} failed; {reason}", file=sys.stderr)
    for line, times in sorted(words.items(), key=lambda item: -item[1])[:4]:
        print(f"  {tool.name}{' with lockstep' if lockstep else ''}: {times} × {line}", file=sys.stderr)
    return failed, rounds * options.replicas, wrong, rounds


def starts(tool, folder, cluster, lockstep, times=5):
    """How long it takes when nothing is pending: the tool's command, and lockstep until it has become the app. Medians."""
    project = Project(tool, folder, cluster.database())
    if project.run().status != 0:
        return ["", "", ""]
    spent = []
    for how in (None, lockstep):
        replicas(project, 1, how)  # the first may have things to make
        took = []
        for _ in range(times):
            began = time.monotonic()
            if replicas(project, 1, how):
                return ["", "", ""]
            took.append(time.monotonic() - began)
        spent.append(statistics.median(took))
    return [f"{spent[0]:.2f} s", f"{1000 * spent[1]:.1f} ms", f"{spent[0] / spent[1]:.0f}"]


def cell(result):
    failed, replicas, wrong, rounds = result
    return f"{failed} of {replicas}" + (f", {wrong} of {rounds} databases wrong" if wrong else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("tools", nargs="*", metavar="TOOL", help=", ".join(TOOLS))
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--replicas", type=int, default=5)
    parser.add_argument("--limit", type=float, default=600, help="no new round of a tool after this many seconds")
    parser.add_argument("--lockstep", type=pathlib.Path, help="the binary; without it only the tools by themselves")
    parser.add_argument("--only-with", action="store_true", help="not the tools by themselves")
    options = parser.parse_args()
    install.debian()
    root = pathlib.Path(tempfile.mkdtemp(prefix="races-"))
    root.chmod(0o755)
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    cluster = Cluster.create(root, log_statement="none")
    atexit.register(lambda: cluster.stop("immediate"))
    cluster.start()
    print("| tool | failed without lockstep | with | the tool's own no-op | a start with lockstep | times faster |\n|---|---|---|---|---|---|", flush=True)
    for name in options.tools or TOOLS:
        tool, cells = TOOLS[name], []
        cells.append("" if options.only_with else cell(race(tool, root / f"{name}-without", cluster, options, None)))
        cells.append(cell(race(tool, root / f"{name}-with", cluster, options, options.lockstep.resolve())) if options.lockstep else "")
        cells += starts(tool, root / f"{name}-starts", cluster, options.lockstep.resolve()) if options.lockstep else [""] * 3
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
