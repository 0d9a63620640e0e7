"""The harness itself: a witness that never objects would prove nothing, and neither would a fault that is none."""

import socket
import ssl

import pytest
from redis import exceptions

from harness.checker import Journal, assert_records_agree
from harness.waiting import eventually


@pytest.fixture
def journal(tmp_path):
    journal = Journal(tmp_path / "journal")

    def write(*lines):
        journal.path.write_text("".join(f"{line}\n" for line in lines))
        return journal
    return write


def test_two_commands_at_once_are_found(journal):
    """A last tick after the next command's start is an overlap, also when the later command has ended by then."""
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "start 110 2 2 2", "tick 111 1 1 1").assert_no_overlap()
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "tick 130 9 1 1", "start 110 2 2 2", "end 120 2 2 2").assert_no_overlap()
    journal("start 100 1 1 1", "tick 105 1 1 1", "start 110 2 2 2", "end 120 2 2 2").assert_no_overlap()


def test_a_token_that_goes_back_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 100 1 2 1", "start 110 2 1 2").assert_tokens_grow()


def test_an_app_before_the_version_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 100 1 1 1", "app 105 5 - 5", "end 110 1 1 1").assert_apps_after_success()
    with pytest.raises(AssertionError):
        journal("app 105 5 - 5").assert_apps_after_success()


def test_a_second_application_is_found(journal):
    with pytest.raises(AssertionError):
        journal("start 1 1 1 1", "end 2 1 1 1", "start 3 2 2 2", "end 4 2 2 2").assert_applied_once()


def test_a_success_that_was_none_is_found(journal):
    run = {"token": 1, "state": "succeeded", "exit_status": 0, "finished_at": "now"}
    assert_records_agree([run], journal("start 1 1 1 1", "end 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run], journal("start 1 1 1 1", "fail 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run | {"exit_status": 1}], journal("start 1 1 1 1", "end 2 1 1 1"))
    with pytest.raises(AssertionError):
        assert_records_agree([run, run], journal("start 1 1 1 1", "end 2 1 1 1"))


# Redis servers

def test_a_redis_without_persistence_forgets_at_a_restart(redises):
    server = redises()
    before = server.replid()
    server.admin.set("k", "v")
    server.restart()
    assert server.admin.get("k") is None and server.replid() != before


def test_a_redis_with_appendonly_remembers_even_a_crash(redises):
    server = redises(appendonly="yes")
    server.admin.set("k", "v")
    server.kill()
    server.start()
    assert server.admin.get("k") == "v"


def test_a_paused_redis_does_not_answer(redises):
    server = redises()
    with socket.create_connection(("127.0.0.1", server.port)) as line:
        server.pause()
        line.sendall(b"PING\r\n")
        line.settimeout(0.3)
        with pytest.raises(TimeoutError):
            line.recv(64)
        server.resume()
        line.settimeout(60)
        assert line.recv(64) == b"+PONG\r\n"


def test_redis_users_are_held_to_their_rules(redises):
    server = redises(users={"app": "on >secret ~lockstep:* +set"}, requirepass="locked")
    assert server.client("app", "secret").set("lockstep:k", "v")
    with pytest.raises(exceptions.NoPermissionError):
        server.client("app", "secret").set("other", "v")
    with pytest.raises(exceptions.ResponseError, match="WRONGPASS"):
        server.client("app", "wrong").ping()


def test_what_clients_of_a_redis_send_is_seen(redises):
    server = redises()
    with server.watched() as seen, socket.create_connection(("127.0.0.1", server.port)) as line:
        line.sendall(b"SET k v\r\n")
        assert seen.wait('"SET"')
        assert [c for c in server.sessions() if c["cmd"] == "set"]
        server.admin.eval("return redis.call('GET', 'k')", 0)
    assert seen.commands == ['"SET" "k" "v"']
    assert any("lua" in line for line in seen.lines)


def test_a_redis_replica_can_lose_the_last_writes(redises):
    """A paused replica whose connection is closed has not got what the master writes afterwards, and can be promoted."""
    master, replica = redises(), redises()
    master.admin.set("first", 1)
    replica.replicate(master)
    assert replica.admin.get("first") == "1" and replica.replid() == master.replid()
    replica.pause()
    master.cut_replicas()
    master.admin.set("last", 1)
    master.kill()
    replica.resume()
    with pytest.raises(exceptions.ReadOnlyError):
        replica.admin.set("last", 2)
    replica.promote()
    assert replica.role() == "master" and replica.admin.get("first") == "1" and replica.admin.get("last") is None


def test_gates_of_a_redis_are_read(redis):
    """As the records are laid out: hash fields "TOKEN.what", the newest token under the empty target."""
    gate, other = redis.gate(), redis.gate()
    assert gate.runs() == [] and gate.applied() == set() and gate.fence() is None and gate.lock_holder() is None
    client = gate.client()
    client.hset(gate.key("runs"), mapping={"10.state": "running", "10.exit_status": "", "9.state": "failed", "9.exit_status": 3,
                                           "9.finished_at": 1700000000000, "9.target": "v1"})
    client.hset(gate.key("outputs"), "9", b"boom\xff")
    client.hset(gate.key("applied"), mapping={"v0": 8, "": 8})
    client.set(gate.key("lock"), "abc 10", px=60000)
    assert gate.states() == ["failed", "running"] and gate.applied() == {"v0"}
    failed, running = gate.runs()
    assert (failed["token"], failed["exit_status"], failed["output"]) == (9, 3, b"boom\xff")
    assert running["exit_status"] is None and running["finished_at"] is None
    assert gate.wait_lock_holder()[:2] == ("abc", 10) and 0 < gate.lock_holder().milliseconds <= 60000
    gate.take_lock_away()
    assert gate.lock_holder() is None and gate.states("orders") == [] and other.runs() == []


