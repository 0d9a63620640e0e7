"""The server ends sessions, restarts, fails over, or refuses. locks.md section 7, cases 11 to 15, 19, 25."""

import threading

import pytest

from harness.waiting import eventually, lasting


def assert_taken_over(stage, leader, winner):
    assert leader.saw("lost") and not leader.saw("migrated", token=1)
    assert winner.saw("quarantine") and winner.saw("migrating", previous="lost")
    assert len(stage.journal.ends()) == 1


# sessions

def test_backend_of_the_holder_is_terminated(stage):
    """Case 11: pg_terminate_backend of the lock's session: noticed at once, the command stopped, another takes over after Q."""
    leader = stage.leader()
    waiter = stage.waiter()
    stage.database.terminate(stage.database.wait_lock_holder())
    leader.wait_event("lost")
    second = stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, waiter])
    if second.token == "2" and waiter.saw("migrating"):
        assert_taken_over(stage, leader, waiter)
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def test_holder_alone_loses_its_session_and_runs_again(stage):
    """Case 11 without others: the one that lost the lock stops its command, is a waiter again, and its own run needs no quarantine."""
    leader = stage.leader()
    stage.database.terminate(stage.database.wait_lock_holder())
    leader.wait_event("lost")
    assert stage.wait_command(2).token == "2"
    stage.release()
    stage.expect_all_started([leader])
    assert stage.database.states() == ["lost", "succeeded"]
    assert not leader.saw("quarantine")


def test_other_sessions_of_the_leader_are_terminated(stage):
    """Case 11 for the second connection of the leader (records, progress): the run goes on."""
    leader = stage.leader()
    for _ in range(3):
        holder = stage.database.wait_lock_holder()
        for session in stage.database.sessions():
            if session["pid"] != holder:
                stage.database.query("SELECT pg_terminate_backend(%s)", session["pid"])
        lasting(0.5)
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_sessions_of_waiters_are_terminated(stage):
    """Waiters whose session is ended come back and see the version."""
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(4)]
    holder = stage.database.wait_lock_holder()
    for session in stage.database.sessions():
        if session["pid"] != holder:
            stage.database.query("SELECT pg_terminate_backend(%s)", session["pid"])
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


def test_heartbeats_are_cancelled(stage):
    """Case 12: pg_cancel_backend hits a heartbeat: an error under the savepoint frees no lock; verified, the command lives."""
    leader = stage.leader()
    pid = stage.database.wait_lock_holder()
    cancels = (f"DO $$ BEGIN FOR i IN 1..3000 LOOP PERFORM pg_cancel_backend({pid}); PERFORM pg_sleep(0.0001); END LOOP; END $$")

    def hit():  # most cancels find it idle; one that hits is followed by a pause in which it can recover
        stage.database.query(cancels)
        return [line for line in stage.database.log() if f"[{pid}]" in line and "canceling statement" in line]
    eventually(hit, what="a heartbeat was cancelled")
    assert stage.database.wait_lock_holder() == pid
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("setting", ["idle_in_transaction_session_timeout = '100ms'", "idle_session_timeout = '300ms'",
                                     "lock_timeout = '1ms'", "statement_timeout = '2s'",
                                     "default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on",
                                     "search_path = ''", "standard_conforming_strings = off", "DateStyle = 'German'",
                                     "IntervalStyle = 'iso_8601'", "TimeZone = 'Asia/Kathmandu'", "bytea_output = 'escape'",
                                     "row_security = off", "client_encoding = 'LATIN1'", "synchronous_commit = off"])
def test_settings_of_the_role(new_stage, cluster, setting):
    """Case 19: whatever an admin has set for the role or the database, the gate works (or uses its own setting in its transactions)."""
    database = cluster.database()
    database.query(f"ALTER DATABASE {database.name} SET {setting}")
    stage = new_stage(database)
    replicas = stage.crowd(3, migrate=stage.migration(**{"for": 1500}))
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()
    assert not any(r.saw("lost") for r in replicas)


# restarts

