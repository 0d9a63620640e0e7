"""Crowds at a Redis gate, and what one who waits there costs. locks.md section 5 and section 7, cases 1, 2, 24."""

import os
import re

import pytest

from harness.waiting import eventually, lasting


def sockets(pid):
    """Inodes of the sockets that a process has open."""
    found = set()
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            match = re.fullmatch(r"socket:\[(\d+)\]", os.readlink(f"/proc/{pid}/fd/{name}"))
            found.update(match.groups() if match else ())
    except FileNotFoundError:
        pass  # closed meanwhile
    return found


def connections(replicas, server):
    """How many TCP connections to the server each of the replicas has."""
    peer = f"0100007F:{server.port:04X}"
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    to_server = {row[9] for row in rows if row[2] == peer}
    return [len(to_server & sockets(replica.pid)) for replica in replicas]


def received(server):
    """How many connections the server has taken in its life."""
    return server.admin.info("stats")["total_connections_received"]


@pytest.mark.parametrize("n", [2, 10, 50, 200])
def test_all_start_together(new_stage, redis, redis_gate, n):
    """Case 1: one run, everybody starts; the winner has three connections at most, a waiter two, and no connection is made
    anew: the server has never seen more than that in all."""
    stage = new_stage(redis_gate.establish(lease=10))
    stage.lease = "10s"
    before = received(redis)
    replicas = stage.crowd(n, migrate=stage.held_migration())
    stage.wait_command()
    [winner] = eventually(lambda: [r for r in replicas if r.saw("migrating")], what="the winner says so")
    waiters = [r for r in replicas if r is not winner]
    for waiter in waiters:
        waiter.wait_event("waiting")
    assert connections([winner], redis)[0] in (2, 3)
    eventually(lambda: set(connections(waiters, redis)) == {2}, what="each waiter has its two connections: one listens")
    lasting(1.5)  # longer than a poll: what is opened for one would show
    assert set(connections(waiters, redis)) == {2}
    stage.release()
    stage.expect_all_started(replicas)
    assert received(redis) - before <= 3 + 2 * len(waiters)
    stage.journal.assert_applied_once()
    assert min(app.at for app in stage.journal.apps()) > stage.journal.ends()[0].at
    assert redis_gate.states() == ["succeeded"] and redis_gate.applied() == {"v1"}


def test_a_crowd_at_a_gate_that_is_open(new_stage, redis, redis_gate):
    """Case 1, second start: 50 that find their version ask once each and start: one connection, one command, no script."""
    stage = new_stage(redis_gate)
    stage.start(verb="migrate").expect_exit(0)
    before = received(redis)
    with redis.watched() as seen:
        stage.expect_all_started(stage.crowd(50))
    assert received(redis) - before == 50 + 1  # the one that watches
    asked = [command for command in seen.commands if not command.startswith('"SELECT"')]
    assert len(asked) == 50 and all(command.startswith('"HMGET"') for command in asked), asked


def switches(replica):
    """How often the process has gone to sleep."""
    with open(f"/proc/{replica.pid}/status") as status:
        return int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status.read(), re.MULTILINE).group(1))


def test_a_waiter_sleeps_between_its_polls(new_stage, redis, redis_gate):
    """Section 5: a waiter polls once a second (applied? what else? may I?) and does nothing in between; whoever listens hears it."""
    stage = new_stage(redis_gate)
    leader = stage.leader()
    waiter = stage.waiter()
    eventually(lambda: connections([waiter], redis) == [2], what="it listens")
    lasting(2)  # whatever it had to say first
    began, seconds = switches(waiter), 6
    with redis.watched() as seen:
        lasting(seconds)
    slept = switches(waiter) - began
    sent = [match for match in map(seen.LINE.fullmatch, seen.lines) if match and match["client"] != "lua"]
    [poller] = {match["client"] for match in sent if match["command"].startswith('"HMGET"')}
    polls = [match for match in sent if match["client"] == poller and match["command"].startswith('"HMGET"')]
    asked = [match for match in sent if match["client"] == poller]
    assert seconds / 2 <= len(polls) <= seconds * 2, f"{len(polls)} polls"
    assert len(asked) <= 3 * (len(polls) + 1), [match["command"][:60] for match in asked]
    assert slept <= 4 * (len(polls) + 2), f"it woke {slept} times for {len(polls)} polls"  # the clock, and three replies
    stage.release()
    stage.expect_all_started([leader, waiter])


def test_a_crowd_fails_together(new_stage, redis_gate):
    """Case 24: 50 replicas, the migration fails: one run, everybody ends with its status and shows its last words, no app starts."""
    stage = new_stage(redis_gate.establish(lease=10))
    stage.lease = "10s"
    replicas = stage.crowd(50, migrate=stage.held_migration(exit=7, cry="no-such-column-17"))
    stage.wait_command()
    eventually(lambda: all(r.saw("waiting") or r.saw("migrating") for r in replicas), what="everybody waits for the one")
    stage.release()
    for replica in replicas:
        replica.expect_exit(7)
        assert replica.saw("failed", status=7) and replica.said("no-such-column-17"), replica.story()
    assert len(stage.journal.starts()) == 1 and stage.journal.apps() == []
    assert redis_gate.states() == ["failed"] and redis_gate.applied() == set()


def test_a_crowd_takes_over(new_stage, redis_gate):
    """Case 2: the winner of 50 dies with all it had: one of the others waits out the quarantine and migrates, all 49 start."""
    stage = new_stage(redis_gate.establish(lease=5))
    stage.lease = "5s"
    leader = stage.leader()
    waiters = stage.crowd(49, migrate=stage.held_migration())
    for waiter in waiters:
        waiter.wait_event("waiting")
    leader.kill()
    second = stage.wait_command(2)
    stage.release()
    stage.expect_all_started(waiters)
    [winner] = [w for w in waiters if w.saw("migrating")]
    names = winner.names()
    assert names.index("quarantine") < names.index("takeover") < names.index("migrating")
    assert int(second.token) > int(stage.journal.starts()[0].token)
    assert redis_gate.states() == ["lost", "succeeded"] and len(stage.journal.starts()) == 2
