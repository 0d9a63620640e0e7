"""The network between replicas and Redis falls silent, cuts, is slow, loses messages. locks.md section 7, cases 2, 5 to 7, 30."""

import pytest

from harness.proxy import DOWN, UP
from harness.redis_faults import BEAT, Lease, assert_taken_over
from harness.waiting import boottime_ns, eventually, lasting


@pytest.fixture
def stage(new_stage, redis_gate):
    return new_stage(redis_gate)


@pytest.fixture
def far(redises, link, new_stage):
    """A server that listens on both sides: a stage near to it, and the URL by which the far side reaches it."""
    gate = redises(listen=("127.0.0.1", link.near)).gate().establish()
    stage = new_stage(gate)
    stage.far_url = gate.url(host=link.near)
    return stage


def commands_of(replica):
    """Its processes but lockstep itself."""
    return [pid for pid in replica.tree() if pid != replica.pid]


# silence

@pytest.mark.parametrize("dropped, moment", [("both", "any"), ("both", "right after a reply"), ("replies", "any"), ("requests", "any")])
def test_silent_partition_of_the_leader(far, link, dropped, moment):
    """Cases 5, 6, 7: packets between leader and Redis vanish (both ways, right after a reply, one way only), with a heartbeat in
    flight: the command is dead before Redis gives the lock away, a waiter takes over after Q, no overlap."""
    leader = far.leader(inside=link.prefix, url=far.far_url, migrate=far.held_migration(ignore=1))
    waiter = far.waiter()
    if moment == "any":
        link.cut(requests=dropped != "replies", replies=dropped != "requests")
    else:
        with far.database.server.watched() as seen:
            seen.wait('"pexpire"')
            link.cut()
    cut = boottime_ns()
    leader.wait_event("lost")
    eventually(lambda: not commands_of(leader), what="the command is gone")
    lease = Lease(far.database)  # it stands still
    lease.assert_waited_out(far.wait_command(2))
    assert lease.over_at >= cut, "the heartbeats did not renew anything"
    far.release()
    far.expect_all_started([waiter])
    link.heal()
    far.expect_all_started([leader, waiter])  # it is a waiter like the others now
    assert_taken_over(far, waiter)
    assert not leader.saw("migrated") and len(leader.saw("migrating")) == 1


def test_leader_killed_behind_a_partition(far, link):
    """Cases 2 and 5: the leader is cut off and then killed: the lock is free by the lease alone."""
    leader = far.leader(inside=link.prefix, url=far.far_url)
    link.cut()
    leader.kill()
    lease = Lease(far.database)
    waiter = far.start(migrate=far.held_migration())
    lease.assert_waited_out(far.wait_command(2))
    far.release()
    far.expect_all_started([waiter])
    assert_taken_over(far, waiter)


def test_partition_with_a_message_on_its_way(far, link):
    """Cases 6 and 30: a waiter is cut off, the version arrives meanwhile (its message is lost): it gets through after healing."""
    leader = far.leader()
    waiter = far.waiter(inside=link.prefix, url=far.far_url)
    link.cut()
    far.release()
    leader.expect_exit(0)
    assert waiter.running()
    link.heal()
    far.expect_all_started([leader, waiter])
    far.journal.assert_applied_once()


def test_partition_of_a_waiter_for_good(far, link):
    """A waiter that is cut off for longer than --connect-timeout gives up with 125; the others do not care."""
    leader = far.leader()
    waiter = far.waiter("--connect-timeout", "3s", inside=link.prefix, url=far.far_url)
    link.cut()
    waiter.expect_exit(125)
    assert waiter.saw("unavailable") and waiter.saw("error")
    far.release()
    far.expect_all_started([leader])


def test_partition_in_quarantine(far, link):
    """Case 5 for the one that waits out Q: it has no command to stop, loses the lock, and whoever comes next waits out the whole Q."""
    far.leader().kill()
    second = far.start(inside=link.prefix, url=far.far_url, migrate=far.held_migration())
    second.wait_event("quarantine")
    third = far.waiter()
    link.cut()
    second.wait_event("lost")
    lease = Lease(far.database)
    lease.assert_waited_out(far.wait_command(2))
    link.heal()
    far.release()
    far.expect_all_started([second, third])
    assert_taken_over(far, third)


