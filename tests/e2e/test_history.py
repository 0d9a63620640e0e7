"""A tool's own table says what is applied: the options by hand, at every place to meet. DESIGN section 2, rules 1, 6 and 11, and section 6."""

import threading

import psycopg2
import pytest

from harness.by_hand import Tool
from harness.waiting import eventually

EVERYWHERE = pytest.mark.parametrize("place", ["postgres", "redis", "file"], indirect=True)


@pytest.fixture
def place(request, database):
    """With the records in Postgres, or beside the very database that is migrated."""
    kind = getattr(request, "param", "postgres")
    if kind == "postgres":
        return None
    return f"file:{request.getfixturevalue('folder')}" if kind == "file" else request.getfixturevalue("redis_gate").url()


@pytest.fixture
def stage(new_stage, database, place):
    stage = new_stage(database)
    stage.url = None
    stage.checks_apps = False  # another than lockstep's winner may have migrated
    if place:
        stage.env.update({"LOCKSTEP_LOCK": place, "LOCKSTEP_NAME": "default"})
    if place and place.startswith("file:"):
        stage.database = None  # the records are there
    return stage


@pytest.fixture
def tool(stage, database):
    return Tool(stage, database)


def applied(database):
    return [row["id"] for row in database.query("SELECT id FROM history ORDER BY id")]


@EVERYWHERE
def test_a_crowd_migrates_once(stage, tool, database):
    replicas = tool.crowd(6, migrate=tool.migration(before="sleep 0.3"))
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()
    assert applied(database) == ["001", "002", "003"]
    assert replicas[0].saw("starting")[-1]["target"].startswith("by-hand 003 (3 migrations, ")


@EVERYWHERE
def test_nothing_pending_is_one_query(stage, tool, database):
    """Also where lockstep has never recorded anything: no lock, no records, one statement."""
    tool.make(1, 2, 3)
    replica = tool.start()
    stage.expect_all_started([replica])
    assert replica.saw("satisfied") and not replica.saw("locked") and not replica.saw("ahead")
    assert len(database.statements()) == 1 and len([line for line in database.log() if "connection authorized" in line]) == 1


@EVERYWHERE
def test_partly_applied(stage, tool, database):
    tool.make(1)
    stage.expect_all_started(tool.crowd(3))
    stage.journal.assert_applied_once()
    assert applied(database) == ["001", "002", "003"]


@EVERYWHERE
def test_ahead_is_not_migrated(stage, tool):
    """An old replica restarts, or a rollback."""
    tool.make(1, 2, 3, 4)
    replica = tool.start()
    stage.expect_all_started([replica])
    assert replica.saw("ahead") and not replica.saw("locked") and not stage.journal.starts()


@EVERYWHERE
def test_a_recorded_success_is_not_the_truth(stage, tool, database):
    """The database was restored from a backup that is older than what Redis, or a volume, remembers."""
    stage.expect_all_started([tool.start()])
    database.query("DELETE FROM history WHERE id = '003'")
    again = tool.start()
    stage.expect_all_started([again])
    assert again.saw("migrating", previous="succeeded") and applied(database) == ["001", "002", "003"]


@EVERYWHERE
def test_a_skipped_migration_is_a_warning_and_never_a_wait(stage, tool):
    """Rule 6: the tool leaves a back-dated migration out and ends well."""
    stage.lease = "20s"
    migration = tool.migration(before="hold", skip="002")
    leader = stage.leader(target=None, migrate=migration)
    waiters = tool.crowd(3, migrate=migration)
    for waiter in waiters:
        waiter.wait_event("waiting")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
    [warning] = leader.saw("error", level="warning")
    assert "the migration succeeded, but the migration tool has not applied 002" in warning["message"]


@EVERYWHERE
def test_failed_state_is_named_and_nothing_is_started(stage, tool):
    """Under the lock only; every replica exits with 125 and says it, the one that found it and those that waited."""
    tool.make(1, failed=[2])
    replicas = tool.crowd(3)
    for replica in replicas:
        replica.expect_exit(125)
        assert replica.said("the migration tool would refuse to run: 002 did not end well (log of 002); mend the database, then start again")
    assert not stage.journal.starts() and not stage.journal.apps()


def test_failed_state_may_start_the_app(stage, tool, database):
    tool.make(1, failed=[2])
    stage.expect_all_started([tool.start("--on-failure", "start", "--retries", "3")])
    assert database.states() == ["failed"] and not stage.journal.starts()


def test_mended_state_goes_on(stage, tool, database):
    tool.make(1, failed=[2])
    tool.start().expect_exit(125)
    database.query("UPDATE history SET failed = false")
    replica = tool.start()
    stage.expect_all_started([replica])
    assert applied(database) == ["001", "002", "003"] and replica.saw("backoff")


