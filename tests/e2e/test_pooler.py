"""Behind PgBouncer in each of its modes. locks.md section 2 and section 7, cases 16, 18, 19."""

import threading

import psycopg2
import pytest

from harness.waiting import eventually, lasting


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_ten_replicas_migrate_once(stage, bouncer, mode):
    """Ten replicas behind a pooler (a session lock in transaction mode would elect two of them): exactly one run."""
    pool = bouncer(stage.database, mode)
    replicas = stage.crowd(10, url=pool.url(stage.database), migrate=stage.migration(**{"for": 500}))
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()
    assert all(r.saw("connected", pooled=True) for r in replicas)
    mark = len(stage.database.log())
    stage.expect_all_started([*replicas, stage.start(url=pool.url(stage.database))])
    assert not [line for line in stage.database.log()[mark:] if "pg_try_advisory" in line]


def test_small_transaction_pool(stage, bouncer):
    """Transaction mode with 3 server connections for 10 replicas and the command's own psql: one holds, the rest share."""
    pool = bouncer(stage.database, "transaction", pool_size=3)
    script = stage.script('$STAMP start; for i in 1 2 3; do $SQL -c "SELECT 1"; done; $STAMP end')
    stage.expect_all_started(stage.crowd(10, url=pool.url(stage.database), migrate=script))
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_direct_and_pooled_replicas_exclude_each_other(stage, bouncer, mode):
    """Half of the replicas comes directly, half through the pooler: one lock, one run."""
    pool = bouncer(stage.database, mode)
    leader = stage.leader(url=pool.url(stage.database))
    direct = [stage.waiter() for _ in range(4)]
    pooled = [stage.waiter(url=pool.url(stage.database)) for _ in range(4)]
    stage.release()
    stage.expect_all_started([leader, *direct, *pooled])
    stage.journal.assert_applied_once()


def test_direct_leader_and_pooled_waiters_at_once(stage, bouncer):
    """As before, all at the same moment."""
    pool = bouncer(stage.database, "transaction")
    replicas = [stage.start(url=pool.url(stage.database) if i % 2 else None, migrate=stage.migration(**{"for": 500})) for i in range(10)]
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_statement_mode_is_refused(stage, bouncer):
    """Case 18: statement mode can hold no transaction: one clear error, 125, no loop, nothing run."""
    pool = bouncer(stage.database, "statement")
    replica = stage.start(url=pool.url(stage.database))
    replica.expect_exit(125, timeout=30)
    [error] = replica.saw("error")
    assert "pool" in error["message"].lower()
    assert stage.journal.entries() == []


def test_exhausted_pool_is_waited_out(stage, bouncer, database):
    """Case 18: all server connections are taken: cut after query_wait_timeout, `unavailable`, again with backoff, then through."""
    pool = bouncer(stage.database, "transaction", pool_size=2, query_wait_timeout=1)
    hogs = []
    for _ in range(2):
        hog = psycopg2.connect(pool.url(database))
        hog.cursor().execute("SELECT 1")  # in a transaction, and stays there
        hogs.append(hog)
    replica = stage.start(url=pool.url(stage.database))
    replica.wait_event("unavailable")
    lasting(3)  # several times query_wait_timeout
    for hog in hogs:
        hog.close()
    stage.expect_all_started([replica])
    assert len(replica.saw("unavailable")) < 30, "retries without a backoff"
    stage.journal.assert_applied_once()


def test_pool_of_one(stage, bouncer):
    """Case 18: the lock takes the only server connection, so no run can be marked: an error in bounded time, no command."""
    pool = bouncer(stage.database, "transaction", pool_size=1, query_wait_timeout=1)
    replica = stage.start("--connect-timeout", "4s", url=pool.url(stage.database))
    replica.expect_exit(125)
    assert replica.saw("error") and stage.journal.entries() == []


