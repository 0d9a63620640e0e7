"""What every meeting place must do: the same cases against all of them. locks.md section 7, cases 1 to 4, 8, 24, 31."""

import os
import signal

import pytest

from harness.redis import NEWER
from harness.waiting import eventually, lasting

PLACES = ["postgres", "redis", "file"]

# These are about lockstep's own processes and patience: in them the server hears nothing that it does not hear in the others.
# They take most of the time, so the newer servers go without.
NOT_OF_THE_SERVER = {
    "test_waiting_is_bounded",
    "test_max_attempts_ends_it",
    "test_a_crowd_restarts_after_a_failure_and_one_tries",
    "test_previous",
    "test_stopped_command_that_ignores_term",
    "test_lockstep_is_killed",
    "test_killed_in_quarantine_stays_dirty",
    "test_killed_runs_count_as_attempts",
    "test_lockstep_is_frozen_longer_than_the_lease",
    "test_command_stopped_alone_is_no_loss",
    "test_leftover_processes_end_before_success_is_recorded",
}


def pytest_generate_tests(metafunc):
    if "place" in metafunc.fixturenames:
        newer = [] if metafunc.function.__name__ in NOT_OF_THE_SERVER else NEWER
        metafunc.parametrize("place", PLACES + newer, indirect=True)


@pytest.fixture
def stage(new_stage, place):
    return new_stage(place)


# a healthy day

@pytest.mark.parametrize("n", [1, 10])
def test_cold_start_migrates_once(stage, place, n):
    """Case 1: exactly one run, everybody starts, nobody before the version is there."""
    replicas = stage.crowd(n, migrate=stage.migration(**{"for": 300}))
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()
    assert min(a.at for a in stage.journal.apps()) > stage.journal.ends()[0].at
    assert place.states() == ["succeeded"] and place.applied() == {"v1"}


def test_restart_needs_no_lock(stage, place):
    """Case 1, second start: satisfied, no lock, no run."""
    stage.expect_all_started([stage.start()])
    again = stage.start()
    again.expect_exit(0)
    assert again.saw("satisfied", target="v1") and again.saw("exec")
    assert not again.saw("locked") and not again.saw("migrating") and not again.saw("ahead")
    stage.journal.assert_applied_once()


def test_waiters_know_whom_they_wait_for(stage, place):
    """A run in progress is there to be read: state, host, since when; waiters name it at once and start when it is over."""
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(4)]
    assert place.states() == ["running"] and place.applied() == set()
    for waiter in waiters:
        [waiting] = waiter.saw("waiting")
        assert waiting["token"] == 1 and waiting["host"] and waiting["since"]
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


def test_verbs(stage, place):
    """check, migrate and wait at one gate."""
    stage.start(verb="check").expect_exit(1)
    waiting = stage.start(verb="wait")
    stage.start(verb="migrate").expect_exit(0)
    stage.expect_all_started([waiting])
    assert not waiting.saw("locked")
    stage.start(verb="check").expect_exit(0)
    stage.start(verb="check", target="v2").expect_exit(1)
    stage.start(verb="migrate").expect_exit(0)
    stage.journal.assert_applied_once()


def test_waiting_is_bounded(stage, place):
    """--wait-timeout: 124 for the one who waits; the one who migrates does not notice."""
    leader = stage.leader()
    waiter = stage.waiter("--wait-timeout", "1s")
    waiter.expect_exit(124)
    assert waiter.saw("error")
    stage.release()
    stage.expect_all_started([leader])
    stage.journal.assert_applied_once()


def test_rolling_deploy_and_rollback(stage, place):
    """Case 31: an old replica that restarts finds its version in the set of the applied and starts at once."""
    for target in ("v1", "v2"):
        stage.start(verb="migrate", target=target).expect_exit(0)
    old, current = stage.start(target="v1"), stage.start(target="v2")
    stage.expect_all_started([old, current])
    assert old.saw("ahead", target="v1") and not old.saw("locked") and not current.saw("ahead")
    assert place.states() == ["succeeded", "succeeded"] and place.applied() == {"v1", "v2"}


