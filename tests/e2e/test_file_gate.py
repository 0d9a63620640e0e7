"""The embedded meeting place: a folder that the replicas of one host share. The same promises, without a server."""

import json
import os

import pytest

from harness.folder import Folder

NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]


@pytest.fixture
def stage(new_stage, folder):
    return new_stage(Folder(folder))


def test_the_record_is_readable(stage, folder):
    """The state is one JSON file beside the lock file: token, applied versions, runs with their output."""
    stage.expect_all_started([stage.start(migrate=stage.migration(say="hello"))])
    record = stage.database.record()
    assert record["token"] == 1
    assert [(a["target"], a["token"]) for a in record["applied"]] == [("v1", 1)]
    [run] = record["runs"]
    assert (run["token"], run["target"], run["state"], run["attempt"], run["exit_status"]) == (1, "v1", "succeeded", 1, 0)
    assert run["output"] == "hello\n" and run["last_line"] == "hello"
    assert (folder / "default.lock").exists() and sorted(p.name for p in folder.iterdir()) == ["default.json", "default.lock"]


def test_restart_writes_nothing(stage, folder):
    """Case 1, second start: satisfied, no lock, no run; not a byte or a time of the record changes."""
    stage.expect_all_started([stage.start()])
    before = os.stat(folder / "default.json")
    again = stage.start()
    again.expect_exit(0)
    assert again.saw("satisfied") and not again.saw("locked")
    after = os.stat(folder / "default.json")
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    stage.journal.assert_applied_once()


def test_restart_in_a_folder_that_is_read_only(stage):
    """Fast path as a user who may only read the folder: nothing needs to be written."""
    stage.expect_all_started([stage.start()])
    reader = stage.start(inside=NOBODY)
    reader.expect_exit(0)
    assert reader.saw("satisfied")


def test_folder_is_made(stage):
    """A folder that does not exist yet is made, with its parents if need be."""
    stage.database = Folder(stage.directory / "new" / "gate")
    stage.url = stage.database.url()
    stage.expect_all_started(stage.crowd(5))
    stage.journal.assert_applied_once()


def test_folder_may_not_be_written(stage, folder):
    """A folder without write permission: 125, and the error names it; nothing is run."""
    replica = stage.start(inside=NOBODY)
    replica.expect_exit(125)
    assert str(folder) in replica.saw("error")[0]["message"]
    assert stage.journal.entries() == []


def test_folder_is_no_folder(stage):
    """A path that runs through a file: 125, and the error names it."""
    (stage.directory / "plain").write_text("")
    stage.url = f"file:{stage.directory}/plain"
    replica = stage.start()
    replica.expect_exit(125)
    assert "plain" in replica.saw("error")[0]["message"]


@pytest.mark.parametrize("garbage", ["", "{", "[]", '{"token": "x"}', "\0\0\0\0"], ids=["empty", "cut off", "array", "wrong type", "zeros"])
def test_record_is_corrupt(stage, folder, garbage):
    """A record that is not what lockstep writes is not guessed at and not overwritten: 125, the error names the file."""
    (folder / "default.json").write_text(garbage)
    replica = stage.start()
    replica.expect_exit(125)
    assert "default.json" in replica.saw("error")[0]["message"]
    assert (folder / "default.json").read_text() == garbage and stage.journal.entries() == []
    (folder / "default.json").unlink()


def test_default_place_of_a_plain_user(stage):
    """Without any URL: a folder under XDG_STATE_HOME for a user who may not write /var/lib; the first line says one host only."""
    home = stage.directory / "state"
    home.mkdir()
    os.chown(home, 65534, 65534)
    replica = stage.start(inside=NOBODY, url=None, env={"LOCKSTEP_LOCK": None, "XDG_STATE_HOME": str(home)})
    replica.expect_exit(0)
    assert (home / "lockstep" / "default.json").exists()
    assert "host" in json.dumps(replica.events[0])


def test_lock_file_left_by_a_crash_is_no_lock(stage, folder):
    """A lock file without a process is only a file."""
    (folder / "default.lock").write_text("")
    stage.expect_all_started([stage.start()])


def test_command_does_not_inherit_more_than_it_should(stage):
    """The app holds nothing of the gate: after everybody has started, the lock can be taken, also while an app lives on."""
    app = ["/bin/sh", "-c", f"{stage.stamp} {stage.journal.path} app; while [ ! -e {stage.released} ]; do sleep 0.05; done"]
    first = stage.start(app=app)
    first.wait_event("exec")
    second = stage.start(target="v2")
    second.expect_exit(0)
    assert first.running()
    stage.release()
    first.expect_exit(0)
