"""examples/prisma-bun: the three ways to migrate that its README names, each by the README's own commands."""

import re

import pytest

from harness import daemon, images
from harness.daemon import docker
from harness.examples import PATIENCE, assert_migrates_once
from harness.waiting import eventually
from harness.workflow import Workflow, complaints

WORKFLOW = ".github/workflows/deploy.yml"


@pytest.fixture
def example(new_example):
    return new_example("prisma-bun")


@pytest.fixture
def hosted():
    """DATABASE_URL of a Postgres that belongs to no compose project: every container can reach it."""
    images.ensure("postgres:17")
    address = daemon.BRIDGE_ADDRESS.partition("/")[0]
    server = docker("run", "--detach", "--publish", f"{address}::5432", "--env", "POSTGRES_USER=tasks", "--env", "POSTGRES_PASSWORD=secret",
                    "postgres:17").strip()
    port = docker("port", server, "5432").strip().rpartition(":")[2]
    yield f"postgres://tasks:secret@{address}:{port}/tasks"
    docker("rm", "--force", "--volumes", server)


def first_tasks(tasks):
    return [task["title"] for task in tasks] == ["buy milk", "water the plants"]


def readme(example, words):
    """The line of the README with that command."""
    return re.search(rf"^    (docker .*{words}.*)$", (example.folder / "README.md").read_text(), re.M)[1]


def done(example, command, **variables):
    ran = example.shell(command, **variables)
    assert ran.returncode == 0, f"{command}\n{ran.stdout}"
    return ran.stdout


def test_when_the_containers_start(example):
    assert_migrates_once(example, first_tasks, worker_says="done: buy milk")


def test_as_a_step_of_ci(example, hosted):
    workflow = Workflow(example.folder / WORKFLOW)
    commands = workflow.commands()
    assert commands["Migrate in a temporary container"] == readme(example, "run --rm --env-file")
    assert commands["Deploy"] == readme(example, "--no-build")

    contexts = {"github.sha": "0123abc", "secrets.DATABASE_URL": hosted, "secrets.DOCKER_HOST": daemon.environment()["DOCKER_HOST"]}
    workflow.run("build", ["Build the image"], example.shell, contexts)
    workflow.run("deploy", ["Write .env", "Migrate in a temporary container", "Deploy"], example.shell, contexts)

    assert len(example.containers("api")) == 3 and example.containers("db") == []
    for number in range(1, 4):
        assert first_tasks(example.get("api", number))
    for container in example.containers():
        said = example.log(container)
        assert "is applied" in said and "migrating to version" not in said, said


def test_the_workflow_is_one(example):
    assert complaints(example.folder / WORKFLOW) == []


def test_a_wrong_workflow_is_found(example):
    path = example.folder / WORKFLOW
    for right, wrong in (("needs: build", "need: build"), ("secrets.DATABASE_URL", "secret.DATABASE_URL"),
                         ("run: docker push", "runs: docker push")):
        text = path.read_text()
        path.write_text(text.replace(right, wrong))
        assert complaints(path) != [], wrong
        path.write_text(text)


def test_by_hand(example):
    done(example, readme(example, "--build --detach"))
    containers = example.containers()
    assert len(containers) == 4
    for container in containers:
        example.wait_said(container, "wants version")
    check = readme(example, "api check")
    eventually(lambda: example.shell(check).returncode != 125, PATIENCE, "the database answers")  # nobody can tell before
    assert example.shell(check).returncode == 1

    assert "migrating to version" in done(example, readme(example, "api migrate"))
    for number in range(1, 4):
        assert first_tasks(example.get("api", number))
    assert example.shell(check).returncode == 0
    assert example.runs() == ["1 succeeded"]
    for container in containers:
        eventually(lambda: "executing bun" in example.log(container), PATIENCE, "everybody passes")
        assert "migrating to version" not in example.log(container)
