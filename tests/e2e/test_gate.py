"""The gate on a healthy day: who migrates, who waits, who need not even ask. locks.md section 7, cases 1 and 31."""

import re

import psycopg2
import pytest

from harness import postgres
from harness.waiting import eventually


@pytest.mark.parametrize("n", [2, 10, 50])
def test_cold_start_of_a_crowd_migrates_once(stage, n):
    """Case 1: n replicas start together on an empty database: one run, everybody starts, nobody before the version is there."""
    stage.lease = "20s"
    replicas = stage.crowd(n, migrate=stage.migration(**{"for": 300}))
    stage.expect_all_started(replicas)

    stage.journal.assert_applied_once()
    assert min(a.at for a in stage.journal.apps()) > stage.journal.ends()[0].at
    assert sum(len(r.saw("migrating")) for r in replicas) == 1
    assert sum(len(r.saw("migrated")) for r in replicas) == 1
    [run] = stage.runs()
    assert (run["token"], run["target"], run["state"], run["attempt"], run["exit_status"]) == (1, "v1", "succeeded", 1, 0)
    assert stage.database.applied() == {"v1"}


def test_the_app_finds_the_record_of_the_version(stage):
    """Case 1: every app, as its first act, can read the success that let it in (the record is committed before any start)."""
    look = ["/bin/sh", "-euc", f'test "$({postgres.PSQL} -XqAt "$DATABASE_URL" -c "SELECT count(*) FROM lockstep.applied '
            f"WHERE target = 'v1'\")\" = 1; exec {stage.stamp} {stage.journal.path} app"]
    replicas = stage.crowd(8, app=look)
    stage.expect_all_started(replicas)


def test_restart_is_one_connection_and_one_query(stage):
    """Case 1, second start: with the version there, no lock is tried, nothing is written, the command is not started."""
    stage.expect_all_started([stage.start()])
    before, seen = stage.database.log(), len(stage.database.statements())
    rows = (stage.runs(), stage.database.recorded("gate", "token"))

    again = stage.start()
    again.expect_exit(0)

    assert again.saw("satisfied") and not again.saw("locked") and not again.saw("migrating")
    log = stage.database.log()[len(before):]
    assert not [line for line in log if "pg_try_advisory" in line]
    assert len([line for line in log if "connection authorized" in line]) == 1
    assert len(stage.database.statements()) - seen == 1, "\n".join(log)
    assert (stage.runs(), stage.database.recorded("gate", "token")) == rows
    stage.journal.assert_applied_once()


def test_a_crowd_restarts_without_a_lock(stage):
    """Case 1, second start of 20 replicas at once: nobody tries the lock, no run is added."""
    stage.expect_all_started([stage.start()])
    mark = len(stage.database.log())

    stage.expect_all_started(stage.crowd(20))

    assert not [line for line in stage.database.log()[mark:] if "pg_try_advisory" in line]
    assert stage.database.states() == ["succeeded"]
    stage.journal.assert_applied_once()


def test_winner_says_what_it_does_and_waiter_whom_it_waits_for(stage):
    """Events of a run: starting, connected, locked, migrating, output, migrated, passing, exec; waiting names the holder."""
    leader = stage.leader(migrate=stage.held_migration(say="hello", cry="beware"))
    waiter = stage.waiter()
    waiting = waiter.saw("waiting")[0]
    assert waiting["token"] == 1 and waiting["host"] and waiting["since"]
    stage.release()
    stage.expect_all_started([leader, waiter])

    order = ["starting", "connected", "locked", "migrating", "migrated", "passing", "exec"]
    assert [name for name in leader.names() if name in order] == order
    assert leader.saw("starting")[0]["target"] == "v1"
    assert leader.saw("connected", pooled=False)
    assert leader.saw("migrating", token=1, attempt=1, previous="none")
    assert leader.saw("output", stream="stdout", line="hello") and leader.saw("output", stream="stderr", line="beware")
    assert not waiter.saw("migrating") and waiter.saw("exec")
    assert postgres.ROLE_PASSWORD not in leader.log + waiter.log


def test_waiter_reports_progress_of_the_run(stage):
    """A waiter says every 10 s how long it has waited, with the last output line of the run."""
    leader = stage.leader(migrate=stage.held_migration(say="step-17-of-90"))
    waiter = stage.waiter()
    eventually(lambda: waiter.saw("progress"), what="progress")
    progress = waiter.wait_event("progress", line="step-17-of-90")
    assert progress["token"] == 1 and progress["seconds"] >= 1
    stage.release()
    stage.expect_all_started([leader, waiter])


