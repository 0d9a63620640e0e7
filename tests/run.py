"""Runs everything: unit tests, the simulation, the end-to-end suite against both builds, and the suite in real containers.

The last line is "N passed, N failed, N skipped" over all of it. What cannot run counts as failed, and in CI so does what
was skipped."""
import os
import re
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
SEEDS = os.environ.get("SEEDS", "20000")
PYTEST = ["/usr/bin/python3", "-m", "pytest", "-q", "-p", "no:cacheprovider"]
E2E = [*PYTEST, "-n", "10", "tests/e2e"]
TOOLS = [*PYTEST, "-n", "5", "tests/tools"]
ENGINE = [*PYTEST, "-n", "2", "--durations=10", "tests/engine"]

SUITES = [
    ("lint", ["make", "--no-print-directory", "lint"], {}),
    ("unit", ["build/unit"], {}),
    ("simulation", ["build/sim", SEEDS, "1"], {}),
    ("simulation of itself", ["build/sim", "--self-test"], {}),
    ("end to end, release", E2E, {"LOCKSTEP_BIN": "build/lockstep"}),
    ("end to end, sanitizers", E2E, {"LOCKSTEP_BIN": "build/debug/lockstep"}),
    ("real migration tools", TOOLS, {"LOCKSTEP_BIN": "build/lockstep"}),
    ("in containers", ENGINE, {}),
]


def counts(output):
    """The last line of `output` that closes a test run: how many passed, failed (with errors), were skipped."""
    for line in reversed(output.splitlines()):
        found = dict((word, int(n)) for n, word in re.findall(r"(\d+) (passed|failed|errors?|skipped)\b", line))
        if found:
            failed = found.get("failed", 0) + found.get("error", 0) + found.get("errors", 0)
            return found.get("passed", 0), failed, found.get("skipped", 0)
    return 0, 1, 0


def run(name, command, variables):
    print(f"== {name}: {' '.join(command)}", flush=True)
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=ROOT, env={**os.environ, **variables}, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace")
    lines = []
    for line in child.stdout:
        lines.append(line)
        sys.stdout.write(line)
        sys.stdout.flush()
    status = child.wait()
    passed, failed, skipped = counts("".join(lines)) if name != "lint" else (1, 0, 0)
    if status != 0 and failed == 0:
        passed, failed = passed - (name == "lint"), 1
    print(f"== {name}: {passed} passed, {failed} failed, {skipped} skipped in {time.monotonic() - began:.0f} s\n", flush=True)
    return passed, failed, skipped


def main():
    results = [run(*suite) for suite in SUITES]
    if os.environ.get("CI"):  # elsewhere the engine stays up for the next run
        subprocess.run(["tests/engine/engine.py", "stop"], cwd=ROOT, check=False)
    passed, failed, skipped = (sum(column) for column in zip(*results))
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or (skipped and os.environ.get("CI")) else 0


if __name__ == "__main__":
    sys.exit(main())