def test_dirt_of_a_run_that_may_be_alive_is_no_failure(stage, tool, database):
    """The holder is gone without a word, its migration perhaps not: the state is judged after the quarantine only."""
    tool.make(1)
    leader = stage.leader(target=None, migrate=stage.script(
        "$STAMP start; $SQL -c \"INSERT INTO history VALUES ('002', true)\"; hold"))
    eventually(lambda: len(applied(database)) == 2, what="dirty")
    waiter = tool.start()
    waiter.wait_event("waiting")
    leader.kill()
    waiter.wait_event("quarantine")
    assert not waiter.said("did not end well")
    waiter.expect_exit(125)
    assert waiter.said("002 did not end well") and database.states() == ["lost", "failed"]


@EVERYWHERE
def test_diverged_is_said_and_left_to_the_tool(stage, tool, database):
    tool.make(1, 2, 7)
    replica = tool.start()
    stage.expect_all_started([replica])
    [warning] = [e for e in replica.saw("error", level="warning") if "diverged" in e["message"]]
    assert "it has 1 migration that the image does not know (007), while 1 of the image is pending (003)" in warning["message"]
    assert replica.saw("migrating") and applied(database) == ["001", "002", "003", "007"]


@EVERYWHERE
def test_somebody_migrates_by_hand(stage, tool, database):
    """`wait` sees it, although no run of lockstep tells of it."""
    waiter = tool.start(verb="wait")
    waiter.wait_event("starting")
    tool.start(verb="check", migrate=None).expect_exit(1)
    tool.make(1, 2, 3)
    stage.expect_all_started([waiter])
    tool.start(verb="check").expect_exit(0)
    assert not stage.journal.starts()


@EVERYWHERE
def test_waiters_of_another_image(stage, tool, database):
    """The run that ends is an older image's: what it applied is looked at, and the newer image migrates."""
    tool.make(1)
    tool.remove(3)
    older = stage.leader(target=None, migrate=tool.migration(before="hold", skip="003"))
    tool.add(3)
    newer = tool.start()
    newer.wait_event("waiting")
    stage.release()
    stage.expect_all_started([older, newer])
    assert newer.saw("migrating") and applied(database) == ["001", "002", "003"]


def test_row_for_all_up_to(stage, tool, database):
    """A tool that keeps one number: 10 is after 9, and 003 before both."""
    tool.make(1)
    stage.env.update({"LOCKSTEP_APPLIED_SQL": "SELECT '<=' || max(id) FROM history;"})
    tool.start(verb="check").expect_exit(1)
    database.query("INSERT INTO history VALUES ('003')")
    tool.start(verb="check").expect_exit(0)


def test_lock_in_another_database_of_the_server(stage, tool, database, cluster):
    """Where the tool makes the database itself: it need not be there yet."""
    meeting = cluster.database()
    stage.database = meeting
    name = f"{database.name}_new"
    cluster.query("ALTER ROLE app CREATEDB")
    stage.env.update({"LOCKSTEP_LOCK": meeting.url(), "DATABASE_URL": cluster.url(name)})
    create = f"{stage.psql} -Xq {meeting.url()} -c 'CREATE DATABASE {name}'"
    stage.expect_all_started(tool.crowd(4, migrate=tool.migration(before=create)))
    stage.journal.assert_applied_once()
    assert meeting.states() == ["succeeded"]


def test_waiters_ask_the_table_seldom(stage, tool, database):
    """While a run is going on, a poll of a waiter is for the records; the tool's table is asked once in ten seconds."""
    leader = tool.leader()
    waiter = tool.start(env={"PGAPPNAME": "x"})
    waiter.wait_event("progress")  # after ten seconds
    asked = [line for line in database.statements() if "LEFT JOIN (SELECT id" in line]
    assert 4 <= len(asked) <= 6, asked  # each at its first look, the leader under the lock, the waiter once or twice more
    stage.release()
    stage.expect_all_started([leader, waiter])


def test_locked_table_is_no_wait_inside_the_server(stage, tool, database):
    """EF Core and others hold ACCESS EXCLUSIVE while they migrate: a look gives up, and comes again."""
    tool.make(1, 2, 3)
    connection = psycopg2.connect(database.url(role="postgres", password="e2e-super"))
    with connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLE history IN ACCESS EXCLUSIVE MODE")
        replica = tool.start()
        replica.wait_event("unavailable")
        assert replica.said("the table of --applied-sql is locked by somebody")
    connection.close()
    stage.expect_all_started([replica])
    assert not stage.journal.starts()


