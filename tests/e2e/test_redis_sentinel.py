"""A master and its replica under three sentinels: failovers with and without lost writes, sentinels that are dead, silent, stale.
locks.md section 7, cases 14, 15, 29."""

import contextlib
import signal
import socket
import threading

import pytest

from harness import processes
from harness.redis import HARNESS
from harness.redis_faults import assert_quarantined, assert_taken_over
from harness.waiting import boottime_ns, eventually

PLENTY = 20  # a lease whose D (8 s) is longer than a failover


@pytest.fixture
def guarded(sentinels, new_stage):
    """guarded(lease=3) is a stage whose gate is established in a master under sentinels; stage.group are they."""
    def create(lease=3):
        group = sentinels()
        stage = new_stage(group.gate().establish(lease=lease))
        stage.group, stage.lease = group, f"{lease}s"
        eventually(lambda: group.replica.caught_up_with(group.master), what="the replica knows the gate")
        return stage
    return create


def subscribers(server):
    return [session["id"] for session in server.sessions() if session["sub"] == "1" and not session["name"].startswith("sentinel-")]


def crash(group, fault=None):
    """The master dies, or another fault befalls it, with everything replicated; returns when its replica is the master."""
    eventually(lambda: group.replica.caught_up_with(group.master), what="the replica has everything")
    (fault or group.master.kill)()
    return group.wait_promoted(group.replica)


# the lease lives on

@pytest.mark.parametrize("how", ["planned", "crash", "hang"])
def test_failover_while_a_command_runs(guarded, how):
    """Case 29: the lease was replicated and the new master is there before s + D: the holder goes on there, the waiter listens
    there, nothing is lost, nothing is run twice; the old master comes back as a replica and has the end as well."""
    stage = guarded(PLENTY)
    group = stage.group
    leader = stage.leader()
    waiter = stage.waiter()
    holder = stage.database.wait_lock_holder()
    new = group.fail_over() if how == "planned" else crash(group, group.master.pause if how == "hang" else group.master.kill)
    with new.watched() as seen:
        seen.wait('"pexpire"')
    assert stage.database.lock_holder()[:2] == holder[:2]
    eventually(lambda: subscribers(new), what="the waiter listens at the new master")
    if how == "crash":
        group.master.start()
    group.master.resume()
    eventually(lambda: group.master.role() == "slave" and group.master.caught_up_with(new), what="the old master is a replica")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]
    eventually(lambda: group.master.caught_up_with(new), what="the old master has the end")
    assert stage.database.at(group.master).states() == ["succeeded"]


def test_old_master_that_comes_back_stale(guarded):
    """Case 29: it returns with an old idea of itself as a master until a sentinel reconfigures it: nobody meets there."""
    stage = guarded(PLENTY)
    group = stage.group
    leader = stage.leader()
    new = crash(group)
    group.master.start()  # a master for a moment, and empty
    waiters = [stage.waiter() for _ in range(3)]
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
    assert stage.database.at(new).states() == ["succeeded"] and not leader.saw("lost")


def test_two_masters(sentinels, new_stage):
    """Case 29: the sentinels cannot reach the old master any more, but its clients can; it goes on as if nothing had been. The
    sentinels are believed: holder and waiter leave it for the new one."""
    group = sentinels(users={"app": "on >secret ~* &* +@all", "default": "off"})
    stage = new_stage(group.gate().establish(lease=PLENTY), group.url(user="app", password="secret"))
    stage.group, stage.lease = group, f"{PLENTY}s"
    leader = stage.leader()
    waiter = stage.waiter()

    def shut_out():
        old = group.master.client("app", "secret")
        old.execute_command("ACL SETUSER", HARNESS, "off")
        old.execute_command("CLIENT KILL", "USER", HARNESS)
    new = crash(group, shut_out)
    assert group.master.client("app", "secret").role()[0] == "master", "there is only one master"
    with new.watched() as seen:
        seen.wait('"pexpire"')
    eventually(lambda: subscribers(new), what="the waiter listens at the new master")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()
    assert stage.database.at(new).states() == ["succeeded"]


# the lease is over, or was never there

