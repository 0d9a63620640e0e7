"""The replica that migrates is frozen, or dies at a bad moment, beside a Postgres server. locks.md section 7, cases 8 to 10, 22, 23."""

import signal
import subprocess

from harness.waiting import boottime_ns, eventually, lasting


def assert_taken_over(stage, waiter, states=("lost", "succeeded")):
    """A dirty takeover: quarantine first, the old run marked lost, the new one told about it."""
    names = waiter.names()
    assert "quarantine" in names and names.index("quarantine") < names.index("migrating")
    assert "takeover" in names and names.index("takeover") < names.index("migrating")
    assert waiter.saw("migrating")[0]["previous"] == "lost"
    assert tuple(stage.database.states()) == states


def test_lockstep_is_stopped_longer_than_the_lease(stage):
    """Case 8: SIGSTOP of lockstep alone: the leash ends the command at the deadline; on CONT the loss is seen, nothing recorded."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    leader.signal(signal.SIGSTOP)
    stage.wait_command(2)
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, waiter)
    assert len(leader.saw("migrating")) == 1 and not leader.saw("migrated")


def test_lockstep_is_stopped_and_the_command_ends_meanwhile(stage):
    """Case 8: the command ends well while lockstep is stopped past its lease: too late to be recorded by right of that lock."""
    leader = stage.leader()
    leader.signal(signal.SIGSTOP)
    stage.release()
    eventually(stage.journal.ends, what="the command ended")
    eventually(lambda: stage.database.lock_holder() is None, what="the server has taken the lock back")
    leader.signal(signal.SIGCONT)
    stage.expect_all_started([leader])
    assert stage.database.states()[-1] == "succeeded" and stage.database.applied() == {"v1"}


def test_container_is_paused_longer_than_the_lease(stage, freezer):
    """Case 9: docker pause: others take over; after the thaw the leash kills the command, and the session that this had open was
    terminated, so that what it may do before is refused."""
    stage.database.query("CREATE TABLE written (token text)")
    stage.database.query("GRANT ALL ON written TO app")
    script = stage.script('$STAMP start; (while [ ! -e ' + str(stage.released) + ' ]; do echo "INSERT INTO written VALUES ($LOCKSTEP_TOKEN);"; '
                          '$STAMP tick; sleep 0.02; done) | $SQL && $STAMP end')
    leader = stage.leader(migrate=script, inside=freezer.prefix)
    eventually(lambda: stage.database.query("SELECT 1 FROM written"), what="the first command writes")
    waiter = stage.waiter(migrate=script)
    freezer.freeze(leader)
    frozen = boottime_ns()
    second = stage.wait_command(2)
    rows = lambda token: stage.database.query("SELECT count(*) AS n FROM written WHERE token = %s", token)[0]["n"]
    before = rows("1")
    eventually(lambda: rows("2"), what="the second command writes")
    freezer.thaw(leader)
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the first command is gone")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert not leader.said("was killed"), "the leash was not given its chance"
    assert rows("1") == before, "the paused command wrote after the other one had begun"
    assert {entry.token for entry in stage.journal.ends()} == {"2"}
    stage.checks_overlap = False  # after a thaw a process may do a step before anybody can stop it; only the fence holds
    late = [c for c in stage.journal.commands() if c.token == "1"][0]
    assert frozen < second.at and late.last - second.at < 30e9
    assert_taken_over(stage, waiter)


def test_short_pause_is_verified_and_the_run_goes_on(stage, freezer):
    """Case 10: everything stops for longer than a tick but the lock is still ours: verified, the command goes on."""
    leader = stage.leader("--lease", "20s", inside=freezer.prefix)
    freezer.freeze(leader)
    lasting(2.5)
    freezer.thaw(leader)
    ticks = len(stage.journal.entries("tick"))
    eventually(lambda: len(stage.journal.entries("tick")) > ticks + 5, what="the command goes on after the pause")
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_statement_of_a_killed_command_is_terminated_first(stage):
    """Case 22: the container dies but its SQL statement lives on in the server: the next winner terminates that session and
    waits until it is gone before it starts its command."""
    stage.database.query("CREATE TABLE big (x int); ALTER TABLE big OWNER TO app")
    script = stage.script(
        'if [ "$LOCKSTEP_TOKEN" = 1 ]; then $STAMP start; $SQL -c "BEGIN; LOCK TABLE big; SELECT pg_sleep(600)"; fi; '
        'old=$($SQL -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = \'lockstep:default:1\'"); '
        '[ "$old" = 0 ] || exit 77; $STAMP start; $SQL -c "SET lock_timeout = \'1s\'; ALTER TABLE big ADD y int"; $STAMP end')
    leader = stage.leader(migrate=script)
    sleeping = "SELECT pid FROM pg_stat_activity WHERE application_name = 'lockstep:default:1' AND query LIKE '%pg_sleep(600)%'"
    eventually(lambda: stage.database.query(sleeping), what="the long statement runs")
    leader.kill()
    assert stage.database.query(sleeping), "the statement should live on without its client"
    next_one = stage.start(migrate=script)
    stage.expect_all_started([next_one])
    assert_taken_over(stage, next_one)


def test_sessions_of_others_are_not_terminated(stage):
    """Case 22: only sessions of older tokens of this gate are ended: not other gates', not the app's."""
    stage.leader().kill()
    script = (f'import psycopg2, sys; c = [psycopg2.connect("{stage.url}", application_name=n) for n in '
              '("lockstep:other:1", "lockstep:default", "lockstep:default:99", "app")]; print("connected", flush=True); '
              'sys.stdin.read(); [x.cursor().execute("SELECT 1") for x in c]; print("alive", flush=True)')
    bystander = subprocess.Popen(["/usr/bin/python3", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert bystander.stdout.readline() == "connected\n"
        stage.expect_all_started([stage.start()])
        assert bystander.communicate("\n", timeout=30)[0] == "alive\n"
    finally:
        bystander.kill()
        bystander.wait()


def holder(connection):
    return connection.said(rb"pg_try_advisory_xact_lock")


def test_killed_between_exit_0_and_commit(stage, proxy, cluster):
    """Case 23: lockstep dies after the command's exit 0, before its commit: the outcome is unknown, so lost, and run again."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("up", rb"commit", "blackhole", holder)
    stage.release()
    trap.wait()
    leader.kill()
    assert len(stage.journal.ends()) == 1
    assert stage.database.applied() == set()
    line.cut()  # before heal(): the commit that was held back must not arrive after all
    line.heal()
    second = stage.start()
    stage.expect_all_started([second])
    assert_taken_over(stage, second)