@pytest.mark.parametrize("sql, words", [
    ("SELECT nothing FROM history", 'column "nothing" does not exist'),
    ("DROP TABLE history", "syntax error"),
    ("SELECT 1 / 0", "division by zero"),
    ("SELECT id FROM history; SELECT 1", "syntax error"),
])
def test_wrong_query(stage, tool, database, sql, words):
    tool.make(1, 2, 3)
    stage.env["LOCKSTEP_APPLIED_SQL"] = sql
    replica = tool.start()
    replica.expect_exit(125)
    assert replica.said("--applied-sql (LOCKSTEP_APPLIED_SQL): ") and words in replica.saw("error")[-1]["message"]
    assert applied(database) == ["001", "002", "003"] and not stage.journal.starts()


def test_query_that_ends_in_a_comment(stage, tool):
    tool.make(1, 2, 3)
    stage.env["LOCKSTEP_APPLIED_SQL"] = "SELECT id FROM history -- all of them ;"
    stage.expect_all_started([tool.start()])


def test_table_that_may_not_be_read(stage, tool, database):
    """The tool runs as another role, which owns the table."""
    tool.make(1, 2, 3)
    database.query("ALTER TABLE history OWNER TO postgres")
    replica = tool.start()
    replica.expect_exit(125)
    assert replica.said("permission denied for table history")


@pytest.mark.parametrize("begun", [True, False], ids=["begun", "just begins"])
def test_the_tools_own_lock_is_held_by_somebody(begun, stage, tool, database):
    """Prisma runs elsewhere without lockstep: whoever has our lock waits for the end of it, and does not fail, also while
    there is no table yet."""
    stage.lease = "20s"
    project = stage.directory / "project"
    for id in ("20260101000000_a", "20260102000000_b"):
        (project / "prisma" / "migrations" / id).mkdir(parents=True)
        (project / "prisma" / "migrations" / id / "migration.sql").write_text("SELECT 1;")
    table = ("CREATE TABLE _prisma_migrations (id text, checksum text, finished_at timestamptz, migration_name text, logs text,"
             " rolled_back_at timestamptz, started_at timestamptz, applied_steps_count int); GRANT ALL ON _prisma_migrations TO app;"
             "INSERT INTO _prisma_migrations VALUES ('1', '', now(), '20260101000000_a'), ('2', '', NULL, '20260102000000_b')")
    if begun:
        database.query(table)
    for name in ("MIGRATIONS", "MIGRATIONS_PATTERN", "APPLIED_SQL", "FAILED_SQL"):
        del stage.env[f"LOCKSTEP_{name}"]
    stage.env.update({"LOCKSTEP_TOOL": "prisma"})
    connection = psycopg2.connect(database.url(), application_name="prisma by hand")
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(72707369)")
        replica = tool.start(inside=("env", "--chdir", project))
        replica.wait_event("unavailable")
        assert replica.said("Prisma Migrate is migrating without lockstep") and replica.said("(prisma by hand)")
        if not begun:
            database.query(table)
        database.query("UPDATE _prisma_migrations SET finished_at = now()")
    connection.close()
    stage.expect_all_started([replica])
    assert not stage.journal.starts()


def test_index_concurrently_beside_a_crowd(stage, tool, database):
    """Waiters that read the tool's table hold no snapshot that CREATE INDEX CONCURRENTLY would wait for."""
    tool.make(1)
    migration = tool.migration(before="$SQL -c 'CREATE INDEX CONCURRENTLY ON history (id)'; hold")
    leader = stage.leader(target=None, migrate=migration)
    waiters = tool.crowd(4, migrate=migration)
    for waiter in waiters:
        waiter.wait_event("waiting")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


def test_pooler_in_transaction_mode(stage, tool, database, bouncer):
    stage.env["DATABASE_URL"] = bouncer(database, "transaction").url(database)
    stage.expect_all_started(tool.crowd(5, migrate=tool.migration(before="sleep 0.3")))
    stage.journal.assert_applied_once()


def test_many_migrations(stage, tool, database):
    for n in range(4, 5001):
        tool.add(n)
    tool.make(1)
    database.query("INSERT INTO history SELECT to_char(n, 'FM0000') FROM generate_series(1000, 5000) n")
    database.query("INSERT INTO history SELECT to_char(n, 'FM000') FROM generate_series(2, 999) n")
    replica = tool.start()
    stage.expect_all_started([replica])
    assert replica.saw("satisfied") and not stage.journal.starts()
    database.query("DELETE FROM history WHERE id = '4711'")
    tool.start(verb="check").expect_exit(1)