def test_failover_longer_than_the_deadline(guarded):
    """Case 29: the failover takes longer than D: the command ends; at the new master, which is another server, Q is waited out."""
    stage = guarded()
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    since = boottime_ns()
    crash(stage.group)
    leader.wait_event("lost")
    assert_quarantined(since, stage.wait_command(2))
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("lost", ["the lock and the mark", "the lock and the mark, with their holder stopped", "the mark of a second run"])
def test_failover_with_lost_writes(guarded, lost):
    """Case 29: the replica had stopped, so the new master knows nothing of the run that goes on: the lock is free there at once.
    It is another server than at the last mark: Q, in which the old command dies; no overlap, and a token of its own."""
    stage = guarded(6)
    group = stage.group
    if lost == "the mark of a second run":
        stage.start(verb="migrate", target="v0").expect_exit(0)
        eventually(lambda: group.replica.caught_up_with(group.master), what="the replica has the first run")
    done = len(stage.journal.ends())
    group.hold_back_writes()
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    first = stage.journal.starts()[-1]
    waiter = stage.waiter()
    if "stopped" in lost:
        leader.signal(signal.SIGSTOP)  # its command lives on for D + G, past the promotion
    since = boottime_ns()
    group.master.kill()
    group.replica.resume()
    group.wait_promoted(group.replica)
    second = stage.wait_command(done + 2)
    assert_quarantined(since, second, lease=6)
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert len(stage.journal.ends()) == done + 1
    assert stage.database.applied() == ({"v0", "v1"} if done else {"v1"})
    assert int(second.token) > int(first.token), "two commands had the same fencing token"


@pytest.mark.parametrize("how", ["planned", "crash"])
def test_failover_between_runs(guarded, how):
    """Case 14: nothing was running, but it is another server than at the last mark: Q before the first command."""
    stage = guarded()
    stage.start(verb="migrate", target="v0").expect_exit(0)
    if how == "planned":
        stage.group.fail_over()
    else:
        crash(stage.group)
    replica = stage.start()
    stage.expect_all_started([replica])
    assert replica.saw("quarantine") and stage.database.applied() == {"v0", "v1"}


def test_failover_in_quarantine(guarded):
    """Case 29: whoever waits out Q at the old master keeps its lease at the new one, or begins again there: no overlap."""
    stage = guarded(6)
    stage.leader(migrate=stage.held_migration(ignore=1)).kill_lockstep()
    second = stage.start(migrate=stage.held_migration())
    second.wait_event("quarantine")
    crash(stage.group)
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([second])
    assert_taken_over(stage, second)


# switch-master while waiting

@pytest.mark.parametrize("how", ["planned", "crash"])
def test_failover_while_everybody_waits(guarded, how):
    """Case 29: nobody runs anything; those who wait for a version listen at the new master, and pass when it is applied there."""
    stage = guarded()
    waiters = [stage.start(verb="wait") for _ in range(3)]
    eventually(lambda: len(subscribers(stage.group.master)) == 3, what="all listen")
    new = stage.group.fail_over() if how == "planned" else crash(stage.group)
    eventually(lambda: len(subscribers(new)) == 3, what="all listen at the new master")
    stage.expect_all_started([*waiters, stage.start()])
    stage.journal.assert_applied_once()


def test_failovers_back_and_forth(guarded):
    """Case 29: twice in a row, with a run going on; each time everybody follows."""
    stage = guarded(PLENTY)
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(3)]
    for _ in range(2):
        new = stage.group.fail_over()
        with new.watched() as seen:
            seen.wait('"pexpire"')
        eventually(lambda: len(subscribers(new)) == 3, what="all listen at the new master")
        eventually(lambda: all(s.knows_all() for s in stage.group.sentinels), what="the sentinels know everybody")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
    assert not leader.saw("lost")


# sentinels that are no help

@pytest.mark.parametrize("which", ["first", "first two", "last two"])
@pytest.mark.parametrize("how", ["dead", "silent"])
def test_some_sentinels_are_down(guarded, which, how):
    """Case 29: dead sentinels refuse, silent ones accept and say nothing: the next one of the URL is asked."""
    stage = guarded()
    down = {"first": slice(0, 1), "first two": slice(0, 2), "last two": slice(1, 3)}[which]
    with contextlib.ExitStack() as healing:
        for sentinel in stage.group.sentinels[down]:
            if how == "dead":
                sentinel.kill()
            else:
                sentinel.pause()
                healing.callback(sentinel.resume)
        replicas = stage.crowd(3, url=stage.database.url())
        stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_sentinel_is_silent_and_time_is_short(guarded):
    """Case 29: a silent first sentinel must not use up --connect-timeout."""
    stage = guarded()
    stage.group.sentinels[0].pause()
    try:
        stage.expect_all_started([stage.start("--connect-timeout", "3s")])
    finally:
        stage.group.sentinels[0].resume()


