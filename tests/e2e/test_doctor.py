"""lockstep doctor: what a start would need, in each state that it can be in, and the remedy. Nothing is changed by it."""

import contextlib
import os
import re
import subprocess

import psycopg2
import pytest

from harness.postgres import PSQL

USAGE, CANNOT_GO_ON = 64, 125
MIGRATE = "node-pg-migrate"
FILES = ("1700000000001_one.js", "1700000000002_two.js")
TABLE = "CREATE TABLE pgmigrations (id serial PRIMARY KEY, name varchar(255) NOT NULL, run_on timestamp NOT NULL)"


@pytest.fixture
def project(tmp_path):
    """An image of an app with node-pg-migrate and two migrations."""
    (tmp_path / "migrations").mkdir()
    for name in FILES:
        (tmp_path / "migrations" / name).touch()
    program = tmp_path / "node_modules" / ".bin" / MIGRATE
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\nexit 0\n")
    program.chmod(0o755)
    return tmp_path


class Report:
    """What it said; report[topic] are the texts of that topic's lines."""

    def __init__(self, done):
        self.status, self.said = done.returncode, done.stderr + done.stdout

    def __getitem__(self, topic):
        return [line[21:] for line in self.said.splitlines() if line[:20].strip() == topic]


@pytest.fixture
def doctor(project, database, lockstep):
    def run(*words, user=None, **env):
        environment = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url(), "LOCKSTEP_TOOL": MIGRATE, **env}
        environment = {name: value for name, value in environment.items() if value is not None}
        return Report(subprocess.run([lockstep, "doctor", *words], cwd=project, env=environment, capture_output=True, text=True, timeout=120,
                                     user=user))
    return run


def make(database, *applied, owner="app"):
    database.query(f"{TABLE}; ALTER TABLE pgmigrations OWNER TO {owner}")
    for name in applied:
        database.query("INSERT INTO pgmigrations (name, run_on) VALUES (%s, now())", name)


def assert_works(report, last="a start would work"):
    assert not report["error"], report.said
    assert report.status == 0
    assert report.said.splitlines()[-1] == last


def assert_fault(report, *words):
    [error] = report["error"]
    assert all(word in error for word in words), error
    assert report.status == CANNOT_GO_ON
    assert report.said.splitlines()[-1] == "a start would fail: 1 fault above"


def test_on_an_empty_database(doctor, database):
    report = doctor()
    assert_works(report)
    assert report["tool"] == ["node-pg-migrate"]
    assert report["migrations"] == ["2, the newest 1700000000002_two"]
    assert report["--migrations"] == ["migrations"]
    assert report["--migrations-pattern"] == [r"^(.+)\.(sql|[cm]?[jt]s)$"]
    assert report["--applied-sql"] == ['SELECT name FROM "public"."pgmigrations"']
    assert report["--migrate"] == ["node_modules/.bin/node-pg-migrate up --migrations-dir migrations"]
    assert report["pending"] == ["2 of 2: 1700000000001_one and 1700000000002_two"]
    assert report["role"] == [f"app in database {database.name}"]
    assert report["lock"] == ["taken and given back, without a pooler in between"]
    [server] = report["server"]
    assert re.fullmatch(r"PostgreSQL \d+.*, answers within \d+ ms; its clock is \d+ ms (behind|ahead of) ours", server)


def test_changes_nothing(doctor, database, lockstep, project):
    """Also not when something is pending: the records of lockstep are not made, and the lock is free again."""
    doctor()
    assert not database.query("SELECT FROM pg_namespace WHERE nspname = 'lockstep'")
    assert not database.query("SELECT FROM pg_tables WHERE schemaname = 'public'")
    assert database.lock_holder() is None


def test_what_a_preset_expands_to_is_what_a_user_may_write(doctor, database):
    """The same by hand, copied from the report: the same version, the same pending."""
    make(database, "1700000000001_one")
    report = doctor()
    by_hand = [word for line in report.said.splitlines() if line.startswith("--") for word in (line[:20].strip(), line[21:])]
    again = doctor(*by_hand, LOCKSTEP_TOOL=None)
    assert_works(again)
    assert again["pending"] == report["pending"]
    assert [again[topic] for topic in by_hand[::2]] == [report[topic] for topic in by_hand[::2]]


