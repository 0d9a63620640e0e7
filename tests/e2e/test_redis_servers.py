"""Redis servers that are no place to meet, or not yet: each is told in one line with its remedy. What is wrong for good ends at
once (125), what may pass is tried again until --connect-timeout, and works if it does pass. Issue 3, item 6; DESIGN 4 (Redis)."""

import contextlib
import socket

import pytest
import redis

from harness.redis import KINDS, Server
from harness.verdict import assert_refused, assert_says, assert_tried_again, error_of, warnings_of
from harness.waiting import eventually

SECRET = "Zq7x-Kw9v"
USUAL = {"maxmemory": 0, "maxmemory-policy": "noeviction", "min-replicas-to-write": 0, "maxclients": 10000,
         "stop-writes-on-bgsave-error": "yes"}


@pytest.fixture(scope="module")
def one_server(root):
    """For what can be switched on and off again, so that it is older than Q."""
    server = Server(root)
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def server(one_server):
    yield one_server
    for name, value in USUAL.items():
        one_server.admin.config_set(name, value)


@pytest.fixture
def gate(server):
    return server.gate().establish()


@pytest.fixture
def stage(new_stage):
    return new_stage()


@pytest.fixture
def gate_stage(new_stage, gate):
    return new_stage(gate)


def assert_passes_when(mended, stage, *words):
    """Whoever has found the server like this goes on as soon as somebody mends it."""
    replica = stage.start()
    assert_says(replica.wait_event("unavailable")["message"], *words)
    mended()
    stage.expect_all_started([replica])
    assert stage.database.states() == ["succeeded"]


# --- eviction -----------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_all_keys_may_be_evicted(policy, server, gate, gate_stage):
    """Refused, unless it is asked for; then with a warning. A look takes no lock, so `check` and a restart are not bothered."""
    server.admin.config_set("maxmemory-policy", policy)
    replica = gate_stage.start()
    assert_says(error_of(replica), f"127.0.0.1:{server.port}", policy, "noeviction", "--allow-eviction", "LOCKSTEP_ALLOW_EVICTION")
    gate_stage.start(verb="check").expect_exit(1)
    off = gate_stage.start("--allow-eviction=no", env={"LOCKSTEP_ALLOW_EVICTION": "yes"})
    assert_says(error_of(off), policy)
    assert gate.states() == []
    allowed = gate_stage.start("--allow-eviction") if policy != "allkeys-lfu" else gate_stage.start(env={"LOCKSTEP_ALLOW_EVICTION": "on"})
    gate_stage.expect_all_started([allowed])
    [warning] = warnings_of(allowed)
    assert_says(warning, "evict", policy, "noeviction")
    again = gate_stage.start()
    gate_stage.expect_all_started([allowed, again])
    assert not warnings_of(again)


@pytest.mark.parametrize("policy", ["volatile-lru", "volatile-lfu", "volatile-random", "volatile-ttl"])
def test_the_lock_may_be_evicted(policy, server, gate_stage):
    """Keys with an expiry, of which the lock is one: a warning."""
    server.admin.config_set("maxmemory-policy", policy)
    replica = gate_stage.start()
    gate_stage.expect_all_started([replica])
    [warning] = warnings_of(replica)
    assert_says(warning, "evict", policy, "noeviction")


def test_nothing_may_be_evicted(server, gate_stage):
    """noeviction: not a word."""
    replica = gate_stage.start()
    gate_stage.expect_all_started([replica])
    assert not warnings_of(replica)


# --- servers that do not take writes (now) ------------------------------------------------------------------------

READONLY = ("READONLY", "read-only replica", "master", "redis+sentinel://")


def test_replica(redises, stage, new_stage):
    """A replica: whoever's version is there passes; others try again, and go on when it is promoted."""
    master, replica = redises(), redises()
    replica.replicate(master)
    gate = replica.gate(3)
    assert_tried_again(stage, gate.url(), *READONLY, looks=False)
    gate.at(master).satisfy("v0")
    eventually(lambda: gate.applied() == {"v0"}, what="the replica has it too")
    stage.start(url=gate.url(), verb="check", target="v0").expect_exit(0)
    restart = stage.start(url=gate.url(), target="v0", app=["/bin/true"])
    restart.expect_exit(0)
    assert not warnings_of(restart)
    assert_passes_when(replica.promote, new_stage(gate), *READONLY)


def test_replica_that_has_lost_its_master(redises, stage):
    """replica-serve-stale-data no: even a look is refused there."""
    master, replica = redises(), redises(replica_serve_stale_data="no")
    replica.replicate(master)
    master.kill()
    eventually(lambda: replica.admin.info("replication")["master_link_status"] == "down", what="the replica has noticed")
    assert_tried_again(stage, replica.url(), "MASTERDOWN", "name the master")
    replica.promote()
    stage.start(url=replica.url(), verb="check").expect_exit(1)


