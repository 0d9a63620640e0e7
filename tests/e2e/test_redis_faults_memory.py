"""Redis forgets, throws keys away, or has no memory left. locks.md section 7, cases 25, 27, 28."""

import contextlib
import functools
import signal

import pytest
from redis import exceptions

from harness.redis_faults import assert_quarantined, assert_taken_over, forget, own_stage
from harness.waiting import boottime_ns, eventually, lasting


@pytest.fixture
def stage(new_stage, redis_gate):
    return new_stage(redis_gate)


@pytest.fixture
def own(redises, new_stage):
    return functools.partial(own_stage, redises, new_stage)


@pytest.fixture
def config(redis):
    """config(maxmemory=1) changes the shared server for the rest of the test."""
    before = {}

    def change(**settings):
        for name, value in settings.items():
            name = name.replace("_", "-")
            before.setdefault(name, redis.admin.config_get(name)[name])
            redis.admin.config_set(name, value)
    yield change
    for name, value in before.items():
        redis.admin.config_set(name, value)


# it forgets

def ids(parts):
    return "+".join(parts)


@pytest.mark.parametrize("what", [("FLUSHALL",), ("FLUSHDB",), ("lock",), ("lock", "fence"), ("lock", "gate"), ("lock", "runs"),
                                  ("lock", "gate", "runs"), ("lock", "fence", "gate")], ids=ids)