@pytest.mark.parametrize("mode", ["fast", "immediate"])
def test_server_restarts_during_a_run(clusters, new_stage, mode):
    """Case 13: leader stops its command, everybody retries while the server is away or starting up, takeover after Q, all start."""
    server = clusters()
    stage = new_stage(server.database())
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(3)]
    server.stop(mode)
    leader.wait_event("lost")
    for waiter in waiters:
        waiter.wait_event("unavailable")
    server.start()
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert len(stage.journal.ends()) == 1
    assert stage.database.states() == ["lost", "succeeded"]


def test_server_starts_up_while_replicas_wait(clusters, new_stage):
    """Case 13: the database container starts with the app's: refused, then 57P03 during recovery, then ready."""
    server = clusters()
    stage = new_stage(server.database())
    stage.database.query("CREATE TABLE filler AS SELECT generate_series(1, 300000) AS x")
    server.stop("immediate")
    replicas = stage.crowd(5)
    for replica in replicas:
        replica.wait_event("unavailable")
    server.start(wait=False)
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_restarted_server_is_quarantined(clusters, new_stage):
    """Section 3: a server that restarted less than Q ago after a run without end: the takeover waits Q."""
    server = clusters()
    stage = new_stage(server.database())
    leader = stage.leader()
    leader.kill()
    server.restart("immediate")
    stage.expect_all_started([second := stage.start()])
    assert second.saw("quarantine") and stage.database.states() == ["lost", "succeeded"]


# failover

@pytest.mark.parametrize("row", ["kept", "lost"])
def test_failover_to_a_standby(clusters, new_stage, proxy, root, row):
    """Case 14: the primary dies during a run and the standby is promoted, with the run's row or without it (it was behind):
    its lock is free, but the timeline has changed, so the next winner waits Q; no overlap, everybody starts."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary)
    standby.start()
    line = proxy(primary)
    stage = new_stage(database, line.url(database))
    stage.start(verb="migrate", target="v0").expect_exit(0)  # the gate knows its timeline
    eventually(lambda: standby.caught_up_with(primary), what="the standby has caught up")
    if row == "lost":
        standby.stop()
    done = len(stage.journal.ends())

    leader = stage.leader(target="v1")
    waiters = [stage.waiter(target="v1") for _ in range(2)]
    if row == "kept":
        eventually(lambda: standby.caught_up_with(primary), what="the standby has the run")
    primary.stop("immediate")
    leader.wait_event("lost")
    if row == "lost":
        standby.start()
    standby.promote()
    line.upstream = ("127.0.0.1", standby.port)
    stage.database = database.at(standby)
    stage.wait_command(3)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    [winner] = [r for r in (leader, *waiters) if r.saw("migrated")]
    if winner is not leader:
        assert winner.saw("quarantine")
    assert len(stage.journal.ends()) == done + 1
    assert stage.database.applied() == {"v0", "v1"}
    stage.checks_overlap = row == "kept"
    stage.journal.assert_no_overlap()  # with the row lost the token may come again, so only tokens are excused


def test_clean_failover_needs_a_quarantine_too(clusters, new_stage, proxy):
    """Case 14: nothing was running, but the server's timeline has changed since the last run: Q before the first command."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary)
    standby.start()
    line = proxy(primary)
    stage = new_stage(database, line.url(database))
    stage.start(verb="migrate", target="v0").expect_exit(0)
    eventually(lambda: standby.caught_up_with(primary), what="the standby has caught up")
    primary.stop("immediate")
    standby.promote()
    line.upstream = ("127.0.0.1", standby.port)
    stage.database = database.at(standby)
    replica = stage.start(target="v1")
    replica.expect_exit(0)
    assert replica.saw("quarantine") and stage.database.applied() == {"v0", "v1"}


