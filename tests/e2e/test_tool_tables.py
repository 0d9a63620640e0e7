"""Every preset against its tool's own table, made by the tool's DDL: nothing there, partly and all applied, ahead, failed, another tool's. DESIGN section 6."""

import itertools
import os
import subprocess

import pytest

from harness.tool_tables import ALIKE, CASES, FOREIGN

ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
FAILING = pytest.mark.parametrize("case", [case for case in CASES if case.failed], ids=lambda case: case.name)


def make_project(case, directory):
    for file in case.files:
        path, content = file if isinstance(file, tuple) else (file, "SELECT 1;\n")
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)


@pytest.fixture
def project(case, tmp_path, database, lockstep):
    """lockstep in a project of the case's tool; returns its exit status and what it said."""
    make_project(case, tmp_path)

    def run(*words, **env):
        url = database.url() + ("?" + case.parameters if case.parameters else "")
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "LOCKSTEP_TOOL": case.tool, "LOCKSTEP_LEASE": "3s", **case.env, **env}
        done = subprocess.run([lockstep, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stdout + done.stderr
    return run


def make(database, sql):
    """As the app's own role, for the tool's tables belong to it."""
    database.query(f"SET ROLE app; {sql} RESET ROLE;")


@ALL
def test_what_is_applied(case, project, database):
    assert project("check")[0] == 1, "no table"
    make(database, case.ddl)
    assert project("check")[0] == 1, "an empty table"
    make(database, case.one)
    assert project("check")[0] == 1, "the first"
    make(database, case.both)
    status, said = project("check")
    assert status == 0, f"both: {said}"
    make(database, case.more)
    status, said = project("migrate", LOCKSTEP_MIGRATE="false")
    assert status == 0, f"ahead: {said}"
    assert "ahead" in said or "does not know" in said or "more" in said, said


@ALL
def test_pending_is_migrated(case, project, database):
    make(database, case.ddl + case.one)
    status, said = project("migrate", LOCKSTEP_MIGRATE="exit 7")
    assert status == 7, said


@FAILING
def test_failed_names_the_remedy(case, project, database):
    make(database, case.ddl + case.one + case.failed)
    status, said = project("migrate", LOCKSTEP_MIGRATE="exit 7")
    assert status not in (0, 7), said
    assert case.remedy in said, said


@pytest.mark.parametrize("case", [CASES[0]], ids=lambda case: case.name)
def test_a_folder_that_is_not_where_the_configuration_says(case, project, tmp_path):
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations/a.js").touch()
    for directory, status, words in [("path.join(base, 'm')", 1, "warning: migrations.directory in knexfile.js is no literal, so migrations is taken"),
                                     ("'gone'", 64, "knexfile.js names gone, which is not there")]:
        (tmp_path / "knexfile.js").write_text(f"module.exports = {{ migrations: {{ directory: {directory} }} }}")
        done, said = project("check", LOCKSTEP_TOOL="knex")
        assert done == status and words in said, said


OTHERS = [(tool, other) for _, tools in FOREIGN for tool, other in itertools.permutations(tools, 2) if (tool, other) not in ALIKE]
BY_TOOL = {case.tool: case for case in reversed(CASES)}


@pytest.mark.parametrize("case, other", [(BY_TOOL[tool], BY_TOOL[other]) for tool, other in OTHERS], ids=lambda case: case.name)
def test_the_table_of_another_tool(case, other, project, database):
    make(database, other.ddl + other.one)
    status, said = project("check")
    assert status not in (0, 1), said
    assert "another tool's" in said, said
