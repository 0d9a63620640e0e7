"""Redis is not there (yet), accepts and is silent, or its name does not resolve. locks.md section 7, cases 26, 32."""

import signal
import socket
import threading

import pytest

from harness import processes
from harness.etc import PrivateEtc
from harness.proxy import Proxy
from harness.redis_faults import Lease, assert_taken_over
from harness.waiting import eventually, lasting


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


# Redis is not there (yet)

def test_server_appears_later(stage, made):
    """Case 32: connection refused at start is waited out: `unavailable`, then on as if nothing had been."""
    port = processes.free_port()
    replica = stage.start(url=stage.database.url(port=port))
    assert replica.wait_event("unavailable")["error"]
    line = Proxy(("127.0.0.1", stage.database.server.port), port)
    made.add(line, line.close)
    stage.expect_all_started([replica])


def test_socket_appears_later(redises, new_stage):
    """Case 32 for a Unix socket: its file is not there, then nobody accepts at it, then somebody does."""
    server = redises()
    stage = new_stage(server.gate())
    server.stop()
    replica = stage.start(url=stage.database.unix_url())
    replica.wait_event("unavailable")
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(server.socket))
    eventually(lambda: replica.said("Connection refused"), what="nobody accepts")
    server.start()
    stage.expect_all_started([replica])


@pytest.mark.parametrize("options", [(), ("--connect-timeout", "1s")], ids=["check", "run"])
def test_server_never_appears(stage, options):
    """Case 32: refused for longer than --connect-timeout: 125 and an error that says where; `check` does not wait at all."""
    port = processes.free_port()
    replica = stage.start(*options or ("--connect-timeout", "10m"), verb=None if options else "check", url=stage.database.url(port=port))
    replica.expect_exit(125, timeout=20)
    assert str(port) in replica.saw("error")[0]["message"]


@pytest.mark.parametrize("silent", ["proxy", "server"])
def test_server_accepts_and_says_nothing(stage, proxy, silent):
    """Case 32: a connection that is accepted and never answered counts as unreachable: our own timer fires, 125 in the end."""
    line = proxy(stage.database.server)
    if silent == "server":
        stage.database.server.pause()
    else:
        line.blackhole()
    try:
        replica = stage.start("--connect-timeout", "2s", url=line.url(stage.database))
        replica.expect_exit(125, timeout=20)
        assert replica.saw("unavailable")
    finally:
        stage.database.server.resume()


def test_server_that_was_silent_answers_at_last(stage, proxy):
    """Case 32: as before, but it comes back within --connect-timeout."""
    line = proxy(stage.database.server)
    line.blackhole()
    replica = stage.start(url=line.url(stage.database))
    eventually(lambda: line.total >= 1, what="it has tried to connect")
    lasting(2)
    line.heal()
    stage.expect_all_started([replica])


def test_packets_vanish_at_connect(far, link):
    """Case 32: SYN packets vanish (a firewall that drops): bounded by --connect-timeout; TERM ends it at any time; one that is
    patient passes when they do not vanish any more."""
    link.cut()
    bounded = far.start("--connect-timeout", "2s", inside=link.prefix, url=far.far_url)
    ended, patient = (far.start(inside=link.prefix, url=far.far_url) for _ in range(2))
    bounded.expect_exit(125, timeout=20)
    ended.signal(signal.SIGTERM)
    ended.expect_exit(143, timeout=10)
    link.heal()
    far.expect_all_started([patient])


