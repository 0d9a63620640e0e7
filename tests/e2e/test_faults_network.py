"""The network between replicas and server falls silent, is slow, or is not there yet. locks.md section 7, cases 5 to 7, 26, 30."""

import signal
import socket
import threading

import pytest

from harness import processes
from harness.proxy import DOWN, UP, Proxy
from harness.waiting import eventually, lasting


@pytest.fixture
def far(clusters, link, new_stage):
    """A server that listens on both sides: a stage near to it, and the URL by which the far side reaches it."""
    database = clusters(listen=("127.0.0.1", link.near)).database()
    stage = new_stage(database)
    stage.far_url = database.url(host=link.near)
    return stage


def assert_taken_over(stage, leader, waiter):
    assert not leader.saw("migrated") and len(leader.saw("migrating")) == 1
    assert waiter.saw("quarantine") and waiter.saw("migrating", previous="lost")
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def after_a_heartbeat(database):
    """Returns right after the server has answered a heartbeat of the holder: its reply is not acknowledged yet."""
    pid = database.wait_lock_holder()
    last = lambda: database.query("SELECT state_change FROM pg_stat_activity WHERE pid = %s", pid)[0]["state_change"]
    first = last()
    eventually(lambda: last() != first, what="a heartbeat", every=0)


@pytest.mark.parametrize("dropped, moment", [("both", "any"), ("both", "right after a reply"), ("replies", "any"), ("requests", "any")])
def test_silent_partition_of_the_leader(far, link, dropped, moment):
    """Cases 5, 6, 7: packets between leader and server vanish (both ways, right after a reply, one way only): the leader's
    command is dead before the server gives the lock away, a waiter takes over after the quarantine, no overlap."""
    leader = far.leader(inside=link.prefix, url=far.far_url, migrate=far.held_migration(ignore=1))
    waiter = far.waiter()
    if moment != "any":
        after_a_heartbeat(far.database)
    link.cut(requests=dropped != "replies", replies=dropped != "requests")
    leader.wait_event("lost")
    far.wait_command(2)
    far.release()
    far.expect_all_started([waiter])
    link.heal()
    far.expect_all_started([leader, waiter])  # it is a waiter like the others now
    assert_taken_over(far, leader, waiter)


def test_leader_killed_behind_a_partition(far, link):
    """Cases 2 and 5: the leader is cut off and then killed, so no FIN ever arrives: the lock is free by the server's lease alone."""
    leader = far.leader(inside=link.prefix, url=far.far_url)
    link.cut()
    leader.kill()
    waiter = far.start(migrate=far.held_migration())
    far.wait_command(2)
    far.release()
    far.expect_all_started([waiter])
    assert far.database.states() == ["lost", "succeeded"] and waiter.saw("quarantine")


def test_partition_with_a_notification_on_its_way(far, link):
    """Cases 6 and 30: a waiter is cut off, the version arrives meanwhile (its NOTIFY is lost): it gets through after healing."""
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


def test_one_lost_heartbeat_is_no_loss(stage, proxy, cluster):
    """Inequality 3 H + round trip <= D: a gap shorter than D (here with a lease of 20 s) neither stops nor repeats the run."""
    line = proxy(cluster)
    leader = stage.leader("--lease", "20s", url=line.url(stage.database))
    line.blackhole()
    lasting(3)
    line.heal()
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


@pytest.mark.parametrize("directions", [(UP, DOWN), (UP,), (DOWN,)], ids=["both", "requests", "replies"])
def test_blackhole_where_tcp_looks_alive(stage, proxy, cluster, directions):
    """Case 7: something in the middle acknowledges every packet and passes nothing on: no keepalive notices, only heartbeats do."""
    line = proxy(cluster)
    leader = stage.leader(url=line.url(stage.database))
    waiter = stage.waiter()
    line.blackhole(*directions)
    leader.wait_event("lost")
    stage.wait_command(2)
    line.heal()
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, leader, waiter)


def test_slow_network(stage, proxy, cluster):
    """100 ms each way: the run is neither lost nor repeated, waiters get through."""
    line = proxy(cluster)
    line.delay = 0.1
    replicas = stage.crowd(5, url=line.url(stage.database), migrate=stage.migration(**{"for": 3000}))
    stage.expect_all_started(replicas)
    assert not any(r.saw("lost") for r in replicas)
    stage.journal.assert_applied_once()


def test_connections_cut_again_and_again(stage, proxy, cluster):
    """A load balancer that closes every connection each second: waiters come back, and the version arrives in the end."""
    line = proxy(cluster)
    leader = stage.leader()
    waiters = [stage.waiter(url=line.url(stage.database)) for _ in range(5)]
    for _ in range(3):
        line.cut()
        lasting(1)
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()


# the server is not there (yet)

def test_server_appears_later(stage, cluster, made):
    """Connection refused at start is waited out: `unavailable`, then on as if nothing had been."""
    port = processes.free_port()
    replica = stage.start(url=stage.database.url(port=port))
    assert replica.wait_event("unavailable")["error"]
    line = Proxy(("127.0.0.1", cluster.port), port)
    made.add(line, line.close)
    stage.expect_all_started([replica])


