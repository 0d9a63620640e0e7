"""The replica that migrates dies, is frozen, or is not answered at a bad moment, beside a Redis. locks.md section 7, cases 2 to 4,
8 to 10, 23."""

import signal

import pytest

from harness.redis_faults import (DONE, FAILED, LOCK, LOCKED, MARK, SUCCEEDED, Lease, assert_taken_over, said)
from harness.waiting import boottime_ns, eventually, lasting


@pytest.fixture
def stage(new_stage, redis_gate):
    return new_stage(redis_gate)


def assert_run_once(stage, *replicas):
    """Whatever happened on the way: one command, recorded once, nobody was told to stop it."""
    stage.journal.assert_applied_once()
    assert stage.database.states()[-1] == "succeeded" and stage.database.applied() == {"v1"}
    assert not any(replica.saw("lost") for replica in replicas)


# it dies

def test_container_of_the_holder_is_killed(stage):
    """Case 2: everything dies at once. No connection tells Redis: the lock stays for the rest of the lease, then Q is waited out."""
    leader = stage.leader()
    waiter = stage.waiter()
    leader.kill()
    lease = Lease(stage.database)
    lease.assert_waited_out(stage.wait_command(2))
    stage.release()
    stage.expect_all_started([waiter])
    assert_taken_over(stage, waiter)


def test_lockstep_alone_is_killed(stage):
    """Case 2: kill -9 of lockstep: the leash ends the command, which ignores SIGTERM, before the lease is over."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    leader.kill_lockstep()
    lease = Lease(stage.database)
    leader.wait_gone()
    assert boottime_ns() < lease.over_at, "the command has outlived the lease"
    lease.assert_waited_out(stage.wait_command(2))
    stage.release()
    stage.expect_all_started([waiter])
    assert_taken_over(stage, waiter)


def test_successors_die_as_well(stage):
    """Case 2, rule 3: dirt is sticky: whoever dies in its quarantine leaves the next one with the whole of it."""
    stage.leader().kill()
    second = stage.start(migrate=stage.held_migration())
    second.wait_event("quarantine")
    second.kill()
    lease = Lease(stage.database)
    third = stage.start(migrate=stage.held_migration())
    lease.assert_waited_out(stage.wait_command(2))
    stage.release()
    stage.expect_all_started([third])
    assert_taken_over(stage, third)


def test_holder_is_told_to_stop(stage):
    """Case 3: SIGTERM in the middle of a run: forwarded, recorded as interrupted, the lock given back, no quarantine."""
    leader = stage.leader()
    waiter = stage.waiter()
    leader.signal(signal.SIGTERM)
    leader.expect_exit(143)
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    assert not waiter.saw("quarantine") and not waiter.saw("takeover")
    assert stage.database.states() == ["interrupted", "succeeded"]


def test_command_that_does_not_want_to_end(stage):
    """Case 4: it ignores SIGTERM and has left a daemon behind: all are killed before the end is recorded."""
    leader = stage.leader("--stop-grace", "1s", migrate=stage.held_migration(ignore=1, daemon=1))
    waiter = stage.waiter()
    leader.signal(signal.SIGTERM)
    leader.expect_exit(143)
    assert leader.tree() == []
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([waiter])
    assert stage.database.states() == ["interrupted", "succeeded"] and not waiter.saw("quarantine")


# it stands still

def test_lockstep_is_stopped_longer_than_the_lease(stage):
    """Case 8: SIGSTOP of lockstep alone: the leash ends the command at the deadline; on CONT the loss is seen, nothing recorded."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    leader.signal(signal.SIGSTOP)
    lease = Lease(stage.database)
    lease.assert_waited_out(stage.wait_command(2))
    assert stage.journal.commands()[0].last < lease.over_at, "the first command has outlived its lease"
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
    eventually(lambda: stage.database.lock_holder() is None, what="the lease is over")
    leader.signal(signal.SIGCONT)
    stage.expect_all_started([leader])
    assert stage.database.states()[-1] == "succeeded" and stage.database.applied() == {"v1"}