def test_too_few_replicas(server, gate, stage, gate_stage):
    """min-replicas-to-write is not met."""
    server.admin.config_set("min-replicas-to-write", 1)
    words = ("NOREPLICAS", "min-replicas-to-write")
    assert_tried_again(stage, gate.url(), *words, looks=False)
    assert_passes_when(lambda: server.admin.config_set("min-replicas-to-write", 0), gate_stage, *words)


def test_memory_is_full(server, gate, stage, gate_stage):
    """maxmemory with noeviction."""
    server.admin.config_set("maxmemory", 1)
    words = ("OOM", "maxmemory")
    assert_tried_again(stage, gate.url(), *words, looks=False)
    assert_passes_when(lambda: server.admin.config_set("maxmemory", 0), gate_stage, *words)


def test_disk_is_broken(redises, new_stage, tmp_path):
    """It cannot save, and so refuses writes."""
    folder = tmp_path / "data"
    folder.mkdir()
    server = redises(save="3600 1", dir=folder)
    gate = server.gate().establish()
    folder.rmdir()
    server.admin.bgsave()
    eventually(lambda: server.admin.info("persistence")["rdb_last_bgsave_status"] == "err", what="the server has failed to save")
    words = ("MISCONF", "disk", "stop-writes-on-bgsave-error")
    stage = new_stage(gate)
    assert_tried_again(stage, gate.url(), *words, looks=False)
    assert_passes_when(lambda: server.admin.config_set("stop-writes-on-bgsave-error", "no"), stage, *words)


@contextlib.contextmanager
def endless_script(server):
    """Somebody's script that does not end."""
    def busy():
        try:
            return not server.admin.ping()
        except redis.ResponseError as error:
            return str(error).startswith("BUSY")
    server.admin.config_set("lua-time-limit", 1)
    with socket.create_connection(("127.0.0.1", server.port)) as peer:
        peer.sendall(b"EVAL 'while true do end' 0\r\n")
        eventually(busy, what="the server is busy")
        yield
        if busy():
            server.admin.script_kill()


def test_slow_script(server, gate, stage, gate_stage):
    """A script of somebody else's keeps it from everything."""
    words = ("BUSY", "script")
    with endless_script(server):
        assert_tried_again(stage, gate.url(), *words)
        assert_passes_when(server.admin.script_kill, gate_stage, *words)


def test_loading(redises, new_stage):
    """It has been restarted and reads its data; whoever waits for it goes on when it is done."""
    server = redises(rdbcompression="no", loading_process_events_interval_bytes=1024)
    for i in range(64):
        server.admin.set(f"filler:{i}", "x" * 1024)
    server.admin.save()
    server.kill()
    server.settings["key-load-delay"] = 500000  # us for each key
    server.start(wait=False)
    stage = new_stage(server.gate(3))
    replica = stage.start()
    assert_says(replica.wait_event("unavailable", error=eventually(lambda: loading_of(replica)))["message"], "still loading")
    assert_says(error_of(stage.start(verb="check")), "LOADING", "still loading")
    eventually(lambda: hurried(server), what="the server takes a command")
    stage.expect_all_started([replica])


def loading_of(replica):
    """What it has been told by the server, which at first may not be there at all."""
    return next((event["error"] for event in replica.saw("unavailable") if "LOADING" in event["error"]), None)


def hurried(server):
    with contextlib.suppress(redis.ConnectionError):
        return server.admin.config_set("key-load-delay", 0)


@pytest.mark.parametrize("way", ["tcp", "unix"])
def test_no_connection_left(way, server, gate, new_stage):
    """maxclients: the server is there, so this has no --connect-timeout, but `check` is one look."""
    stage = new_stage(gate, url=gate.url() if way == "tcp" else gate.unix_url())
    server.admin.config_set("maxclients", server.admin.info("clients")["connected_clients"])
    words = ("max number of clients", "maxclients")
    for _ in range(10):  # the server may have hung up before we have said anything
        assert_says(error_of(stage.start(verb="check")), *words)
    assert_passes_when(lambda: server.admin.config_set("maxclients", 10000), stage, *words)


# --- passwords, databases, protected mode -------------------------------------------------------------------------

@pytest.mark.parametrize("kind", KINDS)
def test_who_is_not_let_in(kind, redises, stage):
    """Final, with the server's word and the remedy; nothing of the password is said."""
    server = redises(kind, requirepass="right", databases=16, users={"off": f"off >{SECRET} ~* &* +@all",
                                                                            "app": f"on >{SECRET} ~* &* +@all"})
    for url, *words in ((server.url(), "NOAUTH", "password", "before the host"),
                        (server.url(password=SECRET), "WRONGPASS", "user or password"),
                        (server.url(user="app", password=SECRET + "x"), "WRONGPASS", "user or password"),
                        (server.url(user="nobody", password=SECRET), "WRONGPASS", "user or password"),
                        (server.url(user="off", password=SECRET), "WRONGPASS", "disabled"),
                        (server.url(user="app", password=SECRET, db=16), "DB index", "end of the URL")):
        assert_refused(stage, url, f"127.0.0.1:{server.port}", *words)
    assert not any(replica.said(SECRET) for replica in stage.replicas)