@pytest.mark.parametrize("directions", [(UP, DOWN), (UP,), (DOWN,)], ids=["both", "requests", "replies"])
def test_blackhole_where_tcp_looks_alive(stage, proxy, directions):
    """Case 7: something in the middle acknowledges every packet and passes nothing on: no keepalive notices, only heartbeats do."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database), migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    line.blackhole(*directions)
    leader.wait_event("lost")
    second = stage.wait_command(2)
    assert not commands_of(leader) and second
    line.heal()
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, waiter)


def test_connection_that_takes_a_heartbeat_and_is_silent(stage, proxy):
    """One connection dies with a heartbeat on it, the server is well: tried again on another one, long before D (8 s here)."""
    stage.lease = "20s"
    stage.database.establish(lease=20)
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    line.trap(UP, BEAT, "mute").wait()
    with stage.database.server.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_one_lost_heartbeat_is_no_loss(stage, proxy):
    """Inequality 3 H + round trip <= D: a gap shorter than D (here with a lease of 20 s) neither stops nor repeats the run."""
    stage.lease = "20s"
    stage.database.establish(lease=20)
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    line.blackhole()
    lasting(3)
    line.heal()
    with stage.database.server.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_late_heartbeat_gives_nothing_back(stage, proxy):
    """A heartbeat that was held back until another has the lock is refused: its value is not the lock's any more."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    line.trap(UP, BEAT, "blackhole").wait()
    waiter = stage.waiter()
    second = stage.wait_command(2)
    holder = stage.database.wait_lock_holder()
    line.heal()
    leader.wait_event("waiting")  # it is back
    assert stage.database.lock_holder()[:2] == holder[:2]
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, waiter)
    assert int(second.token) == holder.fence


def test_slow_network(stage, proxy):
    """100 ms each way: the run is neither lost nor repeated, waiters get through."""
    line = proxy(stage.database.server)
    line.delay = 0.1
    replicas = stage.crowd(5, url=line.url(stage.database), migrate=stage.migration(**{"for": 3000}))
    stage.expect_all_started(replicas)
    assert not any(r.saw("lost") for r in replicas)
    stage.journal.assert_applied_once()


def test_connections_cut_again_and_again(stage, proxy):
    """A load balancer that closes every connection each second: the holder goes on, waiters come back, the version arrives."""
    line = proxy(stage.database.server)
    leader = stage.leader(url=line.url(stage.database))
    waiters = [stage.waiter(url=line.url(stage.database)) for _ in range(5)]
    for _ in range(4):
        line.cut()
        lasting(1)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
    assert not leader.saw("lost")


# messages

def subscribers(server):
    return [session["id"] for session in server.sessions() if session["sub"] == "1"]


def test_message_is_lost(stage, proxy):
    """Case 30: the message of the end never arrives, though the subscription looks alive: the poll wakes within about a second."""
    line = proxy(stage.database.server)
    leader = stage.leader()
    waiter = stage.waiter(url=line.url(stage.database))
    eventually(lambda: subscribers(stage.database.server), what="the waiter listens")
    trap = line.trap(DOWN, rb"\$7\r\nmessage\r\n", "mute")
    stage.release()
    trap.wait()
    lost = boottime_ns()
    stage.expect_all_started([leader, waiter])
    assert (boottime_ns() - lost) / 1e9 < 5, "one that does not listen would look after 2 to 15 s"
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("how", ["killed", "dropped"])
def test_listener_is_cut(stage, proxy, how):
    """Case 30: CLIENT KILL TYPE pubsub, or the proxy closes everything: the waiter listens again and is woken by the end."""
    server = stage.database.server
    line = proxy(server)
    leader = stage.leader()
    waiter = stage.waiter(url=line.url(stage.database))
    for _ in range(3):
        [before] = eventually(lambda: subscribers(server), what="the waiter listens")
        if how == "killed":
            server.admin.client_kill_filter(_type="pubsub")
        else:
            line.cut()
        eventually(lambda: subscribers(server) not in ([], [before]), what="the waiter listens again")
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()