def test_the_run_can_be_watched_from_outside(stage):
    """While a run goes on, its row is there for everybody: state running, host, pid, target, heartbeat."""
    leader = stage.leader()
    [run] = stage.runs()
    assert run["state"] == "running" and run["target"] == "v1" and run["host"] and run["pid"] and run["beat_at"]
    assert run["finished_at"] is None and stage.database.applied() == set()
    stage.release()
    stage.expect_all_started([leader])
    [run] = stage.runs()
    assert run["state"] == "succeeded" and run["finished_at"] >= run["started_at"]


def test_migrate_verb(stage):
    """`migrate` passes the gate and exits 0; the second time without a run."""
    job = stage.start(verb="migrate")
    job.expect_exit(0)
    again = stage.start(verb="migrate")
    again.expect_exit(0)
    assert again.saw("satisfied")
    stage.journal.assert_applied_once()
    assert stage.journal.apps() == [] and stage.database.states() == ["succeeded"]


def test_migrate_and_run_meet_at_the_same_gate(stage):
    """A CI/CD job and replicas that start meanwhile share one run."""
    job = stage.start(verb="migrate", migrate=stage.migration(**{"for": 300}))
    replicas = stage.crowd(5, migrate=stage.migration(**{"for": 300}))
    job.expect_exit(0)
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_wait_verb_never_migrates(stage):
    """`wait` on an empty database waits, without a lock and without a command of its own, until somebody has migrated."""
    worker = stage.start(verb="wait")
    silent = stage.start(verb="wait", app=None)
    worker.wait_event("connected")
    silent.wait_event("connected")
    assert stage.runs() == []

    stage.start(verb="migrate").expect_exit(0)

    stage.expect_all_started([worker])
    silent.expect_exit(0)
    for replica in (worker, silent):
        assert not replica.saw("locked") and not replica.saw("migrating")
    stage.journal.assert_applied_once()
    stage.start(verb="wait", app=None).expect_exit(0)


def test_wait_verb_gives_up(stage):
    """`wait` ends with 124 after --wait-timeout and has left nothing behind."""
    waiter = stage.start("--wait-timeout", "1s", verb="wait")
    waiter.expect_exit(124)
    assert waiter.saw("error")
    assert stage.runs() == [] and stage.journal.apps() == []


def test_check_verb_is_one_look(stage):
    """`check`: 1 while pending, also beside a run that goes on, 0 when the version is there; it writes nothing."""
    stage.start(verb="check").expect_exit(1)
    assert stage.database.query("SELECT 1 FROM pg_namespace WHERE nspname = 'lockstep'") == []
    leader = stage.leader()
    stage.start(verb="check").expect_exit(1)
    stage.release()
    stage.expect_all_started([leader])
    stage.start(verb="check").expect_exit(0)
    stage.start(verb="check", target="v2").expect_exit(1)
    assert not [line for line in stage.database.log() if "pg_try_advisory" in line and "check" in line]


# versions

@pytest.fixture
def files(stage):
    folder = stage.directory / "migrations"
    folder.mkdir()
    (folder / "001.sql").write_text("one")
    (folder / "002.sql").write_text("two")
    return folder


def check_files(stage, folder):
    check = stage.start("--target-files", f"{folder}/*.sql", verb="check", target=None)
    return check.wait_exit()


def test_target_files_are_the_version(stage, files):
    """--target-files: the version is content, names and their pairing; neither times nor the order on disk."""
    start = lambda: stage.start("--target-files", f"{files}/*.sql", target=None)
    assert check_files(stage, files) == 1
    stage.expect_all_started([start()])
    assert check_files(stage, files) == 0
    [target] = stage.database.applied()
    assert re.search(r"[0-9a-f]{32,64}$", target), "a SHA-256, or enough of it"

    (files / "002.sql").unlink()  # written again in another order: the same version
    (files / "001.sql").unlink()
    (files / "002.sql").write_text("two")
    (files / "001.sql").write_text("one")
    assert check_files(stage, files) == 0
    (files / "README").write_text("not a migration")
    assert check_files(stage, files) == 0


@pytest.mark.parametrize("change", ["content", "swapped", "renamed", "added", "removed", "moved border"])
def test_target_files_change_the_version(stage, files, change):
    """--target-files: a change of content, of names, of what belongs to which name, and of the set is a new version."""
    stage.start("--target-files", f"{files}/*.sql", verb="migrate", target=None).expect_exit(0)
    if change == "content":
        (files / "002.sql").write_text("tw0")
    elif change == "swapped":
        (files / "001.sql").write_text("two")
        (files / "002.sql").write_text("one")
    elif change == "renamed":
        (files / "002.sql").rename(files / "003.sql")
    elif change == "added":
        (files / "003.sql").write_text("")
    elif change == "removed":
        (files / "002.sql").unlink()
    else:
        (files / "001.sql").write_text("onet")
        (files / "002.sql").write_text("wo")
    assert check_files(stage, files) == 1


