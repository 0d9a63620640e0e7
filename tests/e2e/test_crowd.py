"""More replicas than the server has connections: the migration must always find one. locks.md section 5 and section 7, case 20."""

import psycopg2
import pytest

from harness.waiting import eventually, lasting


def test_forty_replicas_and_twenty_connections(clusters, new_stage):
    """Case 20: 40 replicas against max_connections = 20: the command connects three times at its first attempt, all get through."""
    stage = new_stage(clusters(max_connections=20).database())
    stage.lease = "20s"
    script = stage.script('$STAMP start; hold; for i in 1 2 3; do $SQL -c "SELECT 1"; $STAMP tick; sleep 0.3; done; $STAMP end')
    replicas = stage.crowd(40, migrate=script)
    stage.wait_command()
    lasting(2)  # the crowd is at the door
    stage.release()
    stage.expect_all_started(replicas, timeout=180)
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_at_most_a_quarter_of_the_connections_listen(clusters, new_stage):
    """Section 4: waiters that keep a connection are at most a quarter of max_connections; the others come and go."""
    stage = new_stage(clusters(max_connections=24).database())
    stage.lease = "20s"
    leader = stage.leader()
    waiters = stage.crowd(20, migrate=stage.held_migration())
    for waiter in waiters:
        waiter.wait_event("waiting")
    old = lambda: stage.database.query("SELECT pid FROM pg_stat_activity WHERE usename = 'app' AND datname = current_database() "
                                       "AND now() - backend_start > interval '2.5 s'")
    lasting(3)
    settled = {row["pid"] for row in old()}
    lasting(1)
    settled &= {row["pid"] for row in old()}
    assert len(settled) <= 24 // 4 + 2, f"{len(settled)} connections are kept"  # two are the leader's
    stage.release()
    stage.expect_all_started([leader, *waiters], timeout=120)


def test_connections_are_taken_by_others(clusters, new_stage):
    """Case 20: no connection is free at start (53300): backed off, not counted as unreachable, through as soon as one is free."""
    server = clusters(max_connections=10)
    stage = new_stage(server.database())
    hogs = []
    with pytest.raises(psycopg2.OperationalError):
        for _ in range(20):
            hogs.append(psycopg2.connect(stage.url))
    replica = stage.start("--connect-timeout", "2s")
    replica.wait_event("unavailable")
    lasting(4)  # longer than --connect-timeout: the server does answer
    assert replica.running(), replica.story()
    for hog in hogs:
        hog.close()
    stage.expect_all_started([replica])


def test_connection_limit_of_the_role(new_stage, cluster):
    """Case 20: a role with CONNECTION LIMIT (53300 as well): 15 replicas share five connections."""
    database = cluster.database()
    role = cluster.make_role(f"narrow_{database.name}")
    database.query(f"ALTER DATABASE {database.name} OWNER TO {role}")
    database.query(f"ALTER ROLE {role} CONNECTION LIMIT 5")
    stage = new_stage(database, database.url(role=role))
    stage.lease = "20s"
    stage.expect_all_started(stage.crowd(15, migrate=stage.migration(**{"for": 1000})), timeout=90)
    stage.journal.assert_applied_once()


def test_connections_run_out_during_the_run(clusters, new_stage):
    """Case 20: the app's other users take every connection that is left while the command runs: the run ends well."""
    stage = new_stage(clusters(max_connections=12).database())
    leader = stage.leader()
    waiter = stage.waiter()
    hogs = []
    try:
        with pytest.raises(psycopg2.OperationalError):
            for _ in range(20):
                hogs.append(psycopg2.connect(stage.url))
        lasting(4)
        assert not leader.saw("lost")
        stage.release()
        leader.expect_exit(0)
    finally:
        for hog in hogs:
            hog.close()
    stage.expect_all_started([leader, waiter])
    stage.journal.assert_applied_once()


def test_wake_up_is_quick(stage):
    """Case 30 turned round: waiters that listen are woken by the commit, not by their next poll."""
    leader = stage.leader()
    waiters = [stage.waiter() for _ in range(10)]
    eventually(lambda: [line for line in stage.database.log() if "LISTEN" in line], what="somebody listens")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    notified = [line for line in stage.database.log() if "NOTIFY" in line.upper()]
    assert notified, "nobody was told"