def test_server_never_appears(stage):
    """Refused for longer than --connect-timeout: 125 and an error that says where."""
    port = processes.free_port()
    replica = stage.start("--connect-timeout", "1s", url=stage.database.url(port=port))
    replica.expect_exit(125)
    assert replica.saw("unavailable") and str(port) in replica.saw("error")[0]["message"]


def test_check_does_not_wait_for_a_server(stage):
    """`check` is one look: unreachable is 125 at once, whatever --connect-timeout says."""
    stage.start("--connect-timeout", "10m", verb="check", url=stage.database.url(port=processes.free_port())).expect_exit(125)


def test_server_accepts_and_says_nothing(stage, proxy, cluster):
    """A connection that is accepted and never answered counts as unreachable."""
    line = proxy(cluster)
    line.blackhole()
    replica = stage.start("--connect-timeout", "2s", url=line.url(stage.database))
    replica.expect_exit(125)


def test_server_that_was_silent_answers_at_last(stage, proxy, cluster):
    """As before, but it comes back within --connect-timeout."""
    line = proxy(cluster)
    line.blackhole()
    replica = stage.start(url=line.url(stage.database))
    eventually(lambda: line.total >= 1, what="it has tried to connect")
    lasting(2)
    line.heal()
    stage.expect_all_started([replica])


def test_packets_to_the_server_vanish_at_connect(far, link):
    """SYN packets vanish (a firewall that drops): bounded by --connect-timeout; TERM ends it at any time."""
    link.cut()
    bounded = far.start("--connect-timeout", "2s", inside=link.prefix, url=far.far_url)
    patient = far.start(inside=link.prefix, url=far.far_url)
    bounded.expect_exit(125)
    patient.signal(signal.SIGTERM)
    patient.expect_exit(143, timeout=10)


# names

@pytest.fixture
def private_etc(stage):
    """A prefix that gives a replica a hosts file and a resolver of its own: (prefix, hosts, use_resolver)."""
    hosts, resolver = stage.directory / "hosts", stage.directory / "resolv.conf"
    hosts.write_text("127.0.0.1 localhost\n")
    resolver.write_text("nameserver 127.0.0.1\n")
    prefix = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c",
              f'mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf && exec "$@"', "sh"]
    return prefix, hosts, resolver


def test_name_that_never_resolves(stage, private_etc):
    """Case 26: a name that does not resolve is retried until --connect-timeout, then 125, and the error names it."""
    replica = stage.start("--connect-timeout", "2s", inside=private_etc[0], url=stage.database.url(host="db.invalid"))
    replica.expect_exit(125)
    assert "db.invalid" in replica.saw("error")[0]["message"]


def test_name_resolves_later(stage, private_etc):
    """Case 26: the service name appears after the replicas have started (compose, Kubernetes): they find it."""
    prefix, hosts, _ = private_etc
    replicas = stage.crowd(3, inside=prefix, url=stage.database.url(host="db.invalid"))
    for replica in replicas:
        replica.wait_event("unavailable")
    with open(hosts, "a") as f:  # in place: a bind mount shows the file, not the name
        f.write("127.0.0.1 db.invalid\n")
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_name_moves_to_another_address(far, link, private_etc):
    """Case 26: the name is resolved anew for each connection: a server that moved is found."""
    prefix, hosts, _ = private_etc
    hosts.write_text("127.0.0.9 db.invalid\n")  # nobody listens there
    replica = far.start(inside=prefix, url=far.database.url(host="db.invalid"))
    replica.wait_event("unavailable")
    hosts.write_text(f"{link.near} db.invalid\n")
    far.expect_all_started([replica])


@pytest.mark.parametrize("how", ["signal", "connect-timeout"])
def test_resolver_that_never_answers(link, stage, private_etc, how):
    """Case 26: a dead name server blocks nothing: a signal and --connect-timeout still end lockstep in time."""
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # receives questions, never answers
    silent.bind((link.near, 53))
    asked = threading.Event()
    threading.Thread(target=lambda: (silent.recvfrom(512), asked.set()), daemon=True).start()
    prefix, _, resolver = private_etc
    resolver.write_text(f"nameserver {link.near}\n")
    replica = stage.start("--connect-timeout", "2s" if how == "connect-timeout" else "1h", inside=link.prefix + prefix,
                          url=stage.database.url(host="db.invalid"))
    assert asked.wait(30), "it never asked"
    if how == "signal":
        replica.signal(signal.SIGTERM)
    replica.expect_exit(143 if how == "signal" else 125, timeout=3 if how == "signal" else 15)
    silent.close()


def test_ipv6_and_several_addresses(clusters, new_stage):
    """localhost with both families while the server listens on one: every address is tried."""
    stage = new_stage(clusters(listen=("127.0.0.1",)).database())
    stage.expect_all_started([stage.start(url=stage.database.url(host="localhost"))])


def test_silent_first_host(stage):
    """A host that accepts and says nothing does not hide the next one of the URL, as libpq's connect_timeout would see to."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = stage.database.url().replace("@", f"@127.0.0.1:{port},", 1)
        stage.expect_all_started([stage.start("--connect-timeout", "9s", url=url)])