def test_target_files_that_match_nothing(stage):
    """--target-files without a match is a mistake in the image, not an empty version: 64."""
    stage.start("--target-files", f"{stage.directory}/none/*.sql", target=None).expect_exit(64)
    assert stage.journal.entries() == [] and stage.runs() == []


# the record tables and a DBA

def apply_schema(stage, role, *options, schema="lockstep"):
    """What a DBA does: applies what `lockstep schema` prints, and grants its use."""
    printer = stage.start(*options, verb="schema", target=None)
    printer.expect_exit(0)
    stage.database.query(printer.stdout)
    stage.database.query(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
    stage.database.query(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA {schema} TO {role}")


@pytest.fixture
def limited(stage):
    """A role that may connect and nothing else."""
    role = f"limited_{stage.database.name}"
    stage.database.cluster.make_role(role)
    return role


@pytest.mark.parametrize("schema", ["lockstep", "ops"])
def test_schema_applied_by_a_dba(stage, limited, schema):
    """`lockstep schema` beforehand: a role that may create nothing in the database can migrate."""
    apply_schema(stage, limited, "--schema", schema, schema=schema)
    replicas = stage.crowd(4, "--schema", schema, url=stage.database.url(role=limited))
    stage.expect_all_started(replicas)
    assert [r["state"] for r in stage.database.runs(schema=schema)] == ["succeeded"]
    assert stage.database.applied(schema=schema) == {"v1"}


def test_schema_is_what_the_first_winner_creates(new_stage, cluster):
    """`lockstep schema` and the first winner make the same tables, and the printed DDL can be applied twice."""
    columns = ("SELECT table_name, column_name, data_type, is_nullable, column_default FROM information_schema.columns "
               "WHERE table_schema = 'lockstep' ORDER BY 1, 2")
    by_hand, by_winner = (new_stage(cluster.database()) for _ in range(2))
    printer = by_hand.start(verb="schema", target=None, url=None)
    printer.expect_exit(0)
    by_hand.database.query(printer.stdout)
    by_hand.database.query(printer.stdout)
    by_winner.expect_all_started([by_winner.start()])
    made = by_winner.database.query(columns)
    assert {row["table_name"] for row in made} >= {"gate", "run", "applied"}
    assert by_hand.database.query(columns) == made


def test_no_permission_names_the_remedy(stage, limited):
    """A role that may not create the record tables: 125, and the error names the GRANT and `lockstep schema`."""
    replica = stage.start(url=stage.database.url(role=limited))
    replica.expect_exit(125)
    [error] = replica.saw("error")
    assert "GRANT" in error["message"] and "lockstep schema" in error["message"]
    assert stage.journal.entries() == []


def test_permission_on_the_tables_is_missing(stage, limited):
    """The tables are there but the role may not use them: 125 with the remedy, not an endless wait."""
    stage.start(verb="migrate").expect_exit(0)
    replica = stage.start(target="v2", url=stage.database.url(role=limited))
    replica.expect_exit(125)
    assert "GRANT" in replica.saw("error")[0]["message"]


# what cannot be cured by waiting

@pytest.mark.parametrize("verb", [None, "check", "wait"])
def test_wrong_password_is_final(stage, verb):
    """28P01: 125 at once, without the password in the log."""
    replica = stage.start(verb=verb, url=stage.database.url(password="wr0ng-pw"))
    replica.expect_exit(125, timeout=30)
    assert replica.saw("error") and not replica.said("wr0ng-pw")
    assert stage.journal.entries() == []


def test_missing_database_is_final(stage):
    """3D000: 125 at once; the error says: create it, or let --lock name a maintenance database."""
    replica = stage.start(url=stage.url.replace(stage.database.name, "no_such_database"))
    replica.expect_exit(125, timeout=30)
    message = replica.saw("error")[0]["message"]
    assert "no_such_database" in message and "--lock" in message


def test_lock_in_a_maintenance_database(stage, cluster):
    """--lock names another database than --database: replicas meet there although the app's database does not exist yet."""
    absent = stage.url.replace(stage.database.name, f"{stage.database.name}_app")
    replicas = stage.crowd(3, "--lock", stage.url, url=absent)
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_nothing_of_the_gate_stays_on_the_server(stage):
    """After everybody has started, no session, no lock, no transaction of lockstep is left."""
    stage.expect_all_started(stage.crowd(5, migrate=stage.migration(**{"for": 200})))
    eventually(lambda: stage.database.sessions() == [], what="no session is left")
    with pytest.raises(psycopg2.errors.DuplicateSchema):
        stage.database.query("CREATE SCHEMA lockstep")
