"""Fixtures of the engine suite: lockstep in real containers. Run from the checkout, as root, after `make`:

    /usr/bin/python3 -m pytest -n 2 tests/engine

The first test starts a private Docker daemon (engine.py) and makes the images that it needs. Nothing is skipped: what is
missing is an error."""

import contextlib
import os
import pathlib
import secrets
import shutil
import tempfile

import pytest

from harness import daemon, examples, images, project as projects

PREFIX = "lsengine"


def pytest_configure(config):
    """The daemon runs before any worker starts, and what an earlier run could not clean up is gone."""
    if not hasattr(config, "workerinput") and not config.option.collectonly:
        try:
            prepare()
        except daemon.EngineError as error:
            pytest.exit(f"lockstep engine: error: {error}", returncode=1)
    os.environ.update(daemon.environment())


def prepare():
    daemon.start()
    images.ensure_lockstep()
    for name in projects.projects_left_over(PREFIX):
        if not pathlib.Path(f"/proc/{name.split('-')[1]}").exists():
            projects.remove_project(name)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Tells fixtures whether the test passed, and a failed test's report what the containers had said."""
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        for project in getattr(item, "projects", []):
            with contextlib.suppress(daemon.EngineError):
                report.sections.append((f"project {project.name}", project.story()))


@pytest.fixture
def directory():
    """An empty folder; containers may have left files of root in it."""
    directory = pathlib.Path(tempfile.mkdtemp(prefix=f"{PREFIX}-"))
    directory.chmod(0o755)
    yield directory
    shutil.rmtree(directory)


def new_name():
    """Of a project or a container: whose it is can be told from it."""
    return f"{PREFIX}-{os.getpid()}-{secrets.token_hex(3)}"


@pytest.fixture
def new_project(request, directory):
    """new_project(place="postgres"): a compose project. After a test that passed, the promises are checked."""
    made = request.node.projects = []

    def create(place="postgres"):
        if projects.PLACES[place]["service"]:
            images.ensure(projects.PLACES[place]["service"]["image"])
        name = new_name()
        folder = directory / name
        folder.mkdir(mode=0o755)
        made.append(projects.Project(folder, name, place))
        return made[-1]
    yield create
    try:
        if getattr(request.node, "report_call", None) and request.node.report_call.passed:
            for project in made:
                project.assert_promises_kept()
    finally:
        for project in made:
            project.close()


@pytest.fixture
def project(new_project):
    """Replicas that meet in a PostgreSQL of their own."""
    return new_project()


@pytest.fixture
def new_example(request, directory):
    """new_example("django"): that folder of examples/, copied, as a compose project."""
    made = request.node.projects = []

    def create(name):
        made.append(examples.Example(name, directory, new_name()))
        return made[-1]
    yield create
    for example in made:
        example.close()