def test_password_where_none_is(redises, stage):
    """The URL has a password, the server none: perhaps the wrong server."""
    assert_refused(stage, redises().url(password=SECRET), "the URL has a password, but the server has none")


def test_default_user_is_off(redises, stage):
    """As managed servers have it."""
    assert_refused(stage, redises(users={"default": "off"}).url(), "NOAUTH", "password")


@pytest.mark.parametrize("kind", KINDS)
def test_protected_mode(kind, redises, stage, link):
    """Without a password it talks to its own host only."""
    server = redises(kind, listen=("127.0.0.1", link.near), protected_mode="yes")
    url = server.url(host=link.near)
    assert_refused(stage, url, f"{link.near}:{server.port}", "DENIED", "protected mode", "password", "protected-mode no",
                   inside=link.prefix)
    server.admin.config_set("protected-mode", "no")
    stage.start(url=url, verb="check", inside=link.prefix).expect_exit(1)


def test_cluster(redises, stage):
    """A cluster has database 0 alone, and is no place to meet before it is whole."""
    server = redises(cluster_enabled="yes")
    assert_refused(stage, server.url(db=1), "only database 0", "end of the URL")
    assert_tried_again(stage, server.url(), "CLUSTERDOWN", "not whole")
    server.admin.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16383)
    eventually(lambda: server.admin.execute_command("CLUSTER INFO")["cluster_state"] == "ok", what="the cluster is whole")
    stage.start(url=server.url(), verb="check").expect_exit(1)


# --- no Redis at all ----------------------------------------------------------------------------------------------

FOREIGN = {"http": b"HTTP/1.1 400 Bad Request\r\n\r\n", "ssh": b"SSH-2.0-x\r\n", "zeros": b"\x00" * 64,
           "mysql": b"J\x00\x00\x00\x0a8.0.36\x00", "negative length": b"*-5\r\n", "length that is none": b"$abc\r\n"}


@pytest.mark.parametrize("what", FOREIGN)
def test_another_protocol(what, stage, talker):
    """Final: whatever listens there is no Redis."""
    port = talker(FOREIGN[what])
    assert_refused(stage, f"redis://127.0.0.1:{port}", f"127.0.0.1:{port}", "does not speak the Redis protocol")


HALVES = {"nothing": b"", "half an answer": b"$9999999\r\nx", "nested": b"*1\r\n" * 9000, "number": b":5\r\n",
          "numbers": b"*2\r\n:1\r\n:2\r\n", "nil": b"$-1\r\n", "half a list": b"*3\r\n$-1\r\n$-1\r\n"}


@pytest.mark.parametrize("what", HALVES)
def test_answers_that_end_early(what, stage, talker):
    """Hung up on: that may be a restart, so it is tried again; whatever came before is taken for no version."""
    port = talker(HALVES[what])
    look = stage.start(url=f"redis://127.0.0.1:{port}", verb="check")
    assert_says(error_of(look), f"127.0.0.1:{port}")
    replica = stage.start("--connect-timeout", "1s", url=f"redis://127.0.0.1:{port}", verb="migrate")
    assert_says(error_of(replica), f"127.0.0.1:{port}")
    assert not replica.saw("migrating")


def test_silence(stage, talker):
    """It accepts and says nothing: --connect-timeout ends that, also for a look."""
    port = talker(None)
    for verb in ("check", "migrate"):
        replica = stage.start("--connect-timeout", "1s", url=f"redis://127.0.0.1:{port}", verb=verb)
        assert_says(error_of(replica), "does not answer", f"127.0.0.1:{port}")


def test_nobody_there(stage, tmp_path):
    """Case 32: refused, without an address, no socket, no server behind the socket."""
    with socket.socket() as taken, socket.socket(socket.AF_UNIX) as left:
        taken.bind(("127.0.0.1", 0))
        left.bind(str(tmp_path / "left"))
        port = taken.getsockname()[1]
        for url, *words in ((f"redis://127.0.0.1:{port}", f"127.0.0.1:{port}", "refused"),
                            ("redis://no-such-host.invalid", "no-such-host.invalid", "resolve"),
                            (f"unix://{tmp_path}/none", f"{tmp_path}/none", "No such file"),
                            (f"unix://{tmp_path}/left", f"{tmp_path}/left", "refused"),
                            (f"redis+sentinel://127.0.0.1:{port}/prime", f"127.0.0.1:{port}", "refused")):
            assert_tried_again(stage, url, *words)