def test_old_replica_starts_while_the_newer_version_is_being_applied(stage, place):
    """Case 31: during the run of v2 a replica of v1 does not wait for it."""
    stage.expect_all_started([stage.start(target="v1")])
    leader = stage.leader(target="v2")
    stage.start(target="v1").expect_exit(0)
    assert leader.running()
    stage.release()
    leader.expect_exit(0)


def test_two_new_versions_at_once(stage, place):
    """Replicas of two images start together: two runs, never at once, and each image gets its version."""
    replicas = [stage.start(target=f"v{i % 2}", migrate=stage.migration(**{"for": 200})) for i in range(6)]
    stage.expect_all_started(replicas)
    assert place.applied() == {"v0", "v1"} and place.states() == ["succeeded", "succeeded"]
    assert len(stage.journal.starts()) == 2


def test_two_names_are_two_gates(stage, place):
    """Gates with different names in one place neither share a version nor wait for each other."""
    stage.checks_overlap = stage.checks_apps = False  # two gates, so two commands may run at once
    leader = stage.leader("--name", "orders")
    stage.start("--name", "billing", verb="migrate", migrate=stage.migration()).expect_exit(0)
    assert leader.running()
    assert place.applied("billing") == {"v1"} and place.applied("orders") == set()
    stage.release()
    leader.expect_exit(0)
    assert place.applied("orders") == {"v1"}


# failing commands

def test_all_who_waited_fail_with_the_same_status_and_show_the_tail(stage, place):
    """Case 24: winner and waiters exit with the command's status; each waiter prints the run's last lines; no app starts."""
    leader = stage.leader(migrate=stage.held_migration(exit=7, say="ERROR: relation users does not exist", cry="boom-42"))
    waiters = [stage.waiter() for _ in range(4)]
    stage.release()
    for replica in [leader, *waiters]:
        replica.expect_exit(7)
        assert replica.saw("failed", token=1, status=7) and not replica.saw("exec")
        assert replica.said("relation users does not exist") and replica.said("boom-42")
    assert stage.journal.apps() == [] and len(stage.journal.starts()) == 1
    assert place.states() == ["failed"] and place.applied() == set()


def test_restart_after_a_failure_backs_off_and_says_until_when(stage, place):
    """Case 24: the next start waits until not_before, then tries again and may succeed."""
    stage.start(migrate=stage.migration(exit=3)).expect_exit(3)
    failed_at = stage.journal.entries("fail")[0].at
    again = stage.start()
    backoff = again.wait_event("backoff")
    assert backoff["token"] == 1 and backoff["until"] and backoff["seconds"] >= 0
    stage.expect_all_started([again])
    assert again.saw("migrating", token=2, attempt=2, previous="failed")
    assert place.states() == ["failed", "succeeded"]
    assert stage.journal.starts()[1].at - failed_at > 1.9e9  # 1 s times 2 to the 1


def test_a_crowd_restarts_after_a_failure_and_one_tries(stage, place):
    """Case 24: ten replicas restart together after a failure: one further run, all start."""
    stage.start(migrate=stage.migration(exit=3)).expect_exit(3)
    replicas = stage.crowd(10, migrate=stage.migration(**{"for": 200}))
    stage.expect_all_started(replicas)
    assert place.states() == ["failed", "succeeded"] and len(stage.journal.starts()) == 2


def test_max_attempts_ends_it(stage, place):
    """--max-attempts: after that many failures nobody tries again: status and tail of the last run."""
    failing = stage.migration(exit=9, cry="no-such-column-17")
    for _ in range(2):
        stage.start("--max-attempts", "2", migrate=failing).expect_exit(9)
    third = stage.start("--max-attempts", "2")
    third.expect_exit(9)
    assert third.said("no-such-column-17") and not third.saw("migrating")
    assert len(stage.journal.starts()) == 2 and place.states() == ["failed", "failed"]


def test_new_target_starts_afresh(stage, place):
    """Case 24: failures of one target neither delay nor end the next one."""
    stage.start("--max-attempts", "1", migrate=stage.migration(exit=9)).expect_exit(9)
    fixed = stage.start("--max-attempts", "1", target="v2")
    stage.expect_all_started([fixed])
    assert not fixed.saw("backoff") and fixed.saw("migrating", token=2, attempt=1)
    assert place.applied() == {"v2"}