def test_an_established_gate_is_old_enough(redis_gate):
    assert redis_gate.fence() == 0 and redis_gate.server.uptime() > 4
    assert redis_gate.hash("gate") == {"server": redis_gate.server.replid()}


@pytest.mark.parametrize("kind, line", [("redis", "redis_version:7."), ("redis8", "redis_version:8."),
                                        ("valkey", "valkey_version:8.")])
def test_kinds_of_redis(redises, kind, line):
    server = redises(kind)
    with socket.create_connection(("127.0.0.1", server.port)) as connection, connection.makefile("rb") as stream:
        connection.sendall(b"INFO server\r\n")
        info = stream.read(int(stream.readline()[1:])).decode()
    assert line in info
    assert server.gate().runs() == []


UNKNOWN_CA = "self-signed certificate in certificate chain"


def handshake(server, ca, name="localhost", certificate=None):
    """Speaks TLS to a Redis as a strict client does; returns the answer to PING."""
    context = ssl.create_default_context(cafile=ca)
    if certificate:
        context.load_cert_chain(certificate.cert, certificate.key)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line:
        with context.wrap_socket(line, server_hostname=name) as tls:
            tls.sendall(b"PING\r\n")
            return tls.recv(64)


def test_a_tls_redis_refuses_plain_text(redises, certs):
    server = redises(tls=certs.right)
    assert handshake(server, certs.ca) == b"+PONG\r\n"
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as line, pytest.raises(ConnectionError):
        line.sendall(b"PING\r\n")
        assert line.recv(64) != b"", "closed"


@pytest.mark.parametrize("certificate, ca, name, complaint", [
    ("right", "other_ca", "localhost", UNKNOWN_CA),
    ("right", "ca", "127.0.0.1", "IP address mismatch"),
    ("wrong_name", "ca", "localhost", "Hostname mismatch"),
    ("expired", "ca", "localhost", "certificate has expired"),
    ("impostor", "ca", "localhost", UNKNOWN_CA),
    ("address", "ca", "127.0.0.1", None),
    ("impostor", "other_ca", "localhost", None),
    ("wrong_name", "ca", "elsewhere.example", None),
])
def test_certificates_are_as_bad_as_they_say(redises, certs, certificate, ca, name, complaint):
    server = redises(tls=getattr(certs, certificate))
    if complaint is None:
        assert handshake(server, getattr(certs, ca), name) == b"+PONG\r\n"
        return
    with pytest.raises(ssl.SSLCertVerificationError, match=complaint):
        handshake(server, getattr(certs, ca), name)


def test_a_redis_that_wants_client_certificates(redises, certs):
    server = redises(tls=certs.right, client_ca=certs.ca)
    assert handshake(server, certs.ca, certificate=certs.client) == b"+PONG\r\n"
    for certificate in (None, certs.stranger):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            assert handshake(server, certs.ca, certificate=certificate) != b"", "closed"


# several servers

def test_sentinels_promote_the_replica_of_a_dead_master(sentinels):
    group = sentinels()
    assert group.current() is group.master and group.gate().runs() == []
    group.hold_back_writes()
    group.master.admin.set("last", 1)
    group.master.kill()
    group.replica.resume()
    assert group.wait_promoted(group.replica) is group.current()
    assert group.replica.admin.get("last") is None, "the replica had got the last write"
    group.replica.admin.set("k", "v")
    group.master.start()
    eventually(lambda: group.master.caught_up_with(group.replica), what="the old master follows the new one")
    assert group.master.admin.get("k") == "v"


def test_sentinels_fail_over_when_asked(sentinels):
    group = sentinels()
    gate = group.gate().establish()
    assert group.fail_over() is group.replica is gate.server
    assert gate.fence() == 0


def test_sentinels_with_tls_and_a_password(sentinels, certs):
    group = sentinels(tls=certs.address, requirepass="locked", sentinel={"requirepass": "locked-too"})
    for server in (*group.servers, *group.sentinels):
        assert handshake(server, certs.ca, "127.0.0.1").startswith(b"-NOAUTH")
    assert group.fail_over() is group.replica


def test_gates_of_a_cluster_live_where_their_slot_is(redis_cluster):
    cluster = redis_cluster()
    gate = cluster.gate()
    for name in ("default", "orders", "billing"):
        gate.client(name).set(gate.key("fence", name), 7)
        assert gate.fence(name) == 7
    old = cluster.owner()
    new = cluster.move()
    assert new is cluster.owner() is not old and gate.fence() == 7
    with pytest.raises(exceptions.ResponseError, match="MOVED"):
        old.admin.get(gate.key("fence"))