def test_forgotten_while_a_command_runs(stage, what):
    """Case 27: the holder cannot notice (it is stopped) and its command lives on to its deadline: another gets the lock at once,
    and waits out Q whatever else was forgotten with it."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    leader.signal(signal.SIGSTOP)
    since = forget(stage.database, *what)
    assert_quarantined(since, stage.wait_command(2))
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert waiter.saw("quarantine") and len(leader.saw("migrating")) == 1
    assert stage.database.states()[-1] == "succeeded" and len(stage.journal.ends()) == 1


@pytest.mark.parametrize("what", [("FLUSHALL",), ("FLUSHDB",), ("lock",)], ids=ids)
def test_holder_notices_that_it_is_forgotten(stage, what):
    """Case 27: the next heartbeat finds no lease: the command is ended at once, without waiting for D; somebody runs it again."""
    leader = stage.leader("--lease", "20s")
    forget(stage.database, *what)
    leader.wait_event("lost")
    eventually(lambda: len(leader.tree()) == 1, timeout=10, what="the command is gone")  # D would be 8 s, the lease 20 s
    leader.kill()
    second = stage.start(migrate=stage.held_migration())
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([second])
    assert len(stage.journal.ends()) == 1


@pytest.mark.parametrize("what", [("fence",), ("gate",), ("runs",), ("applied",), ("targets", "outputs", "tokens")], ids=ids)
def test_other_keys_are_forgotten_while_a_command_runs(stage, what):
    """Case 27: the lease stands, something else is gone: the run is recorded or run again, never taken for recorded."""
    leader = stage.leader()
    waiter = stage.waiter()
    forget(stage.database, *what)
    stage.release()
    stage.expect_all_started([leader, waiter], timeout=120)
    assert stage.database.applied() == {"v1"} and stage.database.states()[-1] == "succeeded"


@pytest.mark.parametrize("what", [("FLUSHALL",), ("lock", "runs")], ids=ids)
def test_forgotten_in_quarantine(stage, what):
    """Case 27: whoever waits out Q when everything is forgotten begins with the whole of Q again."""
    stage.leader().kill()
    second = stage.start(migrate=stage.held_migration())
    second.wait_event("quarantine")
    since = forget(stage.database, *what)
    second.wait_event("lost")
    assert_quarantined(since, stage.wait_command(2))
    stage.release()
    stage.expect_all_started([second])
    assert len(second.saw("quarantine")) == 2 and stage.database.applied() == {"v1"}


@pytest.mark.parametrize("what", [("FLUSHALL",), ("FLUSHDB",), ("gate",), ("fence",), ("fence", "applied")], ids=ids)
def test_forgotten_between_runs(stage, what):
    """Case 27: nobody runs, but nobody knows that any more: Q first; tokens grow although their counter began anew."""
    stage.expect_all_started([stage.start(target="v0")])
    before = stage.database.fence()
    since = forget(stage.database, *what)
    replica = stage.start(target="v2")
    stage.expect_all_started([replica])
    assert replica.saw("quarantine")
    second = stage.journal.starts()[1]
    assert_quarantined(since, second)
    assert int(second.token) > before and "v2" in stage.database.applied()


def test_version_that_was_forgotten_is_applied_again(stage):
    """Case 27: `applied` is gone: a second run under a new token; not a pass without a version, not an endless wait."""
    stage.expect_all_started([stage.start()])
    forget(stage.database, "applied")
    replicas = stage.crowd(3)
    stage.expect_all_started(replicas)
    assert len(stage.journal.ends()) == 2 and stage.database.states() == ["succeeded", "succeeded"]
    assert min(app.at for app in stage.journal.apps()[1:]) > stage.journal.ends()[1].at
    assert not any(replica.saw("quarantine") for replica in replicas)


def test_forgotten_again_and_again(stage):
    """Case 27: FLUSHALL each time that somebody is about to run: at last it is left alone, and tokens have grown all the time."""
    replicas = stage.crowd(4, migrate=stage.held_migration())
    for nth in (1, 2):
        stage.wait_command(nth)
        forget(stage.database, "FLUSHALL")
    stage.wait_command(3)
    stage.release()
    stage.expect_all_started(replicas)
    tokens = [int(start.token) for start in stage.journal.starts()]
    assert tokens == sorted(set(tokens)) and stage.database.applied() == {"v1"}


# it throws keys away

def test_everything_is_evicted_during_a_run(own):
    """Case 27: --allow-eviction, and then it happens: the command is ended, Q is waited out, what was forgotten is run again."""
    stage = own(maxmemory="100mb", maxmemory_policy="allkeys-lru")
    stage.env = {"LOCKSTEP_ALLOW_EVICTION": "1"}
    stage.expect_all_started([stage.start(target="v0")])
    leader = stage.leader()
    waiter = stage.waiter()
    admin = stage.database.server.admin
    before = stage.database.fence()
    since = boottime_ns()
    admin.config_set("maxmemory", "1mb")  # an empty server has more than that
    eventually(lambda: admin.dbsize() == 0 and not stage.database.client().keys(), what="everything is evicted")
    leader.wait_event("lost")
    admin.config_set("maxmemory", "100mb")
    assert leader.said("evict"), "nobody was warned"
    second = stage.wait_command(3)
    assert_quarantined(since, second)
    assert int(second.token) > before
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.applied() == {"v1"}


def test_keys_are_evicted_at_random(own):
    """Case 27: a cache under pressure throws away now this, now that, while replicas want three versions: never two commands at
    once, everybody starts in the end."""
    stage = own(maxmemory="100mb", maxmemory_policy="allkeys-random")
    stage.env = {"LOCKSTEP_ALLOW_EVICTION": "1"}
    replicas = [stage.start(target=f"v{i % 3}", migrate=stage.migration(**{"for": 1500, "ignore": 1})) for i in range(6)]
    stage.wait_command()
    server = stage.database.server
    used = server.admin.info("memory")["used_memory"]
    filler = server.client(db=1023)
    server.admin.config_set("maxmemory", used + 20_000)
    for _ in range(8):
        with contextlib.suppress(exceptions.ResponseError):  # OOM: nothing is left to evict
            filler.set("filler", b"x" * 40_000)
            filler.delete("filler")
        lasting(0.5)
    server.admin.config_set("maxmemory", "100mb")
    assert server.admin.info("stats")["evicted_keys"] > 0
    stage.expect_all_started(replicas, timeout=180)


def test_only_the_lock_is_evicted(own):
    """Case 27: volatile-lru: the lock is the only key that expires, so it is what goes: warned of at the start, ended, run again."""
    stage = own(maxmemory="100mb", maxmemory_policy="volatile-lru")
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    assert leader.said("volatile-lru"), "nobody was warned"
    waiter = stage.waiter()
    admin = stage.database.server.admin
    leader.signal(signal.SIGSTOP)  # so that the waiter is first
    since = boottime_ns()
    admin.config_set("maxmemory", "1mb")
    eventually(lambda: not stage.database.client().exists(stage.database.key("lock")), what="the lock is evicted")
    admin.config_set("maxmemory", "100mb")
    assert_quarantined(since, stage.wait_command(2))
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_taken_over(stage, waiter)


# its memory is full

FULL = {"maxmemory": 1}  # bytes: from now on every command that may need memory is refused


def test_memory_is_full_during_a_run(stage, config):
    """Case 28: noeviction: the lease is renewed for longer than it lasts, the end is recorded, waiters pass; all without memory."""
    leader = stage.leader(migrate=stage.held_migration(say="the last line"))
    waiter = stage.waiter()
    config(**FULL)
    lasting(4)
    assert not leader.saw("lost")
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()
    [run] = stage.database.runs()
    assert run["state"] == "succeeded" and b"the last line" in run["output"] and stage.database.applied() == {"v1"}


def test_memory_is_full_when_a_run_fails(stage, config):
    """Case 28 for a failure: recorded with its output, those who watched fail with its status."""
    leader = stage.leader(migrate=stage.held_migration(say="no such table", exit=9))
    waiter = stage.waiter()
    config(**FULL)
    stage.release()
    leader.expect_exit(9)
    waiter.expect_exit(9)
    [run] = stage.database.runs()
    assert (run["state"], run["exit_status"]) == ("failed", 9) and b"no such table" in run["output"]


def test_memory_is_full_when_a_run_is_interrupted(stage, config):
    """Case 28: the end that a signal brings is recorded too, and the lock is given back."""
    leader = stage.leader()
    config(**FULL)
    leader.signal(signal.SIGTERM)
    leader.expect_exit(143)
    assert stage.database.states() == ["interrupted"] and stage.database.lock_holder() is None


def test_memory_is_full_at_the_start(stage, config):
    """Case 28: a new lock is refused: the remedy is told, tried again, through as soon as there is memory."""
    config(**FULL)
    replicas = stage.crowd(3)
    for replica in replicas:
        replica.wait_event("unavailable")
        assert replica.said("maxmemory")
    config(maxmemory=0)
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()


def test_memory_stays_full(stage, config):
    """Case 28: until --connect-timeout is over: 125, with the remedy as the error."""
    config(**FULL)
    replica = stage.start("--connect-timeout", "2s")
    replica.expect_exit(125)
    assert "maxmemory" in replica.saw("error")[0]["message"] and stage.journal.entries() == []


def test_memory_is_full_when_a_run_is_to_be_marked(stage, config):
    """Case 28: the lock was had, the mark is refused: no command without a mark; the lock is kept meanwhile."""
    stage.leader().kill()
    second = stage.start(migrate=stage.held_migration())
    second.wait_event("quarantine")
    config(**FULL)
    second.wait_event("unavailable")
    assert second.said("maxmemory") and len(stage.journal.starts()) == 1 and stage.database.lock_holder()
    config(maxmemory=0)
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([second])
    assert_taken_over(stage, second)
