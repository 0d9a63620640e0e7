"""Replicas of one image under compose: a crowd, the fast path, rolling updates, rollback, a late database."""

import pytest

from harness.waiting import eventually

NOT_THE_FAST_PATH = {"locked", "waiting", "quarantine", "takeover", "migrating", "migrated"}


@pytest.mark.parametrize("place, replicas", [("postgres", 3), ("postgres", 10), ("redis", 3), ("file", 3)])
def test_crowd_then_up_again(new_project, place, replicas):
    """--scale N on an empty database: one migration, N apps. `up` again: nobody migrates, nobody takes the lock."""
    project = new_project(place)
    crowd = project.up(replicas)
    project.expect_app(*crowd)
    project.journal.assert_applied_once()
    assert sum(bool(replica.saw("migrated")) for replica in crowd) == 1

    project.compose("stop", "--timeout", "5", "app")
    started_before = len(project.journal.apps())
    again = project.up(replicas)
    assert [replica.id for replica in again] == [replica.id for replica in crowd]
    for replica in again:
        replica.follow_life()
    project.expect_app(*again)
    eventually(lambda: len(project.journal.apps()) == started_before + replicas, what="every app has started again")
    for replica in again:
        assert not NOT_THE_FAST_PATH & set(replica.names()), replica.story()
    project.journal.assert_applied_once()


def test_rolling_update_and_rollback(project):
    """New replicas migrate to v2 beside old ones, which restart meanwhile and afterwards without waiting; then all go back to v1."""
    old = project.up(2)
    project.expect_app(*old)

    project.hold()
    both = project.up(4, "--no-recreate", version="v2")
    new = [replica for replica in both if replica not in old]
    assert len(new) == 2
    eventually(lambda: len(project.journal.starts()) == 2, what="the migration to v2 begins")
    old[0].start_again("restart")  # its version is applied: what a newer image does meanwhile is none of its business
    old[0].wait_app()
    assert not NOT_THE_FAST_PATH & set(old[0].names())
    project.release()
    project.expect_app(*new)

    old[1].start_again("restart")
    old[1].wait_event("ahead")
    old[1].wait_app()
    everyone_new = project.up(2, version="v2")
    project.expect_app(*everyone_new)
    assert all("v2" in replica.inspect("{{.Config.Image}}") for replica in everyone_new)

    back = project.up(2, version="v1")
    project.expect_app(*back)
    for replica in back:
        assert replica.saw("ahead") and not NOT_THE_FAST_PATH & set(replica.names()), replica.story()
    assert [(run["target"], run["state"]) for run in project.runs()] == [("v1", "succeeded"), ("v2", "succeeded")]


def test_database_is_started_last(project):
    """Replicas come up without any database (its name does not even resolve): they wait for it, then one migrates."""
    replicas = project.up(2, "--no-deps", "app")
    for replica in replicas:
        replica.wait_event("unavailable")
    project.expect_app(*project.up(2))
    project.journal.assert_applied_once()
    assert all(replica.state()["Running"] for replica in replicas)


def test_checker_sees_what_happens_without_a_gate(new_project):
    """The suite's own test: the same replicas, each migrating at its start as if there were no lockstep, do overlap."""
    project = new_project("file")
    project.hold()
    project.entrypoint = ["sh", "-c", "export LOCKSTEP_TOKEN=1; (eval \"$LOCKSTEP_MIGRATE\") && exec app"]
    project.up(2)
    eventually(lambda: len(project.journal.starts()) == 2, what="both migrate")
    project.release()
    eventually(lambda: len(project.journal.apps()) == 2, what="both have started")
    with pytest.raises(AssertionError, match="two commands were alive at once"):
        project.journal.assert_no_overlap()
    project.checks_overlap = False
