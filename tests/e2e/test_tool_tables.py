"""Every preset against its tool's own table, made by the tool's DDL: nothing there, partly and all applied, ahead, failed, another tool's. DESIGN section 6."""

import contextlib
import itertools
import os
import subprocess
import zlib

import psycopg2
import pytest

from harness.tool_tables import ALIKE, CASES, FOREIGN, golang

ALL = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
BY_TOOL = {case.tool: case for case in reversed(CASES)}
FAILING = pytest.mark.parametrize("case", [case for case in CASES if case.failed], ids=lambda case: case.name)


def make_project(case, directory):
    for file in case.files:
        path, content = file if isinstance(file, tuple) else (file, "SELECT 1;\n")
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_text(content)


@pytest.fixture
def project_of(tmp_path, database, lockstep):
    """project_of(case): lockstep in a project of the case's tool; returns its exit status and what it said."""
    def create(case):
        make_project(case, tmp_path)

        def run(*words, **env):
            url = database.url() + ("?" + case.parameters if case.parameters else "")
            environment = {"PATH": os.environ["PATH"], "DATABASE_URL": url, "LOCKSTEP_TOOL": case.tool, "LOCKSTEP_LEASE": "3s", **case.env, **env}
            done = subprocess.run([lockstep, *words], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60)
            return done.returncode, done.stdout + done.stderr
        return run
    return create


@pytest.fixture
def project(project_of, case):
    return project_of(case)


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


def key_of_golang_migrate(database):
    return zlib.crc32(f"public\0schema_migrations\0/{database}".encode()) * 1486364155 % 2**32


KEYS = {"golang-migrate": key_of_golang_migrate, "rails": lambda database: 2053462845 * zlib.crc32(database.encode()),
        "sqlx": lambda database: 0x3d32ad9e * zlib.crc32(database.encode())}


@pytest.mark.parametrize("case", [BY_TOOL[tool] for tool in KEYS], ids=lambda case: case.name)
def test_the_tools_own_lock_of_a_computed_key(case, project, database):
    """What looks failed is at work then: it is waited for, and nobody is told to force anything."""
    make(database, case.ddl + case.one + case.failed)
    with contextlib.closing(psycopg2.connect(database.url(), application_name="by hand")) as other:
        other.cursor().execute("SELECT pg_advisory_lock(%s)", [KEYS[case.tool](database.name)])
        status, said = project("migrate", LOCKSTEP_MIGRATE="exit 7", LOCKSTEP_WAIT_TIMEOUT="2s")
    assert status == 124 and "is migrating without lockstep" in said and "(by hand)" in said, said


def test_a_newer_version_that_is_dirty(project_of, database):
    """golang-migrate has begun a version that this image does not have: all of the image's are there."""
    case = BY_TOOL["golang-migrate"]
    make(database, case.ddl + golang(3, "true"))
    assert project_of(case)("check")[0] == 0
    for none in (golang(0, "true"), golang(-1, "true")):
        make(database, none)
        assert project_of(case)("check")[0] == 1


def test_the_migrations_of_another_database(project_of, tmp_path):
    case = BY_TOOL["rails"]
    (tmp_path / "db" / "animals_migrate").mkdir(parents=True)
    (tmp_path / "db" / "animals_migrate" / "20240105000000_z.rb").touch()
    status, said = project_of(case)("check")
    assert status == 64 and "db/animals_migrate/20240105000000_z.rb" in said and "--applied-if 'bin/rails db:abort_if_pending_migrations'" in said
    assert project_of(case)("check", LOCKSTEP_MIGRATIONS="db/migrate")[0] == 1
    assert project_of(case)("check", LOCKSTEP_APPLIED_IF="true")[0] == 0


OTHERS = [(tool, other) for _, tools in FOREIGN for tool, other in itertools.permutations(tools, 2) if (tool, other) not in ALIKE]


@pytest.mark.parametrize("case, other", [(BY_TOOL[tool], BY_TOOL[other]) for tool, other in OTHERS], ids=lambda case: case.name)
def test_the_table_of_another_tool(case, other, project, database):
    make(database, other.ddl + other.one)
    status, said = project("check")
    assert status not in (0, 1), said
    assert "another tool's" in said, said
