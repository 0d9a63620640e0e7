"""The lock in Redis, the records in the Postgres database that they speak of (--lock redis://..., --database postgres://...)."""

import pytest

from harness.waiting import eventually


@pytest.fixture
def stage(new_stage, database, redis_gate):
    stage = new_stage(database, url=redis_gate.url())
    stage.env = {"DATABASE_URL": database.url()}
    return stage


def test_records_are_in_the_database_alone(stage, redis_gate):
    """Redis keeps nothing but lock, fence and gate; what is applied survives a flush, and needs no quarantine then."""
    stage.expect_all_started(stage.crowd(5, migrate=stage.migration(**{"for": 200})))
    assert stage.database.states() == ["succeeded"] and stage.database.applied() == {"v1"}
    assert redis_gate.runs() == [] and redis_gate.applied() == set() and redis_gate.lock_holder() is None
    redis_gate.client().flushdb()
    again = stage.start()
    again.expect_exit(0)
    assert again.saw("satisfied") and not again.saw("locked")
    stage.journal.assert_applied_once()


def test_fast_path_does_not_ask_redis(stage, redises):
    """Nothing pending: only the database is asked, so a Redis that is down delays nobody."""
    stage.expect_all_started([stage.start()])
    server = redises()
    server.stop()
    again = stage.start(url=server.url())
    again.expect_exit(0)
    assert again.saw("satisfied") and not again.saw("unavailable")


def test_another_database_needs_its_own_run(stage, cluster):
    """A Redis that outlives the database does not claim that the new one is migrated."""
    stage.expect_all_started([stage.start()])
    fresh = cluster.database()
    replica = stage.start(env={"DATABASE_URL": fresh.url()})
    replica.expect_exit(0)
    assert replica.saw("migrating") and fresh.applied() == {"v1"}


def test_flush_while_migrating(stage, redis_gate):
    """Case 27: Redis forgets the lock: the command is stopped, its successor waits out Q, the tokens of the database grow."""
    leader = stage.leader()
    waiter = stage.waiter()
    redis_gate.client().flushdb()
    leader.wait_event("lost")
    second = stage.wait_command(2)
    assert second.token == "2"
    stage.release()
    stage.expect_all_started([leader, waiter])
    [winner] = [r for r in (leader, waiter) if r.saw("migrating", token=2)]
    assert winner.saw("quarantine")
    assert stage.database.states() == ["lost", "succeeded"]


def test_statement_of_a_killed_command_is_terminated_first(stage):
    """Case 22: the older run's session is ended in the database before the next command starts, as with a Postgres lock."""
    script = stage.script(
        'if [ "$LOCKSTEP_TOKEN" = 1 ]; then $STAMP start; $SQL -c "SELECT pg_sleep(600)"; fi; '
        'old=$($SQL -c "SELECT count(*) FROM pg_stat_activity WHERE application_name = \'lockstep:default:1\'"); '
        '[ "$old" = 0 ] || exit 77; $STAMP start; $STAMP end')
    leader = stage.leader(migrate=script)
    sleeping = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'lockstep:default:1' AND query LIKE '%pg_sleep(600)%'"
    eventually(lambda: stage.database.query(sleeping), what="the long statement runs")
    leader.kill()
    assert stage.database.query(sleeping), "the statement should live on without its client"
    second = stage.start(migrate=script)
    stage.expect_all_started([second])
    assert stage.database.states() == ["lost", "succeeded"]


def test_waiters_leave_the_database_alone(stage):
    """Redis wakes: between their looks waiters have no connection to the database."""
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(8)]
    eventually(lambda: len(stage.database.sessions()) <= 1, what="only the leader's clerk is connected")
    stage.release()
    stage.expect_all_started([leader, *waiters])


def test_database_goes_away_while_migrating(stage, proxy, cluster):
    """The database's connections are cut: no lock hangs on them; the end is recorded over a new one."""
    line = proxy(cluster)
    leader = stage.leader(env={"DATABASE_URL": line.url(stage.database)})
    line.cut()
    stage.release()
    stage.expect_all_started([leader])
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


@pytest.mark.parametrize("name", ["DATABASE_URL", "LOCKSTEP_DATABASE"])
def test_database_url_that_is_none(stage, name):
    """A wrong database URL is found before anything is connected, under the name that the user gave it."""
    replica = stage.start(env={"DATABASE_URL": None, name: "postgres://u:geheim@h/d?sslmode=maybe"})
    replica.expect_exit(64)
    assert replica.said(name) and replica.said("sslmode") and not replica.said("geheim")
