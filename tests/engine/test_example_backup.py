"""examples/backup: a dump before each migration, a warm-up after it, and what happens when one of them fails."""

import re
import subprocess

import pytest

from harness import daemon
from harness.daemon import EngineError, docker

MIGRATION = "db/migrations/20250104090000_import_more_sales.sql"
MORE_SALES = """\
-- migrate:up
INSERT INTO sales (product, quantity) VALUES ('cocoa', 100);

-- migrate:down
DELETE FROM sales WHERE product = 'cocoa';
"""
FIRST, SECOND = {"coffee": 70, "tea": 60}, {"cocoa": 100, "coffee": 70, "tea": 60}
SALES = "SELECT count(*) FROM sales"


@pytest.fixture
def example(new_example):
    return new_example("backup")


def add_migration(example):
    (example.folder / MIGRATION).write_text(MORE_SALES)


def answers(example):
    return [example.get("api", number) for number in (1, 2, 3)]


def dumps(example):
    return example.compose("run", "--rm", "--entrypoint", "ls", "api", "/backups").split()


def content(example, dump, *options):
    """What is in a dump, as SQL."""
    return example.compose("exec", "--no-TTY", "api", "pg_restore", "--file=-", *options, f"/backups/{dump}")


def migrate(example, **environment):
    """`docker compose run --rm api migrate`, with other commands than the image's: exit status, and what it said."""
    example.compose("up", "--detach", "db")
    options = [f"--env={name}={value}" for name, value in environment.items()]
    done = subprocess.run(["docker", "compose", "--project-name", example.name, "run", "--build", "--rm", *options, "api", "migrate"],
                          cwd=example.folder, env=daemon.client_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def test_a_dump_is_taken_when_something_is_migrated_and_not_otherwise(example):
    example.up()
    assert answers(example) == [FIRST] * 3
    first, = dumps(example)
    assert re.fullmatch(r"\d{8}T\d{6}Z-before-run-1\.dump", first)
    assert "sales" not in content(example, first, "--schema=public"), "the dump is of the database before the migration"

    example.compose("stop", "api")
    example.up()
    assert answers(example) == [FIRST] * 3
    assert dumps(example) == [first]

    add_migration(example)
    example.up()
    assert answers(example) == [SECOND] * 3, "the warm-up has refreshed what the migration did not"
    assert example.runs() == ["1 succeeded", "2 succeeded"]
    again, second = dumps(example)
    assert again == first and second.endswith("-before-run-2.dump")
    rows = content(example, second, "--schema=public", "--table=sales")
    assert "coffee" in rows and "cocoa" not in rows
    example.wait_healthy()

    # The commands ran as backup, the app runs as www-data.
    owners = example.compose("exec", "--no-TTY", "api", "stat", "--format=%U %a", "/backups", f"/backups/{second}").splitlines()
    assert owners == ["backup 700", "backup 644"]
    for container in example.containers("api"):
        assert re.search(r"^\d+ +33 +python3 app\.py$", docker("top", container, "-o", "pid,uid,args"), re.M)


def test_if_the_backup_fails_nothing_is_migrated(example):
    status, said = migrate(example)
    assert status == 0, said

    add_migration(example)
    status, said = migrate(example, LOCKSTEP_BEFORE="echo no space left; exit 28")
    assert status == 28 and "nothing was migrated" in said, said
    assert example.query(SALES) == "3"
    assert example.query("SELECT state, exit_status, last_line FROM lockstep.run WHERE token = 2") == "failed|28|no space left"

    status, said = migrate(example)
    assert status == 0, said
    assert example.query(SALES) == "4"
    assert [re.sub(".*-before-", "", dump) for dump in dumps(example)] == ["run-1.dump", "run-3.dump"]


def test_if_the_warm_up_fails_the_version_is_applied(example):
    status, said = migrate(example, LOCKSTEP_AFTER="exit 9")
    assert status == 0 and "--after failed with status 9; the version is applied all the same" in said, said
    example.up()
    assert example.get("api") == {}, "the app runs, with what was not refreshed"
    assert example.runs() == ["1 succeeded"]


def test_the_way_back(example):
    """As the README tells it: the restored database is as it was, and knows that the newer version is not there."""
    migrate(example)
    add_migration(example)
    migrate(example)
    assert example.query(SALES) == "4"

    restore = re.search(r"sh api -c '(pg_restore .*)'$", (example.folder / "README.md").read_text(), re.M)[1]
    example.compose("run", "--rm", "--entrypoint", "sh", "api", "-c", restore.replace("NAME.dump", dumps(example)[-1]))
    assert example.query(SALES) == "3"
    with pytest.raises(EngineError):
        example.compose("run", "--rm", "api", "check")
    (example.folder / MIGRATION).unlink()
    example.compose("run", "--build", "--rm", "api", "check")
