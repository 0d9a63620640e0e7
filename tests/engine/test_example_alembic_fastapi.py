"""examples/alembic-fastapi: the password is in a file of root's, and nothing but lockstep runs as root."""

from harness.daemon import docker
from harness.examples import assert_migrates_once


def test_alembic_fastapi(new_example):
    example = new_example("alembic-fastapi")
    (example.folder / "secrets" / "database_url").chmod(0o600)  # as README recommends
    assert_migrates_once(example, lambda answer: [book["title"] for book in answer] == ["Walden", "Emma", "Ulysses"], worker_says="lent: ")
    for container in example.containers():
        processes = [line.split(None, 2) for line in docker("top", container, "-eo", "pid,uid,args").splitlines()[1:]]
        assert {uid for _, uid, program in processes if "lockstep" not in program} == {"10001"}, processes