def test_pooler_refuses_more_clients(stage, bouncer):
    """Case 18: max_client_conn reached: waited out like an unreachable server."""
    pool = bouncer(stage.database, "transaction", max_client_conn=6)
    stage.expect_all_started(stage.crowd(10, url=pool.url(stage.database), migrate=stage.migration(**{"for": 500})))
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_pooler_crashes_mid_run(stage, bouncer, mode):
    """Case 16: the pooler dies and is started again: the lock is gone with the connection: command stopped, never two."""
    pool = bouncer(stage.database, mode)
    url = pool.url(stage.database)
    leader = stage.leader(url=url)
    waiters = [stage.waiter(url=url) for _ in range(3)]
    pool.restart()
    leader.wait_event("lost")
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_pooler_kills_the_database_mid_run(stage, bouncer, mode):
    """Case 16: KILL on the console ends all sessions of the database at once: as after a crash. (The waiters come directly:
    a client that is just logging in when KILL comes crashes PgBouncer 1.18.)"""
    pool = bouncer(stage.database, mode)
    leader = stage.leader(url=pool.url(stage.database))
    waiters = [stage.waiter() for _ in range(3)]
    pool.admin(f"KILL {stage.database.name}")
    leader.wait_event("lost")
    pool.admin(f"RESUME {stage.database.name}")
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("mode", ["session", "transaction"])
def test_reconnect_keeps_the_lock(stage, bouncer, mode):
    """Case 16: RECONNECT closes server connections when they are free; a transaction that is open keeps its own, and its lock."""
    pool = bouncer(stage.database, mode)
    url = pool.url(stage.database)
    leader = stage.leader(url=url)
    waiter = stage.waiter(url=url)
    holder = stage.database.wait_lock_holder()
    pool.admin("RECONNECT")
    lasting(4)  # longer than the lease
    assert stage.database.wait_lock_holder() == holder
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_pause_and_resume(stage, bouncer):
    """Case 16: PAUSE waits for open transactions, so the run ends well; whoever waits goes on after RESUME."""
    pool = bouncer(stage.database, "transaction")
    url = pool.url(stage.database)
    leader = stage.leader(url=url)
    waiters = [stage.waiter(url=url) for _ in range(3)]
    pausing = threading.Thread(target=pool.admin, args=("PAUSE",), daemon=True)
    pausing.start()
    lasting(4)  # longer than the lease: the heartbeats of the open transaction get through
    assert not leader.saw("lost")
    stage.release()
    eventually(lambda: stage.database.states() == ["succeeded"], what="the run is recorded")
    pausing.join(30)
    pool.admin("RESUME")
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("setting", ["server_lifetime", "server_idle_timeout", "client_idle_timeout", "query_timeout", "idle_transaction_timeout"])
def test_timeouts_of_the_pooler(stage, bouncer, setting):
    """Case 19 and locks.md section 2: the pooler's own timeouts, short but longer than a heartbeat, cost neither lock nor version."""
    pool = bouncer(stage.database, "transaction", **{setting: 1})
    url = pool.url(stage.database)
    leader = stage.leader(url=url)
    waiters = [stage.waiter(url=url) for _ in range(2)]
    lasting(4)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_timeout_of_the_pooler_below_the_heartbeat(stage, bouncer):
    """Case 19: a timeout for idle transactions that is shorter than the heartbeat takes the lock again and again: no endless
    loop, and the message names what to look for."""
    pool = bouncer(stage.database, "transaction", idle_transaction_timeout=1)
    replica = stage.start("--lease", "25s", verb="migrate", url=pool.url(stage.database), migrate="sleep 30")
    replica.expect_exit(125, timeout=120)
    assert "timeout for idle transactions" in replica.log and len(replica.saw("lost")) == 5
    assert stage.database.applied() == set()


def test_leader_is_killed_behind_a_pooler(stage, bouncer):
    """Case 2 through transaction mode: the pooler closes the server's side, the lock is free, takeover after Q."""
    pool = bouncer(stage.database, "transaction")
    url = pool.url(stage.database)
    leader = stage.leader(url=url)
    waiter = stage.waiter(url=url)
    leader.kill()
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    assert waiter.saw("quarantine") and stage.database.states() == ["lost", "succeeded"]


def test_frozen_leader_behind_a_pooler(stage, bouncer, freezer):
    """Case 9 through transaction mode: the server's lease works across the pooler: the lock is free after T although TCP is fine."""
    pool = bouncer(stage.database, "transaction")
    url = pool.url(stage.database)
    leader = stage.leader(url=url, inside=freezer.prefix)
    waiter = stage.waiter(url=url)
    freezer.freeze(leader)
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    freezer.thaw(leader)
    stage.expect_all_started([leader, waiter])
    stage.checks_overlap = False  # after a thaw a process may do a step before anybody can stop it
    assert stage.database.states() == ["lost", "succeeded"] and leader.saw("lost")