def test_all_applied(doctor, database):
    make(database, "1700000000001_one", "1700000000002_two")
    report = doctor()
    assert_works(report, "a start would work, and has nothing to migrate")
    assert report["applied"] == ["the version is there"]


def test_partly_applied_and_of_another_branch(doctor, database):
    make(database, "1700000000001_one", "1700000000001_other")
    report = doctor()
    assert_works(report)
    assert report["pending"] == ["1 of 2: 1700000000002_two"]
    assert report["unknown"] == ["1 in the database that this image does not have: 1700000000001_other"]


def test_ahead(doctor, database):
    make(database, "1700000000001_one", "1700000000002_two", "1700000000003_three")
    report = doctor()
    assert_works(report, "a start would work, and has nothing to migrate")
    assert report["applied"] == ["the version is there, and the database is ahead of this image"]


def test_a_tool_that_is_not_in_the_image(doctor, project):
    (project / "node_modules" / ".bin" / MIGRATE).unlink()
    assert_fault(doctor(), "--migrate: ", MIGRATE, "not found")


def test_a_tool_that_is_not_needed_now(doctor, project, database):
    make(database, "1700000000001_one", "1700000000002_two")
    (project / "node_modules" / ".bin" / MIGRATE).unlink()
    report = doctor()
    assert_works(report, "a start would work, and has nothing to migrate")
    assert "not found" in report["warning"][0]


def test_a_tool_of_npm_without_its_path(doctor, project):
    """dbmate is a program of its own, which npm puts where no PATH leads."""
    (project / "db" / "migrations").mkdir(parents=True)
    (project / "db" / "migrations" / "1_a.sql").touch()
    (project / "node_modules" / ".bin" / MIGRATE).rename(project / "node_modules" / ".bin" / "dbmate")
    report = doctor(LOCKSTEP_TOOL="dbmate")
    assert_works(report)
    assert report["--migrate"][0].startswith("node_modules/.bin/dbmate ")


