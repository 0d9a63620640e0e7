"""Redis restarts, stands still, or refuses to write. locks.md section 7, cases 13, 15, 25, 27, 28."""

import contextlib
import functools
import shutil
import signal
import socket
import threading

import pytest
from redis import exceptions

from harness.redis_faults import assert_quarantined, forget, own_stage
from harness.waiting import boottime_ns, eventually, lasting


@pytest.fixture
def stage(new_stage, redis_gate):
    return new_stage(redis_gate)


@pytest.fixture
def own(redises, new_stage):
    return functools.partial(own_stage, redises, new_stage)


# it restarts

def test_restart_without_persistence_during_a_run(own):
    """Cases 13 and 27: everything is forgotten: the command is ended, everybody comes back, Q before the next one."""
    stage = own()
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(3)]
    since = boottime_ns()
    stage.database.server.restart(signal.SIGKILL)
    leader.wait_event("lost")
    assert_quarantined(since, stage.wait_command(2))
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert len(stage.journal.ends()) == 1 and stage.database.states() == ["succeeded"]


def test_restart_with_persistence_during_a_run(own):
    """Case 13: a server that remembers is back before D: the lease is still there, the holder comes back to it, nothing is lost."""
    stage = own(lease=20, appendonly="yes")
    leader = stage.leader()
    waiter = stage.waiter()
    stage.database.server.restart(signal.SIGKILL)
    with stage.database.server.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()
    assert not leader.saw("lost") and stage.database.states() == ["succeeded"]


def test_restart_with_persistence_after_the_deadline(own):
    """Case 13: it remembers, but is away for longer than D: the command ends, and is begun anew by the one whose run it was."""
    stage = own(appendonly="yes")
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    stage.database.server.kill()
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    stage.database.server.start()
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader])
    assert stage.database.states() == ["lost", "succeeded"]


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_restart_between_runs(own, appendonly):
    """Case 27: a server that is younger than Q may have had a holder: Q, whether it remembers or not."""
    stage = own(appendonly=appendonly)
    stage.expect_all_started([stage.start(target="v0")])
    stage.database.server.restart()
    replica = stage.start(target="v2")
    stage.expect_all_started([replica])
    assert replica.saw("quarantine")
    assert stage.database.applied() == ({"v0", "v2"} if appendonly == "yes" else {"v2"})


def test_young_server(redises, new_stage):
    """Case 27: youth alone is dirt, also where everything else looks as it was left (a copy of a volume, an odd replication id)."""
    stage = new_stage(redises().gate())
    stage.database.client().set(stage.database.key("fence"), 7)
    stage.database.client().hset(stage.database.key("gate"), "server", stage.database.server.replid())
    replica = stage.start()
    stage.expect_all_started([replica])
    assert replica.saw("quarantine") and [run["token"] for run in stage.database.runs()] == [8]


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_restart_in_quarantine(own, appendonly):
    """Case 27: the one that waits out Q keeps its lease over a restart that remembers, and begins again after one that does not."""
    stage = own(appendonly=appendonly)
    stage.leader().kill()
    second = stage.start(migrate=stage.held_migration())
    second.wait_event("quarantine")
    since = boottime_ns()
    stage.database.server.restart(signal.SIGKILL)
    start = stage.wait_command(2)
    if appendonly == "no":
        assert_quarantined(since, start)
    stage.release()
    stage.expect_all_started([second])
    assert stage.database.applied() == {"v1"}


@pytest.mark.parametrize("appendonly", ["yes", "no"])
def test_restart_while_everybody_waits(own, appendonly):
    """Case 27: the holder is dead, all others wait when it happens: one of them runs, after Q."""
    stage = own(appendonly=appendonly)
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(3)]
    leader.kill()
    since = boottime_ns()
    stage.database.server.restart(signal.SIGKILL)
    assert_quarantined(since, stage.wait_command(2))
    stage.release()
    stage.expect_all_started(waiters)
    assert len(stage.journal.ends()) == 1 and stage.database.applied() == {"v1"}


# it stands still

def test_server_is_paused_longer_than_the_deadline(stage):
    """Case 28: a server that stands still (SIGSTOP, a slow disk): the command ends by the local clock alone; then somebody goes on."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    server = stage.database.server
    server.pause()
    try:
        leader.wait_event("lost")
        eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    finally:
        server.resume()
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("mode", ["ALL", "WRITE"])
def test_clients_are_paused_longer_than_the_deadline(stage, mode):
    """Case 28: CLIENT PAUSE: heartbeats are held back past D: the command ends, everybody starts after it."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    stage.database.server.admin.execute_command("CLIENT PAUSE", 4000, mode)
    leader.wait_event("lost")
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@contextlib.contextmanager
def slow_script(server, busy_after=5000):
    """A script of somebody else that runs until the block is left. Others are not answered, or with BUSY after `busy_after` ms."""
    server.admin.config_set("busy-reply-threshold", busy_after)
    with socket.create_connection(("127.0.0.1", server.port)) as somebody:
        somebody.sendall(b"*3\r\n$4\r\nEVAL\r\n$17\r\nwhile true do end\r\n$1\r\n0\r\n")
        try:
            yield
        finally:
            eventually(lambda: killed(server), what="the script is told to end")
            eventually(lambda: is_free(server), what="the script has ended")
            server.admin.config_set("busy-reply-threshold", 5000)