def test_silent_first_host(stage, redis):
    """Case 32: a host that accepts and says nothing does not hide the next one of the URL."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        url = stage.url.replace("://", f"://127.0.0.1:{port},", 1)
        stage.expect_all_started([stage.start("--connect-timeout", "9s", url=url)])


def test_dead_first_host_while_a_command_runs(stage, proxy):
    """Case 32: the host that the holder is connected to falls silent; the lease is kept by way of the next host of the URL."""
    stage.lease = "20s"
    stage.database.establish(lease=20)
    first, second = proxy(stage.database.server), proxy(stage.database.server)
    leader = stage.leader(url=second.url(stage.database).replace("://", f"://127.0.0.1:{first.port},", 1))
    assert first.total and not second.total
    first.blackhole()
    eventually(lambda: second.total, what="the holder has gone to the next host")
    with stage.database.server.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


# names

@pytest.fixture
def etc(stage):
    return PrivateEtc(stage.directory)


def test_name_that_never_resolves(stage, etc):
    """Case 26: a name that does not resolve is retried until --connect-timeout, then 125, and the error names it."""
    replica = stage.start("--connect-timeout", "2s", inside=etc.prefix, url=stage.database.url(host="redis.invalid"))
    replica.expect_exit(125)
    assert "redis.invalid" in replica.saw("error")[0]["message"]


def test_name_resolves_later(stage, etc):
    """Case 26: the service name appears after the replicas have started (compose, Kubernetes): they find it."""
    replicas = stage.crowd(3, inside=etc.prefix, url=stage.database.url(host="redis.invalid"))
    for replica in replicas:
        replica.wait_event("unavailable")
    with open(etc.hosts, "a") as f:
        f.write("127.0.0.1 redis.invalid\n")
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_name_moves_to_another_address(far, link):
    """Case 26: the name is resolved anew for each connection: a server that moved is found, also by a holder."""
    etc = PrivateEtc(far.directory)
    etc.hosts.write_text("127.0.0.1 redis.invalid\n")
    leader = far.leader("--lease", "8s", inside=etc.prefix, url=far.database.url(host="redis.invalid"))
    server = far.database.server
    etc.hosts.write_text(f"{link.near} redis.invalid\n")
    server.admin.config_set("bind", link.near)
    for session in server.sessions():
        server.admin.client_kill_filter(_id=session["id"])
    eventually(lambda: any(link.near in session["laddr"] for session in server.sessions()), what="the holder is at the new address")
    far.release()
    far.expect_all_started([leader])
    assert not leader.saw("lost")
    far.journal.assert_applied_once()


class DeadResolver:
    """A name server that is asked and never answers."""

    def __init__(self, address):
        self.asked = threading.Event()
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((address, 53))
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self):
        self.socket.recvfrom(512)
        self.asked.set()

    def wait(self):
        assert self.asked.wait(30), "it was never asked"

    def close(self):
        self.socket.close()


@pytest.fixture
def dead_resolver(link, etc, made):
    etc.resolver.write_text(f"nameserver {link.near}\n")
    resolver = DeadResolver(link.near)
    return made.add(resolver, resolver.close)


@pytest.mark.parametrize("how", ["signal", "connect-timeout"])
def test_resolver_that_never_answers(link, stage, etc, dead_resolver, how):
    """Cases 26 and 32: a dead name server blocks nothing: a signal and --connect-timeout still end lockstep in time."""
    replica = stage.start("--connect-timeout", "2s" if how == "connect-timeout" else "1h", inside=link.prefix + etc.prefix,
                          url=stage.database.url(host="redis.invalid"))
    dead_resolver.wait()
    if how == "signal":
        replica.signal(signal.SIGTERM)
    replica.expect_exit(143 if how == "signal" else 125, timeout=3 if how == "signal" else 15)


def test_resolver_dies_while_a_command_runs(far, link, etc, dead_resolver):
    """Cases 26 and 32: the holder's connection is cut and its name cannot be resolved any more: heartbeats fail, but the loop
    lives: the command is ended at D, and a waiter takes over."""
    etc.hosts.write_text(f"{link.near} redis.invalid\n")
    leader = far.leader(inside=link.prefix + etc.prefix, url=far.database.url(host="redis.invalid"), migrate=far.held_migration(ignore=1))
    waiter = far.waiter()
    etc.hosts.write_text("127.0.0.1 localhost\n")
    server = far.database.server
    for session in server.sessions():
        server.admin.client_kill_filter(_id=session["id"])
    dead_resolver.wait()
    leader.wait_event("lost")
    lease = Lease(far.database)
    lease.assert_waited_out(far.wait_command(2))
    far.release()
    far.expect_all_started([waiter])
    etc.hosts.write_text(f"{link.near} redis.invalid\n")
    far.expect_all_started([leader, waiter])
    assert_taken_over(far, waiter)


def test_several_addresses_of_a_name(redises, new_stage):
    """localhost with both families while the server listens on one: every address is tried."""
    stage = new_stage(redises(listen=("127.0.0.1",)).gate())
    stage.expect_all_started([stage.start(url=stage.database.url(host="localhost"))])