def test_holder_comes_back_past_a_silent_sentinel(guarded):
    """Case 29: the holder's connection is cut, and the first sentinel that it asks for the master is silent: it asks the next one
    while there is still time (D = 2.4 s)."""
    stage = guarded(6)
    leader = stage.leader()
    master = stage.group.master
    stage.group.sentinels[0].pause()
    try:
        for session in master.sessions():
            if not session["name"].startswith("sentinel-"):
                master.admin.client_kill_filter(_id=session["id"])
        with master.watched() as seen:
            seen.wait('"pexpire"')
    finally:
        stage.group.sentinels[0].resume()
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_all_sentinels_are_down(guarded):
    """Case 29: whoever is connected goes on without them; whoever comes tries again until --connect-timeout, and through if one is back."""
    stage = guarded()
    leader = stage.leader()
    waiter = stage.waiter()
    for sentinel in stage.group.sentinels:
        sentinel.kill()
    bounded = stage.start("--connect-timeout", "2s")
    bounded.expect_exit(125)
    assert bounded.saw("unavailable") and str(stage.group.sentinels[2].port) in bounded.log
    late = stage.start()
    late.wait_event("unavailable")
    stage.group.sentinels[1].start()
    stage.release()
    stage.expect_all_started([leader, waiter, late])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_wrong_name_of_the_master(guarded):
    """Case 29: a name that no sentinel knows: 125, and the error says it."""
    stage = guarded()
    replica = stage.start("--connect-timeout", "2s", url=stage.url.replace("/prime/", "/primus/"))
    replica.expect_exit(125)
    assert '"primus"' in replica.saw("error")[0]["message"]


class StaleSentinel:
    """Names the server that it is told to name, whatever has become of that."""

    def __init__(self, names):
        self.names, self.port, self.asked = names, processes.free_port(), 0
        self.listener = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self.listener.accept()[0],), daemon=True).start()

    def _answer(self, client):
        with contextlib.suppress(OSError), client:
            while request := client.recv(4096):
                if b"GET-MASTER-ADDR-BY-NAME" in request.upper():
                    self.asked += 1
                    port = str(self.names.port)
                    client.sendall(f"*2\r\n$9\r\n127.0.0.1\r\n${len(port)}\r\n{port}\r\n".encode())
                else:
                    client.sendall(b"*3\r\n$9\r\nsubscribe\r\n$14\r\n+switch-master\r\n:1\r\n")

    def close(self):
        self.listener.close()


@pytest.fixture
def stale(made):
    def create(names):
        sentinel = StaleSentinel(names)
        return made.add(sentinel, sentinel.close)
    return create


def test_stale_sentinel_names_a_replica(guarded, stale):
    """Cases 15 and 29: ROLE says that it is no master: nobody meets there; through when the sentinel has learnt better."""
    stage = guarded()
    sentinel = stale(stage.group.replica)
    replica = stage.start(url=stage.database.url(hosts=[f"127.0.0.1:{sentinel.port}"]))
    replica.wait_event("unavailable")
    assert replica.said("no master") and not replica.saw("locked")
    sentinel.names = stage.group.master
    stage.expect_all_started([replica])
    stage.journal.assert_applied_once()


def test_stale_sentinel_is_not_the_only_one(guarded, stale):
    """Case 29: a sentinel that was left behind (its network is cut) names a replica for ever: the others of the URL are asked."""
    stage = guarded()
    sentinel = stale(stage.group.replica)
    hosts = [f"127.0.0.1:{s.port}" for s in (sentinel, *stage.group.sentinels)]
    stage.expect_all_started([stage.start("--connect-timeout", "9s", url=stage.database.url(hosts=hosts))])
    stage.journal.assert_applied_once()


def test_stale_sentinel_names_a_dead_master(guarded, stale):
    """Case 29: the same with the address of a master that is gone."""
    stage = guarded()
    stage.group.servers.append(dead := type(stage.group.master)(stage.directory))  # never started
    sentinel = stale(dead)
    hosts = [f"127.0.0.1:{s.port}" for s in (sentinel, *stage.group.sentinels)]
    stage.expect_all_started([stage.start("--connect-timeout", "9s", url=stage.database.url(hosts=hosts))])
    stage.journal.assert_applied_once()
