"""What happens to the container that migrates, and to the database, by the engine's own commands. A lease of 3 s: takeovers are quick."""

import pytest

from harness.daemon import docker
from harness.waiting import boottime_ns, eventually, lasting


@pytest.fixture
def crowd(new_project):
    """crowd(place): a project, the container that migrates in it (until release()), and one that waits for it."""
    def create(place="postgres", **environment):
        project = new_project(place)
        project.environment.update(environment)
        project.hold()
        leader, (waiter,) = project.leader(project.up(2))
        waiter.wait_event("waiting")
        return project, leader, waiter
    return create


def assert_taken_over_dirty(project, waiter):
    """Quarantine first, the old run marked lost, the new one told about it."""
    names = waiter.names()
    assert names.index("quarantine") < names.index("takeover") < names.index("migrating")
    assert waiter.saw("migrating")[0]["previous"] == "lost"
    if project.place == "postgres":
        assert project.states() == ["lost", "succeeded"]


@pytest.mark.parametrize("place", ["postgres", "redis"])
def test_killed(crowd, place):
    """docker kill of the container that migrates: another waits out the quarantine, then migrates. Started again, the dead one
    finds everything done."""
    project, leader, waiter = crowd(place)
    killed = boottime_ns()
    leader.kill()
    project.release()
    project.expect_app(waiter)
    assert_taken_over_dirty(project, waiter)
    assert project.journal.starts()[1].at - killed > 4e9, "the quarantine (lease + 1 s) was cut short"
    leader.start_again()
    project.expect_app(leader)
    assert not leader.saw("migrating")


@pytest.mark.parametrize("place", ["postgres", "redis"])
def test_killed_and_started_again(new_project, place):
    """The container that died while it migrated proves by its id that nothing of it lives: no quarantine after its restart."""
    project = new_project(place)
    project.hold()
    leader, _ = project.leader(project.up(1))
    leader.kill()
    project.release()
    leader.start_again("restart")
    project.expect_app(leader)
    names = leader.names()
    assert "migrating" in names and "quarantine" not in names, leader.story()
    assert leader.saw("migrating")[0]["previous"] == "lost"


def test_stopped(crowd):
    """docker stop of the container that migrates: it ends its migration in order, and another takes over at once."""
    project, leader, waiter = crowd(LOCKSTEP_LEASE="20s")
    docker("stop", leader.id)
    assert leader.wait_end() == 128 + 15
    assert leader.saw("interrupted")
    project.release()
    project.expect_app(waiter)
    assert "quarantine" not in waiter.names()
    assert waiter.saw("migrating")[0]["previous"] == "interrupted"
    assert project.states() == ["interrupted", "succeeded"]


def test_paused_longer_than_the_lease(crowd):
    """docker pause: another takes over; after the thaw the old command is ended without coming to its end."""
    project, leader, waiter = crowd()
    leader.pause()
    eventually(lambda: len(project.journal.starts()) == 2, what="another has taken over")
    leader.unpause()
    leader.wait_event("lost")
    leader.wait_event("waiting", token=2)  # it looks again once the last process of its run is gone
    project.release()
    project.expect_app(leader, waiter)
    assert_taken_over_dirty(project, waiter)
    assert {entry.token for entry in project.journal.ends()} == {project.journal.starts()[1].token}
    project.checks_overlap = False  # after a thaw a process may do a step before anybody can stop it; only the fence holds


def test_short_pause(crowd):
    """docker pause shorter than the lease: the lock is verified, and the same run goes on."""
    project, leader, waiter = crowd(LOCKSTEP_LEASE="20s")
    leader.pause()
    lasting(1.5)
    ticks = len(project.journal.entries("tick"))
    leader.unpause()
    eventually(lambda: len(project.journal.entries("tick")) > ticks + 5, what="the migration goes on after the pause")
    project.release()
    project.expect_app(leader, waiter)
    project.journal.assert_applied_once()


def test_network_disconnected(crowd):
    """docker network disconnect: a silent partition. The old command is dead before another begins; connected again, it starts."""
    project, leader, waiter = crowd()
    network = f"{project.name}_default"
    docker("network", "disconnect", network, leader.id)
    leader.wait_event("lost")
    eventually(lambda: len(project.journal.starts()) == 2, what="another has taken over")
    assert leader.running()
    project.release()
    project.expect_app(waiter)
    assert_taken_over_dirty(project, waiter)
    assert not leader.saw("exec")
    docker("network", "connect", network, leader.id)
    project.expect_app(leader)
    assert len(leader.saw("migrating")) == 1


def test_database_restarted(crowd):
    """docker restart of the database while a migration runs: the lock is gone with it, and the command is ended. One replica
    migrates anew: the same one at once, for it has seen its command end, or another after the quarantine."""
    project, leader, waiter = crowd()
    docker("restart", project.server.id)
    leader.wait_event("lost")
    project.release()
    project.expect_app(leader, waiter)
    assert project.states() == ["lost", "succeeded"]
    assert bool(leader.saw("migrated")) != bool(waiter.saw("migrated"))
    assert leader.saw("migrated") or "quarantine" in waiter.names()
