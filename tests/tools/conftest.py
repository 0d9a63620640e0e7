"""Fixtures of the suite of tools: lockstep with real migration tools on a real PostgreSQL. Run from the checkout, as root:

    /usr/bin/python3 -m pytest -n 2 tests/tools

LOCKSTEP_BIN names the binary under test (build/lockstep), LOCKSTEP_TOOL_ROUNDS the rounds of five replicas on an empty database.
What npm and Debian provide is installed by the first run (kit/install.py); nothing is skipped."""

import importlib.util
import pathlib
import secrets
import sys

import pytest

HERE = pathlib.Path(__file__).parent
E2E = HERE.parent / "e2e"
sys.path[:0] = [str(HERE), str(E2E)]

# The servers, the binary and the folder of a run are those of the end-to-end suite.
spec = importlib.util.spec_from_file_location("e2e_fixtures", E2E / "conftest.py")
e2e = importlib.util.module_from_spec(spec)
spec.loader.exec_module(e2e)
pytest_unconfigure = e2e.pytest_unconfigure
root, lockstep, cluster, database = e2e.root, e2e.lockstep, e2e.cluster, e2e.database

from kit import install
from kit.project import Project
from tools import TOOLS


def pytest_configure(config):
    e2e.pytest_configure(config)
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        install.debian()


def pytest_generate_tests(metafunc):
    """A test that takes `tool` is about every tool, or about those that its mark `tools(condition)` names."""
    if "tool" in metafunc.fixturenames:
        chosen = [tool for tool in TOOLS.values()
                  if all(mark.args[0](tool) for mark in metafunc.definition.iter_markers("tools"))]
        metafunc.parametrize("tool", chosen, ids=[tool.name for tool in chosen])


@pytest.fixture
def project(tool, root, cluster):
    """project(query=""): a scratch copy of the tool's project, on a database of its own."""
    def create(query=""):
        return Project(tool, root / f"project-{secrets.token_hex(5)}", cluster.database(), query)
    return create
