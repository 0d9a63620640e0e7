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

from harness.replica import Replica
from kit import install
from kit.project import Project
from tools import TOOLS


APP = "the app runs"


def pytest_configure(config):
    e2e.pytest_configure(config)
    config.addinivalue_line("markers", "tools(condition): only about the tools for which it is true")
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


@pytest.fixture
def start(request, lockstep):
    """start(project, *options): a replica of the project's image that becomes APP. It says to lockstep what a user would say."""
    replicas = request.node.replicas = []

    def one(project, *options, inside=(), label=None):
        env = {**project.env, "LOCKSTEP_TOOL": project.tool.name, "LOCKSTEP_LOG_FORMAT": "json", "LOCKSTEP_LOG_LEVEL": "debug",
               **project.lockstep_env}
        replica = Replica([str(lockstep), *options, "--", "/bin/sh", "-c", f"echo {APP}"], env, label or f"replica {len(replicas) + 1}",
                          [*inside, "env", "-C", str(project.folder)])
        replicas.append(replica)
        return replica
    yield one
    for replica in replicas:
        replica.kill()
        assert not replica.noise, f"not a JSON object a line:\n{replica.story()}"


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test's report has what the replicas had said."""
    report = (yield).get_result()
    if report.failed:
        for replica in getattr(item, "replicas", []):
            report.sections.append((replica.label, replica.story()))
