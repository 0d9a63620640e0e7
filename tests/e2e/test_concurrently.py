"""CREATE, REINDEX and DROP INDEX CONCURRENTLY inside the migration: they wait for every snapshot and every table lock in
the database, so nothing of the gate may hold one. locks.md section 1 and section 7, case 21."""

import re

import pytest

from harness.waiting import eventually


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read", "serializable"])
def test_indexes_concurrently_beside_thirty_waiters(new_stage, cluster, isolation):
    """Case 21: the three statements end beside 30 waiters, also when the role's default isolation would hold a snapshot."""
    database = cluster.database()
    role = cluster.make_role(f"migrator_{database.name}")
    database.query(f"ALTER DATABASE {database.name} OWNER TO {role}")
    database.query(f"ALTER ROLE {role} SET default_transaction_isolation = '{isolation}'")
    stage = new_stage(database, database.url(role=role))
    stage.lease = "20s"
    script = stage.script('$STAMP start; $SQL -c "CREATE TABLE big AS SELECT generate_series(1, 1000) AS x"; hold; '
                          'for sql in "CREATE INDEX CONCURRENTLY i ON big (x)" "REINDEX INDEX CONCURRENTLY i" '
                          '"REINDEX TABLE CONCURRENTLY big" "DROP INDEX CONCURRENTLY i"; do '
                          '$SQL -c "SET statement_timeout = \'45s\'" -c "$sql"; done; $STAMP end')
    leader = stage.leader(migrate=script)
    waiters = stage.crowd(30, migrate=script)
    for waiter in waiters:
        waiter.wait_event("waiting")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


def test_lock_transaction_takes_no_snapshot_while_it_is_held(stage):
    """CREATE INDEX CONCURRENTLY waits for the end of every transaction that has a snapshot at one moment, be it for the
    microseconds of a heartbeat: only statements that take none may follow the lock. A race; the server's log is certain."""
    leader = stage.leader()
    pid = stage.database.wait_lock_holder()

    def since_lock():
        said = [re.search(r"statement: (.*)", line)[1] for line in stage.database.statements() if f"[{pid}]" in line]
        return said[max(i for i, sql in enumerate(said) if "pg_try_advisory_xact_lock" in sql) + 1:]
    eventually(lambda: len(since_lock()) > 3, what="heartbeats")
    assert all(re.match("(ROLLBACK TO )?SAVEPOINT ", sql) for sql in since_lock()), since_lock()
    stage.release()
    stage.expect_all_started([leader])


def test_indexes_concurrently_on_the_record_tables(stage):
    """Case 21: maintenance of lockstep's own tables (REINDEX CONCURRENTLY) ends beside a run and its waiters."""
    stage.start(verb="migrate", target="v0").expect_exit(0)
    script = stage.script('$STAMP start; hold; for table in gate run applied; do '
                          '$SQL -c "SET statement_timeout = \'45s\'" -c "REINDEX TABLE CONCURRENTLY lockstep.$table"; done; $STAMP end')
    leader = stage.leader(migrate=script)
    waiters = [stage.waiter() for _ in range(5)]
    stage.release()
    stage.expect_all_started([leader, *waiters])


def test_indexes_concurrently_behind_a_pooler(stage, bouncer):
    """Case 21 through transaction pooling: an open lock transaction that is idle in READ COMMITTED holds no snapshot there either."""
    url = bouncer(stage.database, "transaction").url(stage.database)
    script = stage.script('$STAMP start; $SQL -c "CREATE TABLE big AS SELECT generate_series(1, 1000) AS x"; hold; '
                          '$SQL -c "CREATE INDEX CONCURRENTLY i ON big (x)"; $SQL -c "DROP INDEX CONCURRENTLY i"; $STAMP end')
    leader = stage.leader(migrate=script, url=url)
    waiters = [stage.waiter(url=url) for _ in range(5)]
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


def test_vacuum_full_and_alter_table_beside_waiters(stage):
    """locks.md section 1, C9: statements that need the strongest table locks are not in the gate's way either."""
    script = stage.script('$STAMP start; $SQL -c "CREATE TABLE big AS SELECT 1 AS x"; hold; $SQL -c "VACUUM FULL"; '
                          '$SQL -c "ALTER TABLE big ADD y int"; $STAMP end')
    leader = stage.leader(migrate=script)
    waiters = [stage.waiter() for _ in range(5)]
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
