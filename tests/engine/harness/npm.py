"""What npm has and Debian has not."""

import pathlib
import re
import shutil
import tempfile

from harness import daemon


def need():
    """Node and npm, of whatever origin."""
    if not shutil.which("npm"):
        daemon.run(daemon.REPOSITORY / "docker" / "need.sh", "npm", why="installing npm")


def installed(*packages):
    """The folder node_modules with those packages (NAME@VERSION), fetched once."""
    folder = daemon.CACHE / re.sub(r"[^a-z0-9.]+", "-", "npm " + " ".join(packages))
    with daemon.locked(folder.name):
        if not folder.exists():
            need()
            with tempfile.TemporaryDirectory(dir=daemon.CACHE) as work:
                whole = pathlib.Path(work) / "whole"
                daemon.run("npm", "install", "--prefix", whole, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", *packages,
                           why=f"fetching {' '.join(packages)} with npm")
                whole.rename(folder)
    return folder / "node_modules"
