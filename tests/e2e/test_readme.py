"""README is true: its table of options, its commands, its query."""
import os
import pathlib
import re
import subprocess

import pytest

from harness.postgres import PSQL

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()


def block(language):
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.M | re.S)


def run(command, lockstep, **variables):
    """Runs a command of README as it stands, with the binary under test in the place of build/lockstep."""
    command = command.replace("build/lockstep", str(lockstep))
    environment = {"PATH": os.environ["PATH"], **variables}
    return subprocess.run(["/bin/sh", "-c", command], env=environment, capture_output=True, text=True, timeout=60)


def test_options_of_readme_are_those_of_help(lockstep):
    """The table of options says what --help says: flag, variable, default, meaning."""
    shown = run("build/lockstep --help", lockstep).stdout
    told = re.findall(r"^  (--\S+)(?: (\S+))? +(LOCKSTEP_\w+) +(.*?)(?: \[(.*)\])?$", shown, re.M)
    table = re.findall(r"^\| `(--[\w-]+)(?: (.*?))?` \| (LOCKSTEP_\w+) \| (.*?) \| (.*) \|$", README, re.M)
    assert [(flag, value.replace("\\|", "|"), variable, meaning, default if default != "-" else "")
            for flag, value, variable, default, meaning in table] == told
    assert len(told) > 15


def test_verbs_of_readme_are_those_of_help(lockstep):
    shown = run("build/lockstep --help", lockstep).stdout
    for verb in re.findall(r"^\| `lockstep (?:\[)?(\w+)", README, re.M):
        assert re.search(rf"^  lockstep \[?{verb}\b", shown, re.M), verb


def test_first_command_needs_no_server(lockstep, tmp_path):
    """The command to try migrates once, however often it is run."""
    command = block("sh")[0].replace("/tmp/lockstep-try", str(tmp_path / "try"))
    first, second = run(command, lockstep), run(command, lockstep)
    assert (first.returncode, first.stdout) == (0, "migrate | migrating\napp\n")
    assert (second.returncode, second.stdout) == (0, "app\n")
    assert "only replicas on this host share" in first.stderr


def test_dockerfile_lines(lockstep, tmp_path, database):
    """The lines to copy work: ENTRYPOINT with its variables and CMD, with stand-ins for node and knex."""
    lines = block("dockerfile")[0]
    variables = dict(re.findall(r"(LOCKSTEP_\w+)=(\S+)", lines))
    command = re.search(r"^CMD \[(.*)\]$", lines, re.M)[1].replace('"', "").replace(",", "")
    knex = (f"{PSQL} -XqAt \"$DATABASE_URL\" -c 'CREATE TABLE knex_migrations (id serial, name text, batch int, migration_time timestamptz)' "
            "-c \"INSERT INTO knex_migrations (name) VALUES ('1.js')\"; echo \"knex $*\"")
    for path, script in (("bin/node", 'echo "node $*"'), ("node_modules/.bin/knex", knex)):
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / path).chmod(0o755)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/1.js").write_text("exports.up = () => {}\n")
    for expected in ("migrate | knex migrate:latest\nnode server.js\n", "node server.js\n"):
        done = subprocess.run([str(lockstep), *command.split()], cwd=tmp_path, capture_output=True, text=True, timeout=60, env={
            "PATH": f"{tmp_path}/bin:{os.environ['PATH']}", "DATABASE_URL": database.url(), **variables})
        assert (done.returncode, done.stdout) == (0, expected), done.stderr


def test_query_of_the_records(stage):
    """The query that README shows answers with the run."""
    stage.start(verb="migrate", target="v1").expect_exit(0)
    rows = stage.database.query(block("sql")[0])
    assert [(row["token"], row["target"], row["state"]) for row in rows] == [(1, "v1", "succeeded")]


def test_events_of_readme_are_those_of_the_source():
    told = re.search(r"the events are `(.*?)`", README, re.S)[1].split()
    assert told == re.findall(r'^ +X\(\w+, "(\w+)"\)', (ROOT / "src/event.h").read_text(), re.M)


def dry_run(target):
    """What make would do, in an environment that an outer make has not marked."""
    return subprocess.run(["make", "-n", target], cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True,
                          timeout=60)


@pytest.mark.parametrize("target", sorted(set(re.findall(r"^    make (\w+)", README, re.M))))
def test_make_targets_exist(target):
    done = dry_run(target)
    assert done.returncode == 0, done.stderr


def test_demo_is_what_make_demo_runs():
    done = dry_run("demo")
    assert done.stdout.rstrip().endswith("examples/demo/demo.py")