def test_on_failure_start(stage, place):
    """--on-failure start: winner and waiters run the app although the migration failed; the failure is recorded."""
    stage.checks_apps = False
    leader = stage.leader("--on-failure", "start", migrate=stage.held_migration(exit=5, cry="bad-thing"))
    waiter = stage.waiter("--on-failure", "start")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert leader.saw("failed") and waiter.saw("failed") and waiter.said("bad-thing")
    assert place.states() == ["failed"] and place.applied() == set()


def test_retries_in_place_are_one_run(stage, place):
    """--retries with --retry-delay: the winner repeats the command under the same lock and the same token."""
    script = stage.script('$STAMP start; if [ "$LOCKSTEP_ATTEMPT" -lt 3 ]; then $STAMP fail; exit 4; fi; $STAMP end')
    leader = stage.start("--retries", "2", "--retry-delay", "100ms", migrate=script)
    stage.expect_all_started([leader])
    assert [entry.token for entry in stage.journal.starts()] == ["1", "1", "1"]
    [run] = place.runs()
    assert (run["state"], run["attempt"], run["token"]) == ("succeeded", 3, 1)
    assert [e["attempt"] for e in leader.saw("migrating")] == [1, 2, 3]


def test_retries_used_up(stage, place):
    """--retries: after the last one it is one failed run with the last status; waiters fail with it."""
    script = stage.script('hold; $STAMP start; exit $((LOCKSTEP_ATTEMPT + 10))')
    leader = stage.start("--retries", "2", "--retry-delay", "100ms", migrate=script)
    leader.wait_event("migrating")
    waiter = stage.waiter()
    stage.release()
    leader.expect_exit(13)
    waiter.expect_exit(13)
    [run] = place.runs()
    assert (run["state"], run["exit_status"], run["attempt"]) == ("failed", 13, 3)


@pytest.mark.parametrize("previous", ["none", "failed", "succeeded", "interrupted", "lost"])
def test_previous(stage, place, previous):
    """LOCKSTEP_PREVIOUS tells how the run before ended."""
    dump = stage.directory / "previous"
    if previous == "failed":
        stage.start(target="v0", migrate=stage.migration(exit=1)).expect_exit(1)
    elif previous == "succeeded":
        stage.start(verb="migrate", target="v0").expect_exit(0)
    elif previous == "interrupted":
        leader = stage.leader(target="v0")
        leader.signal(signal.SIGTERM)
        leader.expect_exit(143)
    elif previous == "lost":
        stage.leader(target="v0").kill()
    last = stage.start(migrate=stage.script(f'$STAMP start; echo $LOCKSTEP_PREVIOUS > {dump}; $STAMP end'))
    last.expect_exit(0)
    assert dump.read_text().strip() == previous
    assert last.saw("migrating", previous=previous)


def test_output_that_is_no_text(stage, place):
    """Any bytes may come out of a migration (NUL, invalid UTF-8, escapes, no newline at the end): the log stays JSON, the run is recorded."""
    script = stage.script(r"$STAMP start; printf 'caf\351 \000 \377\n\033[1mbold\033[0m unfinished'; $STAMP end")
    replica = stage.start(migrate=script)
    stage.expect_all_started([replica])
    assert len(replica.saw("output", stream="stdout")) == 2
    assert place.states() == ["succeeded"]


# the holder goes away

