"""A Redis Cluster: a gate is in one slot, on one node; every node says which. locks.md section 4 and section 7, case 29."""

import signal

import pytest

from harness.redis_faults import assert_quarantined
from harness.waiting import boottime_ns, eventually


@pytest.fixture
def stage(redis_cluster, new_stage):
    """A gate established in a cluster of three masters; stage.cluster are they."""
    cluster = redis_cluster()
    stage = new_stage(cluster.gate().establish())
    stage.cluster = cluster
    return stage


@pytest.fixture
def with_replica(stage, redises):
    """The same, where the gate's node has a replica that takes over by itself; stage.replica is that one."""
    owner = stage.cluster.owner()
    stage.replica = redises(cluster_enabled="yes", cluster_announce_ip="127.0.0.1", cluster_node_timeout=2000)
    node = owner.admin.execute_command("CLUSTER MYID")
    stage.replica.admin.execute_command("CLUSTER MEET", "127.0.0.1", owner.port, owner.settings["cluster-port"])
    eventually(lambda: node in str(stage.replica.admin.execute_command("CLUSTER NODES")), what="they know each other")
    stage.replica.admin.execute_command("CLUSTER REPLICATE", node)
    eventually(lambda: stage.replica.caught_up_with(owner), what="the replica has everything")
    eventually(lambda: all(f"127.0.0.1:{stage.replica.port}" in str(server.admin.execute_command("CLUSTER NODES"))
                           for server in stage.cluster.servers), what="everybody knows the replica")
    stage.cluster.servers.append(stage.replica)
    return stage


def urls(stage):
    return [stage.database.url(server=server) for server in stage.cluster.servers]


def test_any_node_will_do(stage):
    """MOVED is followed from whichever node the URL names; a wake-up goes through the whole cluster."""
    leader = stage.leader(url=urls(stage)[0])
    waiters = [stage.waiter(url=url) for url in urls(stage)]
    stage.release()
    stage.expect_all_started([leader, *waiters])
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"] and not leader.saw("quarantine")


def test_each_node_starts_a_run(stage):
    """A run from each node, one after the other: every script finds its slot, also where no node has it in its cache."""
    for nth, url in enumerate(urls(stage)):
        stage.start(verb="migrate", target=f"v{nth}", url=url).expect_exit(0)
    assert stage.database.states() == ["succeeded"] * 3 and stage.database.applied() == {"v0", "v1", "v2"}


def test_slot_is_moved_while_a_command_runs(stage):
    """Resharding: the lease moves with its slot; the holder and the waiters follow; nothing is lost."""
    stage.lease = "20s"
    stage.database.establish(lease=20)
    leader = stage.leader(url=urls(stage)[0])
    waiters = [stage.waiter(url=url) for url in urls(stage)]
    new = stage.cluster.move()
    with new.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_slot_is_on_the_move_for_longer_than_the_deadline(stage):
    """While a slot is half here and half there scripts are refused (TRYAGAIN, ASK): as if Redis stood still."""
    leader = stage.leader(migrate=stage.held_migration(ignore=1))
    waiter = stage.waiter()
    old, slot = stage.cluster.owner(), stage.cluster.slot()
    new = stage.cluster.others()[0].admin.execute_command("CLUSTER MYID")
    old.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new)
    leader.wait_event("lost")
    assert leader.said("the cluster is moving our slot")
    stage.cluster.move()
    stage.wait_command(2)
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def test_slot_is_moved_between_runs(stage):
    """Another node has another replication id: Q before the next run, and the records are all there."""
    stage.start(verb="migrate", target="v0").expect_exit(0)
    stage.cluster.move()
    replica = stage.start()
    stage.expect_all_started([replica])
    assert replica.saw("quarantine") and stage.database.applied() == {"v0", "v1"}


def test_node_of_the_gate_dies(stage):
    """Nobody takes over: said in words and tried again; 125 when --connect-timeout is over; when the node is back, and has forgotten
    everything, Q, and everybody starts."""
    owner = stage.cluster.owner()
    other = stage.cluster.others()[0]
    leader = stage.leader(url=stage.database.url(server=other), migrate=stage.held_migration(ignore=1))
    owner.kill()
    leader.wait_event("lost")
    eventually(lambda: "fail" in other.admin.execute_command("CLUSTER INFO")["cluster_state"], what="the cluster is down")
    bounded = stage.start("--connect-timeout", "2s", url=stage.database.url(server=other))
    bounded.expect_exit(125)
    assert "CLUSTERDOWN" in bounded.saw("error")[0]["message"] and "not whole" in bounded.log
    since = boottime_ns()
    owner.start()
    assert_quarantined(since, stage.wait_command(2))
    stage.release()
    stage.expect_all_started([leader])
    assert len(stage.journal.ends()) == 1 and stage.database.applied() == {"v1"}


def test_node_of_the_url_dies(stage):
    """The URL names several nodes: it is enough that one of them lives."""
    first, second = stage.cluster.others()
    url = stage.database.url(server=first).replace("://", f"://127.0.0.1:{second.port},")
    leader = stage.leader(url=url)
    waiter = stage.waiter(url=url)
    second.kill()
    eventually(lambda: "fail" in first.admin.execute_command("CLUSTER INFO")["cluster_state"], what="the cluster is down")
    second.start()
    stage.release()
    stage.expect_all_started([leader, waiter])
    stage.start(verb="migrate", target="v2", url=url).expect_exit(0)


@pytest.mark.parametrize("how", ["lives", "is stopped"])
def test_another_node_takes_over(with_replica, how):
    """Case 29: the gate's node dies and its replica takes over, later than D: the command ends, Q at the new node, everybody starts."""
    stage = with_replica
    owner = stage.cluster.owner()
    url = stage.database.url(server=stage.cluster.others()[0])
    leader = stage.leader(url=url, migrate=stage.held_migration(ignore=1))
    waiters = [stage.waiter(url=url) for _ in range(2)]
    eventually(lambda: stage.replica.caught_up_with(owner), what="the replica has the run")
    if how == "is stopped":
        leader.signal(signal.SIGSTOP)
    since = boottime_ns()
    owner.kill()
    eventually(lambda: stage.replica.role() == "master", what="the replica has taken over")
    assert_quarantined(since, stage.wait_command(2))
    leader.signal(signal.SIGCONT)
    leader.wait_event("lost")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert stage.database.states() == ["lost", "succeeded"] and len(stage.journal.ends()) == 1


def test_replica_of_the_node_takes_over_in_time(with_replica):
    """Case 29: a planned failover of the node is quicker than D: the lease is there, the holder goes on."""
    stage = with_replica
    stage.lease = "20s"
    stage.database.establish(lease=20)
    url = stage.database.url(server=stage.cluster.others()[0])
    leader = stage.leader(url=url)
    waiter = stage.waiter(url=url)
    stage.replica.admin.execute_command("CLUSTER FAILOVER")
    eventually(lambda: stage.replica.role() == "master", what="the replica has taken over")
    with stage.replica.watched() as seen:
        seen.wait('"pexpire"')
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert not leader.saw("lost")
    stage.journal.assert_applied_once()


def test_database_number_in_a_cluster(stage):
    """A cluster has database 0 only: 125, and the error says so."""
    replica = stage.start("--connect-timeout", "2s", url=stage.cluster.servers[0].url(db=3))
    replica.expect_exit(125)
    assert "database 0" in replica.saw("error")[0]["message"]