@pytest.mark.parametrize("ignore", [0, 1], ids=["a command that ends", "a command that ignores SIGTERM"])
def test_container_is_paused_longer_than_the_lease(stage, freezer, ignore):
    """Case 9: docker pause: the successor waits out lease and Q; after the thaw the command is killed, without the
    grace G (1.2 s), and records nothing."""
    options = {"ignore": 1} if ignore else {}
    leader = stage.leader(migrate=stage.held_migration(**options), inside=freezer.prefix)
    waiter = stage.waiter()
    freezer.freeze(leader)
    lease = Lease(stage.database)
    lease.assert_waited_out(stage.wait_command(2))
    thawed = boottime_ns()
    freezer.thaw(leader)
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, waiter)
    assert len(leader.saw("migrating")) == 1 and not leader.saw("migrated")
    stage.checks_overlap = False  # after a thaw a process may do a step before anybody can stop it
    stage.journal.assert_tokens_grow()
    paused = stage.journal.commands()[0]
    assert (paused.last - thawed) / 1e9 < 1.2, f"{(paused.last - thawed) / 1e9:.2f} s after the thaw it was still alive"


def test_pause_shorter_than_the_lease_but_not_than_the_deadline(stage, freezer):
    """Cases 9 and 10: nobody had the lock meanwhile, but nobody may know that after D: the command ends and is begun anew,
    by the same replica and so without a quarantine."""
    leader = stage.leader(inside=freezer.prefix)
    freezer.freeze(leader)
    lasting(1.6)  # D is 1.2 s
    freezer.thaw(leader)
    leader.wait_event("lost")
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader])
    assert stage.database.states() == ["lost", "succeeded"] and not leader.saw("quarantine")


def test_short_pause_is_verified_and_the_run_goes_on(stage, freezer):
    """Case 10: everything stops for longer than a tick but the lock is still ours: verified, the command goes on."""
    stage.database.establish(lease=20)
    leader = stage.leader("--lease", "20s", inside=freezer.prefix)
    freezer.freeze(leader)
    lasting(2.5)
    with stage.database.server.watched() as seen:
        freezer.thaw(leader)
        ticks = len(stage.journal.entries("tick"))
        seen.wait('"pexpire"')
        eventually(lambda: len(stage.journal.entries("tick")) > ticks + 5, what="the command goes on after the pause")
    stage.release()
    stage.expect_all_started([leader])
    assert_run_once(stage, leader)


# its connections go

@pytest.mark.parametrize("how", ["closed", "reset", "killed by the server"])
def test_connections_of_the_holder_are_cut(stage, proxy, how):
    """A lease is bound to no connection: the holder comes back on new ones, the command never notices."""
    server = stage.database.server
    line = proxy(server)
    leader = stage.leader(url=line.url(stage.database))
    for _ in range(3):
        before = line.total
        if how == "closed":
            line.cut()
        elif how == "reset":
            line.reset()
        else:
            for session in server.sessions():
                server.admin.client_kill_filter(_id=session["id"])
        eventually(lambda: line.total > before, what="the holder has connected again")
        with server.watched() as seen:
            seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader])
    assert_run_once(stage, leader)
    assert len(leader.saw("locked")) == 1


# a reply does not come

@pytest.mark.parametrize("action", ["cut", "blackhole"])
def test_reply_to_the_lock_is_lost(stage, proxy, action):
    """Case 23 for the acquisition: the lock is ours but we do not know: asked again, taken again under a new fence, without
    waiting for the lease to be over, no quarantine."""
    stage.database.establish(lease=20)
    line = proxy(stage.database.server)
    trap = line.trap("down", LOCKED, action, said(LOCK))
    replica = stage.start("--lease", "20s", "--wait-timeout", "15s", "--connect-timeout", "6s", url=line.url(stage.database))
    trap.wait()
    assert stage.database.lock_holder()
    if action == "blackhole":
        replica.wait_event("unavailable")
        line.heal()
    stage.expect_all_started([replica])
    assert_run_once(stage, replica)
    assert not replica.saw("quarantine") and stage.database.fence() == 2