def killed(server):
    with contextlib.suppress(exceptions.ResponseError):  # NOTBUSY: it has not begun
        return server.admin.execute_command("SCRIPT KILL")


def is_free(server):
    with contextlib.suppress(exceptions.ResponseError):  # BUSY: it has not noticed yet
        return server.admin.ping()


@pytest.mark.parametrize("busy_after", [100, 1500], ids=["BUSY", "silence"])
def test_slow_script_longer_than_the_deadline(stage, busy_after):
    """Case 28: somebody's script keeps Redis from answering for longer than D, with BUSY or with nothing: as a pause."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    with slow_script(stage.database.server, busy_after):
        leader.wait_event("lost")
        eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("busy_after", [50, 1000], ids=["BUSY", "silence"])
def test_slow_script_shorter_than_the_deadline(stage, busy_after):
    """Case 28: the same for less than D (8 s here): nothing is lost, nobody notices."""
    stage.lease = "20s"
    stage.database.establish(lease=20)
    leader = stage.leader()
    waiter = stage.waiter()
    with slow_script(stage.database.server, busy_after):
        lasting(2)  # a heartbeat is due after 1.7 s
    with stage.database.server.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()
    assert not leader.saw("lost")


def test_slow_script_at_the_start(stage):
    """Case 28: BUSY at the first look: told, tried again, through."""
    with slow_script(stage.database.server, 50):
        replica = stage.start()
        replica.wait_event("unavailable")
        eventually(lambda: replica.said("BUSY"), what="BUSY was told")
    stage.expect_all_started([replica])


def test_scripts_are_flushed_at_any_time(stage):
    """Case 28: SCRIPT FLUSH all the time: each step falls back to EVAL by itself; runs that fail, are taken over and succeed."""
    stage.expect_all_started([stage.start(target="v0")])  # every script is known now
    admin, over, flushes = stage.database.server.admin, threading.Event(), []

    def flush():
        while not over.wait(0.003):
            flushes.append(admin.script_flush())
    flusher = threading.Thread(target=flush)
    flusher.start()
    try:
        dying = stage.leader()
        waiters = [stage.waiter() for _ in range(3)]
        dying.kill()
        stage.wait_command(3)
        stage.release()
        stage.expect_all_started(waiters)
        stage.start(target="v2", migrate=stage.migration(exit=5)).expect_exit(5)
    finally:
        over.set()
        flusher.join()
    assert len(flushes) > 100
    assert stage.database.states() == ["succeeded", "lost", "succeeded", "failed"]


# it refuses to write

@pytest.fixture
def broken_disk(own):
    """A stage whose server cannot save (its dump file is a folder, not an empty one) and so refuses writes from break_it() on."""
    stage = own(save="3600 1", dbfilename="dump")
    server = stage.database.server
    dump = server.directory / "dump"

    def save(result):
        server.admin.bgsave()
        eventually(lambda: server.admin.info("persistence")["rdb_bgsave_in_progress"] == 0 and
                   server.admin.info("persistence")["rdb_last_bgsave_status"] == result, what=f"saving: {result}")

    def break_it():
        (dump / "full").mkdir(parents=True)
        save("err")

    def mend():
        shutil.rmtree(dump)
        save("ok")
    stage.break_it, stage.mend = break_it, mend
    return stage


def test_disk_is_broken_at_the_start(broken_disk):
    """Case 28: MISCONF: told with the remedy, tried again; 125 when --connect-timeout is over."""
    broken_disk.break_it()
    bounded = broken_disk.start("--connect-timeout", "2s")
    patient = broken_disk.start()
    patient.wait_event("unavailable")
    bounded.expect_exit(125)
    assert "stop-writes-on-bgsave-error" in bounded.saw("error")[0]["message"]
    broken_disk.mend()
    broken_disk.expect_all_started([patient])
    broken_disk.journal.assert_applied_once()


def test_disk_breaks_during_a_run(broken_disk):
    """Case 28: MISCONF while a command runs: no renewal, so it is ended at D; everybody starts once the disk is mended."""
    leader = broken_disk.leader(migrate=broken_disk.held_migration(ignore=1))
    waiter = broken_disk.waiter()
    broken_disk.break_it()
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    broken_disk.mend()
    broken_disk.wait_command(2)
    broken_disk.release()
    broken_disk.expect_all_started([leader, waiter])
    assert broken_disk.database.states() == ["lost", "succeeded"] and len(broken_disk.journal.ends()) == 1


def test_server_is_still_loading(own):
    """Case 28: LOADING for seconds after a restart: told, waited out; the server is young then, so Q."""
    stage = own(appendonly="yes", aof_use_rdb_preamble="no", loading_process_events_interval_bytes=1024)
    stage.expect_all_started([stage.start(target="v0")])
    server = stage.database.server
    server.admin.execute_command("DEBUG POPULATE", 20000)
    server.admin.execute_command("BGREWRITEAOF")
    eventually(lambda: server.admin.info("persistence")["aof_rewrite_in_progress"] == 0 and
               server.admin.info("persistence")["aof_rewrite_scheduled"] == 0, what="the file is rewritten")
    server.settings["key-load-delay"] = 200  # microseconds a key
    server.stop()
    server.start(wait=False)
    replicas = stage.crowd(3, target="v2")
    for replica in replicas:
        eventually(lambda: replica.said("LOADING"), what="LOADING was told")
    stage.expect_all_started(replicas)
    assert stage.database.applied() == {"v0", "v2"} and sum(1 for r in replicas if r.saw("quarantine")) == 1


@pytest.fixture
def pair(own, redises):
    """A stage with a server that writes only while it has a replica; stage.replica is that one."""
    stage = own(min_replicas_to_write=0)
    server = stage.database.server
    stage.replica = redises().replicate(server)
    server.admin.config_set("min-replicas-to-write", 1)
    return stage


def test_replica_goes_away_during_a_run(pair):
    """Case 28: NOREPLICAS while a command runs: no renewal, so it is ended at D; everybody starts once the replica is back."""
    leader = pair.leader(migrate=pair.held_migration(ignore=1))
    waiter = pair.waiter()
    pair.replica.kill()
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    pair.replica.start()
    pair.wait_command(2)
    pair.release()
    pair.expect_all_started([leader, waiter])
    assert pair.database.states() == ["lost", "succeeded"] and len(pair.journal.ends()) == 1


def test_replica_is_missing_at_the_start(pair):
    """Case 28: NOREPLICAS: told with the remedy, tried again, 125 when --connect-timeout is over."""
    pair.replica.kill()
    bounded = pair.start("--connect-timeout", "2s")
    patient = pair.start()
    patient.wait_event("unavailable")
    bounded.expect_exit(125)
    assert "min-replicas-to-write" in bounded.saw("error")[0]["message"]
    pair.replica.start()
    pair.expect_all_started([patient])


def test_server_becomes_a_replica_during_a_run(own, redises):
    """Case 15: READONLY while a command runs: it is ended at D; after the promotion it is another server to everybody, so Q."""
    stage = own()
    server = stage.database.server
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    server.admin.replicaof("127.0.0.1", 1)  # nobody listens there: it keeps what it has
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, what="the command is gone")
    for replica in (leader, waiter):
        eventually(lambda: replica.said("READONLY"), what="READONLY was told")
    since = boottime_ns()
    server.admin.replicaof("NO", "ONE")
    second = stage.wait_command(2)
    assert_quarantined(since, second)
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def test_url_names_a_replica(redises, new_stage):
    """Case 15: a lock on a replica excludes nobody: told with the remedy, tried again, 125."""
    master, replica = redises(), redises()
    replica.replicate(master)
    stage = new_stage(master.gate(), replica.url())
    started = stage.start("--connect-timeout", "2s")
    started.expect_exit(125)
    assert "redis+sentinel" in started.saw("error")[0]["message"] and not started.saw("locked")
    assert stage.journal.entries() == []


def test_flapping_server(own):
    """Case 13 mixed with 27: sessions are ended, scripts and keys forgotten, the server restarted, while ten replicas want two
    versions: no overlap, everybody starts."""
    stage = own()
    server = stage.database.server
    replicas = [stage.start(target=f"v{i % 2}", migrate=stage.migration(**{"for": 1000})) for i in range(10)]
    faults = [lambda: server.admin.client_kill_filter(_type="normal", skipme=True), server.admin.script_flush,
              lambda: server.admin.client_kill_filter(_type="pubsub"), lambda: forget(stage.database, "lock"),
              lambda: server.restart(signal.SIGKILL), lambda: forget(stage.database, "FLUSHALL")]
    for fault in faults:
        lasting(0.7)
        fault()
    stage.expect_all_started(replicas, timeout=180)
    assert stage.database.applied() <= {"v0", "v1"}