def assert_taken_over(stage, place, waiter):
    """A dirty takeover: quarantine first, the old run marked lost, the new one told about it."""
    names = waiter.names()
    assert "quarantine" in names and names.index("quarantine") < names.index("migrating")
    assert "takeover" in names and names.index("takeover") < names.index("migrating")
    assert waiter.saw("migrating")[0]["previous"] == "lost"
    assert place.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("sig, status", [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_leader_is_stopped(stage, place, sig, status):
    """Case 3: SIGTERM mid-run is forwarded, recorded as interrupted, the lock is free: others take over without quarantine."""
    leader = stage.leader()
    waiter = stage.waiter()
    leader.signal(sig)
    leader.expect_exit(status)
    assert leader.saw("signal") and leader.saw("interrupted")
    assert leader.tree() == []
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    assert not waiter.saw("quarantine") and not waiter.saw("backoff")
    assert waiter.saw("migrating", token=2, previous="interrupted")
    assert place.states() == ["interrupted", "succeeded"]


def test_stopped_command_that_ignores_term(stage, place):
    """Case 4: the command ignores SIGTERM and has a grandchild in its own session: all are killed after the grace, before exit."""
    leader = stage.leader("--stop-grace", "1s", migrate=stage.held_migration(ignore=1, daemon=1))
    waiter = stage.waiter()
    leader.signal(signal.SIGTERM)
    leader.expect_exit(143)
    assert leader.tree() == [], "lockstep was gone before what it had started"
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    assert place.states() == ["interrupted", "succeeded"]


@pytest.mark.parametrize("command", [{}, {"ignore": 1, "daemon": 1}], ids=["obedient", "stubborn"])
def test_lockstep_is_killed(stage, place, command):
    """Cases 2, 4: kill -9 of lockstep alone: its command ends with it, to the last process, before another one starts."""
    leader = stage.leader(migrate=stage.held_migration(**command))
    waiters = [stage.waiter() for _ in range(3)]
    leader.kill_lockstep()
    second = stage.wait_command(2)
    assert leader.tree() == [], "a process of the first command was alive when the second one started"
    stage.release()
    stage.expect_all_started(waiters)
    [winner] = [w for w in waiters if w.saw("migrating")]
    assert second.token == "2"
    assert_taken_over(stage, place, winner)


def test_container_is_killed(stage, place):
    """Case 2: everything dies at once, nobody is there to wait: the next start finds a run without end and a free lock."""
    stage.leader().kill()
    second = stage.start()
    stage.expect_all_started([second])
    assert_taken_over(stage, place, second)


def test_killed_in_quarantine_stays_dirty(stage, place):
    """Rule 3: a winner that dies in the quarantine does not make it clean: the next one waits it out as well."""
    stage.leader().kill()
    unlucky = stage.start()
    unlucky.wait_event("quarantine")
    unlucky.kill()
    last = stage.start()
    last.wait_event("quarantine")
    stage.expect_all_started([last])
    assert_taken_over(stage, place, last)


def test_killed_runs_count_as_attempts(stage, place):
    """Rule 4: attempts are counted when a run is marked, so a command that gets its container killed ends at --max-attempts."""
    stage.leader("--max-attempts", "1").kill()
    last = stage.start("--max-attempts", "1")
    last.expect_exit(125)
    assert len(stage.journal.starts()) == 1 and place.applied() == set() and stage.journal.apps() == []


def test_lockstep_is_frozen_longer_than_the_lease(stage, place):
    """Case 8: SIGSTOP of lockstep alone: the leash ends the command at the deadline; on CONT the loss is seen, nothing recorded
    by right of the old lock. Whoever goes on, there is no overlap."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    command = stage.journal.starts()[0].pid
    leader.signal(signal.SIGSTOP)
    eventually(lambda: not is_alive(command), what="the leash has ended the command")
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert place.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as f:
            return f.read().rpartition(")")[2].split()[0] not in ("Z", "X")
    except FileNotFoundError:
        return False


def test_command_stopped_alone_is_no_loss(stage, place):
    """Case 10: a command that stands still (SIGSTOP, ^Z) loses no lock: heartbeats are lockstep's, not the command's."""
    leader = stage.leader()
    command = stage.journal.starts()[0].pid
    os.kill(command, signal.SIGSTOP)
    lasting(4)  # longer than the lease
    os.kill(command, signal.SIGCONT)
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_leftover_processes_end_before_success_is_recorded(stage, place):
    """Rule 0: the run is over when its last process is gone, also one that ignores SIGTERM in a session of its own."""
    leader = stage.leader(migrate=stage.held_migration(daemon=1))
    waiter = stage.waiter()
    stage.release()
    stage.expect_all_started([leader, waiter])
    [command] = stage.journal.commands()
    assert command.last < min(app.at for app in stage.journal.apps()), "a process of the migration outlived the gate"
    assert [e for e in leader.events if e["level"] == "warning"], "nobody was told"
    assert place.states() == ["succeeded"]