def test_reply_to_the_lock_is_lost_and_another_is_there(stage, proxy):
    """As before, but the one that does not know dies: the lock that nobody uses is over with its lease, and nothing was marked."""
    line = proxy(stage.database.server)
    trap = line.trap("down", LOCKED, "blackhole", said(LOCK))
    first = stage.start(url=line.url(stage.database))
    trap.wait()
    first.kill()
    second = stage.start()
    stage.expect_all_started([second])
    assert_run_once(stage, second)
    assert not second.saw("quarantine")


@pytest.mark.parametrize("action", ["cut", "blackhole"])
def test_reply_to_the_mark_is_lost(stage, proxy, action):
    """Case 23 for the mark: a run is recorded of which nothing has run yet: it is that run which is begun, once."""
    line = proxy(stage.database.server)
    trap = line.trap("down", DONE, action, said(MARK))
    replica = stage.start("--connect-timeout", "6s", url=line.url(stage.database), migrate=stage.held_migration())
    trap.wait()
    assert stage.database.states() == ["running"] and stage.journal.starts() == []
    if action == "blackhole":
        replica.wait_event("lost")
        line.heal()
    stage.release()
    stage.expect_all_started([replica])
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"] and not replica.saw("quarantine")


@pytest.mark.parametrize("action", ["cut", "blackhole"])
def test_reply_to_the_end_is_lost(stage, proxy, action):
    """Case 23: Redis has recorded the success, its reply is swallowed: the run is read by its token, not run again."""
    line = proxy(stage.database.server)
    leader = stage.leader("--connect-timeout", "6s", url=line.url(stage.database))
    waiter = stage.waiter()
    trap = line.trap("down", DONE, action, said(SUCCEEDED))
    stage.release()
    trap.wait()
    assert stage.database.states() == ["succeeded"] and stage.database.lock_holder() is None
    if action == "blackhole":
        leader.wait_event("unavailable")
        line.heal()
    stage.expect_all_started([leader, waiter])
    assert_run_once(stage, leader, waiter)


def test_end_does_not_arrive(stage, proxy):
    """Rule 7: the connection is cut with the end on its way: recorded on another one, under a new fence, not run again."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("up", SUCCEEDED, "cut")
    stage.release()
    trap.wait()
    stage.expect_all_started([leader])
    assert_run_once(stage, leader)
    assert stage.database.states() == ["succeeded"]


def test_end_of_a_failure_does_not_arrive(stage, proxy):
    """Rule 7 for a failing command: recorded as what it was, and its status is what lockstep exits with."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database), migrate=stage.held_migration(exit=8))
    trap = line.trap("up", FAILED, "cut")
    stage.release()
    trap.wait()
    leader.expect_exit(8)
    assert stage.journal.apps() == [] and stage.database.applied() == set()
    assert stage.database.states() == ["failed"] and len(stage.journal.starts()) == 1


def test_killed_between_exit_0_and_the_end(stage, proxy):
    """Case 23: lockstep dies after the command's exit 0, before that is recorded: the outcome is unknown, so lost, and run again."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("up", SUCCEEDED, "blackhole")
    stage.release()
    trap.wait()
    leader.kill()
    assert len(stage.journal.ends()) == 1 and stage.database.applied() == set()
    line.cut()  # before heal(): the end that was held back must not arrive after all
    line.heal()
    second = stage.start()
    stage.expect_all_started([second])
    assert second.saw("quarantine") and second.saw("migrating", previous="lost")
    assert stage.database.states() == ["lost", "succeeded"]


def test_end_arrives_after_the_takeover(stage, proxy):
    """Case 23, the late write: the end is held back until others have taken over, and comes then: it changes nothing."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    trap = line.trap("up", SUCCEEDED, "blackhole")
    stage.release()
    trap.wait()
    stage.released.unlink()  # the next command waits again
    waiter = stage.start(migrate=stage.held_migration())
    second = stage.wait_command(2)
    line.heal()
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"]
    assert stage.database.runs()[-1]["token"] == int(second.token)