def test_a_history_that_is_elsewhere(doctor, lockstep, project, database):
    """The tool uses another table: after a run that succeeded nothing is there still."""
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url(), "LOCKSTEP_TOOL": MIGRATE}
    run = subprocess.run([lockstep, "migrate"], cwd=project, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0 and "every start will migrate" in run.stderr and "--applied-sql" in run.stderr
    report = doctor()
    assert_works(report)
    assert "every start will migrate" in report["warning"][0] and "pgmigrations" in report["warning"][0]


def test_a_version_that_has_failed(doctor, lockstep, project, database):
    env = {"PATH": os.environ["PATH"], "DATABASE_URL": database.url(), "LOCKSTEP_TOOL": MIGRATE, "LOCKSTEP_MIGRATE": "echo no such column; exit 3"}
    subprocess.run([lockstep, "migrate"], cwd=project, env=env, capture_output=True, timeout=120)
    report = doctor()
    assert_works(report)
    assert report["last run"][0].startswith("1, failed, ") and report["last run"][0].endswith(": no such column")
    assert "has failed 1 times" in report["warning"][0]
    assert_fault(doctor(LOCKSTEP_MAX_ATTEMPTS="1"), "--max-attempts")


def test_a_failed_migration(doctor, database):
    """It names the ids, the tool's own words and the remedy, as a start would."""
    database.query("CREATE TABLE failed (id text, log text); INSERT INTO failed VALUES ('1700000000002', 'division by zero'); "
                   "ALTER TABLE failed OWNER TO app")
    assert_fault(doctor(LOCKSTEP_FAILED_SQL="SELECT id, log FROM failed"), "1700000000002", "division by zero")
    assert database.lock_holder() is None


def test_a_wrong_query_of_the_user(doctor):
    assert_fault(doctor(LOCKSTEP_FAILED_SQL="selec x"), "--failed-sql (LOCKSTEP_FAILED_SQL)", "syntax error")
    assert_fault(doctor(LOCKSTEP_APPLIED_SQL="selec x"), "--applied-sql (LOCKSTEP_APPLIED_SQL)", "syntax error")


def test_a_role_that_may_not_read_the_tools_table(doctor, database):
    make(database, owner="postgres")
    report = doctor()
    assert report.status == CANNOT_GO_ON
    assert all("pgmigrations" in error and "GRANT SELECT" in error for error in report["error"]), report.said


def test_a_role_that_may_not_make_the_records(doctor, database, cluster):
    role = cluster.make_role(f"poor_{database.name}")
    assert_fault(doctor(DATABASE_URL=database.url(role=role)), "GRANT CREATE ON DATABASE", f'"{role}"', "lockstep schema")


def test_a_role_that_may_not_use_the_records(doctor, database, cluster, lockstep):
    role = cluster.make_role(f"poor_{database.name}")
    database.query(subprocess.run([lockstep, "schema"], capture_output=True, text=True, check=True).stdout)
    report = doctor(DATABASE_URL=database.url(role=role))
    assert report.status == CANNOT_GO_ON
    assert any("GRANT USAGE ON SCHEMA \"lockstep\"" in error for error in report["error"]), report.said


def poor(database, cluster):
    """A role that may enter the database, and no more; with its URL."""
    role = cluster.make_role(f"poor_{database.name}")
    return role, database.url(role=role)


ALL_TABLES = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lockstep TO {0};"


@pytest.mark.parametrize("given", ["", "GRANT SELECT ON ALL TABLES IN SCHEMA lockstep TO {0};", ALL_TABLES + "REVOKE INSERT ON lockstep.gate FROM {0};",
                                   ALL_TABLES + "REVOKE DELETE ON lockstep.run FROM {0};", ALL_TABLES + "REVOKE INSERT ON lockstep.applied FROM {0};",
                                   "DROP TABLE lockstep.applied, lockstep.run, lockstep.gate;"])
def test_the_remedy_for_missing_rights_is_one(doctor, database, cluster, lockstep, given):
    """What a start would fail for on some table is found before, and what is printed makes both work."""
    role, url = poor(database, cluster)
    database.query(subprocess.run([lockstep, "schema"], capture_output=True, text=True, check=True).stdout)
    database.query(f"GRANT USAGE ON SCHEMA lockstep TO {role}; " + given.format(role))
    words = ("--target", "v1", "--migrate", "true")
    report = doctor(*words, DATABASE_URL=url, LOCKSTEP_TOOL=None)
    assert report.status == CANNOT_GO_ON
    remedy = next(error for error in report["error"] if "GRANT" in error)
    database.query("; ".join(part for part in remedy.split("; ") if part.startswith("GRANT")))
    assert_works(doctor(*words, DATABASE_URL=url, LOCKSTEP_TOOL=None))
    subprocess.run([lockstep, "migrate", *words], env={"PATH": os.environ["PATH"], "DATABASE_URL": url}, check=True, timeout=120)


def test_a_database_that_is_read_only(doctor, database):
    database.query(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    assert_fault(doctor(), "read-only", 'ALTER ROLE "app"')


def test_missing_rights_that_are_not_needed_now(doctor, database, cluster):
    """Nothing is pending: a start asks the tool's table and no more."""
    role, url = poor(database, cluster)
    make(database, *(name.removesuffix(".js") for name in FILES), owner=role)
    report = doctor(DATABASE_URL=url)
    assert_works(report, "a start would work, and has nothing to migrate")
    assert "GRANT CREATE ON DATABASE" in report["warning"][0]


def test_a_role_that_may_not_make_tables(doctor, database, cluster):
    """Of Postgres 15 on nobody but the owner of the database may, in public."""
    role = cluster.make_role(f"poor_{database.name}")
    database.query(f'GRANT CREATE ON DATABASE {database.name} TO "{role}"; REVOKE CREATE ON SCHEMA public FROM PUBLIC')
    report = doctor(DATABASE_URL=database.url(role=role))
    assert_works(report)
    assert "may not create tables in public" in report["warning"][0]


def test_a_schema_of_a_strange_name(doctor, database, cluster):
    assert_works(doctor("--schema", "o'x\"y"))


def test_a_replica_migrates(doctor, new_stage, database):
    stage = new_stage(database)
    leader = stage.leader()
    report = doctor("--target", "v1", "--migrate", "true", LOCKSTEP_TOOL=None)
    assert_works(report)
    assert report["lock"] == ["held by a replica that migrates; a start would wait for it"]
    assert re.fullmatch(r"1, running, on \S+ since \S+", report["last run"][0])
    stage.release()
    stage.expect_all_started([leader])


def test_the_tool_runs_without_lockstep(doctor, database):
    """A start would wait for that, so it is no fault."""
    with contextlib.closing(psycopg2.connect(database.url(), application_name="by hand")) as other:
        other.cursor().execute("SELECT pg_advisory_lock(7241865325823964)")
        report = doctor()
    assert_works(report)
    assert "is migrating without lockstep" in report["busy"][0] and "would wait" in report["busy"][0]


def test_through_a_pooler(doctor, database, bouncer):
    report = doctor(DATABASE_URL=bouncer(database, "transaction").url(database))
    assert_works(report)
    assert report["lock"] == ["taken and given back, through a pooler: waiting replicas poll"]


@pytest.mark.parametrize("place", ["redis", "file"])
def test_at_another_place(doctor, database, place, request):
    """The lock is tried where replicas meet, the tool's table is read where it is."""
    where = request.getfixturevalue("redis_gate").url() if place == "redis" else f"file:{request.getfixturevalue('folder')}"
    make(database, "1700000000001_one")
    report = doctor(LOCKSTEP_LOCK=where, LOCKSTEP_NAME="default")
    assert_works(report)
    assert report["pending"] == ["1 of 2: 1700000000002_two"]
    assert report["lock"] == ["taken and given back"]
    assert not report["server"] and re.match(r"PostgreSQL \d+.*its clock is \d+ ms", report["database"][0])
    assert report["role"] == [f"app in database {database.name}"]
    assert bool(report["records"]) == (place == "redis")


def test_records_beside_a_lock_in_redis(doctor, database, redis_gate):
    """Without a tool it is asked as well: the records are there."""
    report = doctor("--lock", redis_gate.url(), "--name", "default", "--target", "v1", "--migrate", "true", LOCKSTEP_TOOL=None)
    assert_works(report)
    assert report["records"] == ["the first run makes them in the schema lockstep"]


def test_a_lock_in_another_database(doctor, database, cluster):
    """Each is told: the records are with the lock, the tool's table and what it makes are not."""
    role = cluster.make_role(f"poor_{database.name}")
    other = cluster.database()
    database.query("REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    report = doctor("--lock", other.url(), DATABASE_URL=database.url(role=role))
    assert_works(report)
    assert report["role"] == [f"app in database {other.name}", f"{role} in database {database.name}"]
    assert len(report["server"]) == len(report["database"]) == len(report["records"]) == 1
    assert "may not create tables in public" in report["warning"][0]


def test_a_database_beside_the_lock_does_not_answer(doctor, folder):
    assert_fault(doctor(LOCKSTEP_LOCK=f"file:{folder}", DATABASE_URL="postgres://app:e2e-app@127.0.0.1:1/x"), "port 1", "refused")


def test_a_lock_file_is_not_made(doctor, folder):
    """Made by another user than the app's it would keep the app from starting."""
    report = doctor("--lock", f"file:{folder}/deep/gates", "--target", "v1", "--migrate", "true", LOCKSTEP_TOOL=None)
    assert_works(report)
    assert report["lock"] == ["taken and given back"] and not list(folder.iterdir())


@pytest.mark.parametrize("mode, works", [(0o777, True), (0o755, False)])
def test_a_lock_file_that_could_not_be_made(doctor, folder, mode, works):
    folder.chmod(mode)
    report = doctor("--lock", f"file:{folder}/gates", "--target", "v1", "--migrate", "true", LOCKSTEP_TOOL=None, user=65534)
    if works:
        assert_works(report)
    else:
        assert_fault(report, f"{folder}/gates/default.lock", "Permission denied", "volume")


def test_a_user_that_we_may_not_become(doctor):
    report = doctor("--user", "1000:1000", user=65534)
    assert report.status == CANNOT_GO_ON and "1000:1000" in report.said


def test_a_command_that_its_user_may_not_execute(doctor, project):
    (project / "node_modules" / ".bin" / MIGRATE).chmod(0o700)
    assert_fault(doctor("--migrate-user", "65534:65534"), MIGRATE, "cannot be executed as 65534:65534")


def test_nobody_answers(doctor):
    assert_fault(doctor(DATABASE_URL="postgres://app:e2e-app@127.0.0.1:1/x"), "127.0.0.1", "port 1", "refused")


def test_a_wrong_password_is_said_and_not_shown(doctor, database):
    report = doctor(DATABASE_URL=database.url(password="not-the-password"))
    assert_fault(report, "password")
    assert "not-the-password" not in report.said


def test_secrets_are_masked(doctor, database):
    report = doctor(LOCKSTEP_MIGRATE=f"{PSQL} {database.url()}")
    assert PSQL in report["--migrate"][0]
    assert "e2e-app" not in report.said


@pytest.mark.parametrize("length", [400, 480, 490, 4000, 4060])
def test_secrets_are_masked_before_a_line_is_cut(doctor, database, length):
    report = doctor(LOCKSTEP_MIGRATE=f"echo {'x' * length} {database.url()}")
    assert "e2e-" not in report.said


@pytest.mark.parametrize("status, words", [(0, "applied"), (1, "pending")])
def test_the_apps_own_check(doctor, status, words):
    report = doctor("--applied-if", f"echo 2 migrations; exit {status}", "--migrate", "true", LOCKSTEP_TOOL=None)
    assert_works(report, "a start would work" + (", and has nothing to migrate" if status == 0 else ""))
    assert report[words] == [f"--applied-if ended with {status}: 2 migrations"]


def test_a_check_that_is_not_there(doctor):
    assert_fault(doctor("--applied-if", "no-such-check --all", "--migrate", "true", LOCKSTEP_TOOL=None), "no-such-check", "status 127")
    assert_fault(doctor("--applied-if", '["no-such-check"]', "--migrate", "true", LOCKSTEP_TOOL=None), "no-such-check", "not found")


def test_migrations_of_another_pattern(doctor, project):
    """Scripts of which none counts are an error, not "nothing is needed"."""
    report = doctor("--migrations-pattern", r"^([0-9]+)_.*\.sql$")
    assert report.status == USAGE and "migrations/17000000000" in report.said and "--migrations-pattern" in report.said


@pytest.mark.parametrize("env, word", [
    ({"LOCKSTEP_TOOL": "nosuch"}, "nosuch"),
    ({"DATABASE_URL": "postgres://h/x?sslmode=maybe"}, "DATABASE_URL"),
    ({"LOCKSTEP_MIGRATIONS": "nowhere"}, "nowhere"),
    ({"DATABASE_URL": None}, "DATABASE_URL="),
])
def test_bad_words(doctor, env, word):
    """What cannot be meant is one line and 64, as at a start."""
    report = doctor(**env)
    assert report.status == USAGE
    assert word in report.said and len(report.said.splitlines()) == 1


def test_detected(doctor, project):
    (project / "package.json").write_text('{"dependencies": {"node-pg-migrate": "8.0.0"}}')
    report = doctor(LOCKSTEP_TOOL="auto")
    assert_works(report)
    assert report["tool"][0].startswith("node-pg-migrate, because of ")


def test_without_a_tool(doctor):
    """Only a version: whether it is there is in lockstep's records."""
    report = doctor("--target", "v1", "--migrate", "true", LOCKSTEP_TOOL=None)
    assert_works(report)
    assert report["version"] == ["v1"] and report["pending"] == ["the version is not there"]


def test_for_a_worker_without_a_command(doctor):
    report = doctor("--target", "v1", LOCKSTEP_TOOL=None)
    assert_fault(report, "--migrate (LOCKSTEP_MIGRATE) is missing")