def test_reply_to_the_commit_is_lost(stage, proxy, cluster):
    """Case 23: the server commits, its reply is swallowed and the connection cut: the run is read by its token, not run again."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database))
    waiter = stage.waiter()
    trap = line.trap("down", rb"COMMIT\x00", "cut", holder)
    stage.release()
    trap.wait()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_reply_to_the_commit_never_comes(stage, proxy, cluster):
    """Case 23: as before, but the connection stays open and silent until everything is reachable again."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("down", rb"COMMIT\x00", "blackhole", holder)
    stage.release()
    trap.wait()
    eventually(lambda: stage.database.states() == ["succeeded"], what="the server has committed")
    lasting(2)  # longer than D: lockstep has given the connection up
    line.heal()
    stage.expect_all_started([leader])
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_success_that_could_not_be_committed_is_recorded_under_a_new_lock(stage, proxy, cluster):
    """Rule 7: the lock is lost between exit 0 and commit and nobody has marked a run since: recorded, not run again."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("up", rb"commit", "cut", holder)
    stage.release()
    trap.wait()
    stage.expect_all_started([leader])
    stage.journal.assert_applied_once()
    assert stage.database.applied() == {"v1"} and stage.database.states() == ["succeeded"]


def test_failure_that_could_not_be_committed(stage, proxy, cluster):
    """Rule 7 for a failing command: it is never recorded as a success and its status is what lockstep exits with."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database), migrate=stage.held_migration(exit=8))
    trap = line.trap("up", rb"commit", "cut", holder)
    stage.release()
    trap.wait()
    assert leader.wait_exit() != 0
    assert stage.journal.apps() == [] and stage.database.applied() == set()
    assert "succeeded" not in stage.database.states()
