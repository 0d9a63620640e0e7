"""What npm has and Debian has not: one folder node_modules a tool, in a cache outside the tree that every run shares.

The processor's own builds (Node itself among them) come from npm as well, so that a machine's Node, or none, is no matter."""

import contextlib
import fcntl
import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import tempfile

REPOSITORY = pathlib.Path(__file__).parents[3]
CACHE = pathlib.Path(os.environ.get("LOCKSTEP_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "lockstep").absolute() / "tools"
CPU = {"x86_64": "x64", "aarch64": "arm64"}[platform.machine()]
NODE = f"node-linux-{CPU}@22.23.5"


@contextlib.contextmanager
def locked(name):
    """Callers side by side take turns."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def run(command, why):
    done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    if done.returncode != 0:
        raise RuntimeError(f"{why}: {done.stdout[-2000:]}")


def debian():
    """Everything of packages.txt; nothing is asked of the network when it is there."""
    run([REPOSITORY / "docker" / "need.sh", *(pathlib.Path(__file__).parents[1] / "packages.txt").read_text().split()],
        "installing the tools that Debian has")


def npm(name, packages):
    """The folder node_modules with those packages (NAME@VERSION; {cpu} in a name is npm's word for this processor)."""
    packages = [package.format(cpu=CPU) for package in packages]
    key = hashlib.sha256("\n".join(packages).encode()).hexdigest()[:12]
    folder = CACHE / f"{re.sub(r'[^a-z0-9]+', '-', name)}-{key}"
    with locked(folder.name):
        if not folder.exists():
            if not shutil.which("npm"):
                run([REPOSITORY / "docker" / "need.sh", "npm"], "installing npm")
            with tempfile.TemporaryDirectory(dir=CACHE) as work:
                whole = pathlib.Path(work) / "whole"
                whole.mkdir(mode=0o755)
                (whole / "package.json").write_text("{}\n")
                run(["npm", "install", "--prefix", whole, "--save-exact", "--ignore-scripts", "--no-audit", "--no-fund",
                     *packages], f"fetching {' '.join(packages)} with npm")
                whole.rename(folder)
    return folder / "node_modules"


def node():
    """The program node."""
    package = NODE.rpartition("@")[0]
    return npm("node", [NODE]) / package / "bin" / "node"