def test_hot_standby_is_no_meeting_place(clusters, new_stage):
    """Case 15: an advisory lock on a standby excludes nobody on the primary: never leads there, retried, then 125."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary).start()
    stage = new_stage(database, database.at(standby).url())
    replica = stage.start("--connect-timeout", "2s")
    replica.expect_exit(125)
    assert replica.saw("unavailable") and not replica.saw("locked")
    assert "standby" in replica.log or "recovery" in replica.log
    assert stage.journal.entries() == []


def test_hot_standby_that_is_promoted(clusters, new_stage):
    """Case 15: the URL points to a standby during a failover: waited out until it is the primary."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary).start()
    stage = new_stage(database.at(standby))
    replicas = stage.crowd(3)
    for replica in replicas:
        replica.wait_event("unavailable")
    primary.stop("immediate")
    standby.promote()
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


# the record cannot be written

def test_server_refuses_the_record_of_a_success(stage):
    """Case 25: the disk is full when the success is to be recorded: loud, no app starts, and the command is not repeated blindly."""
    stage.start(verb="migrate", target="v0").expect_exit(0)
    leader = stage.leader("--wait-timeout", "20s")
    stage.database.query("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS "
                         "$$ BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END $$")
    stage.database.query("CREATE TRIGGER full_disk BEFORE INSERT OR UPDATE ON lockstep.applied FOR EACH ROW EXECUTE FUNCTION full_disk()")
    stage.release()
    status = leader.wait_exit()
    assert status in (124, 125)
    assert leader.said("No space left on device")
    assert len(stage.journal.starts()) == 2 and stage.journal.apps() == []
    assert "v1" not in stage.database.applied() and stage.database.states()[-1] != "succeeded"

    stage.database.query("DROP TRIGGER full_disk ON lockstep.applied")
    after = stage.start()
    stage.expect_all_started([after])
    assert stage.database.applied() == {"v0", "v1"}


def test_rights_are_revoked_during_a_run(stage):
    """Case 25: as before, by a REVOKE: 42501 is final, so 125 with the remedy."""
    stage.start(verb="migrate", target="v0").expect_exit(0)
    leader = stage.leader("--wait-timeout", "20s")
    stage.database.query("REVOKE ALL ON lockstep.applied FROM app; ALTER TABLE lockstep.applied OWNER TO postgres")
    stage.release()
    assert leader.wait_exit() in (124, 125)
    assert leader.saw("error") and stage.journal.apps() == [] and "v1" not in stage.database.applied()


def test_read_only_database(new_stage, cluster):
    """Case 25: default_transaction_read_only on the role: either lockstep says READ WRITE for its own transactions and works,
    or it ends with 125 and a reason; it neither hangs nor runs a command that it cannot mark."""
    database = cluster.database()
    database.query(f"ALTER DATABASE {database.name} SET default_transaction_read_only = on")
    stage = new_stage(database)
    replica = stage.start("--wait-timeout", "20s")
    if replica.wait_exit() == 0:
        stage.journal.assert_applied_once()
    else:
        assert replica.process.returncode == 125 and "read-only" in replica.log
        assert stage.journal.entries() == []


def test_marking_a_run_is_refused(stage):
    """Case 25 at the beginning: a run that cannot be marked is not started, and the lock is free again."""
    stage.start(verb="migrate", target="v0").expect_exit(0)
    stage.database.query("REVOKE ALL ON lockstep.run FROM app; GRANT SELECT ON lockstep.run TO app")
    replica = stage.start(target="v1")
    replica.expect_exit(125)
    assert len(stage.journal.starts()) == 1 and replica.saw("error")
    eventually(lambda: stage.database.lock_holder() is None, what="the lock is free")


def test_two_winners_in_a_row_with_a_flapping_server(clusters, new_stage):
    """Cases 11 and 13 mixed: sessions are ended at random while ten replicas want two versions: no overlap, all start."""
    server = clusters()
    stage = new_stage(server.database())
    replicas = [stage.start(target=f"v{i % 2}", migrate=stage.migration(**{"for": 1500})) for i in range(10)]
    over = threading.Event()

    def flap():
        for _ in range(4):
            if over.wait(1.0):
                return
            stage.database.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                                 "WHERE usename = 'app' AND random() < 0.4 AND datname = current_database()")
    flapper = threading.Thread(target=flap)
    flapper.start()
    try:
        stage.expect_all_started(replicas)
    finally:
        over.set()
        flapper.join()
    assert stage.database.applied() == {"v0", "v1"}
