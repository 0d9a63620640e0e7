"""--applied-if: the app itself says whether anything is pending. DESIGN section 2, rules 6, 10 and 11."""

import signal

import pytest

from harness.waiting import eventually, lasting

pytestmark = pytest.mark.parametrize("place", ["postgres", "redis", "file"], indirect=True)


class App:
    """An app whose schema is a file: the migration makes it, the check looks for it and leaves a line each time."""

    def __init__(self, stage):
        self.stage, self.schema, self.asked = stage, stage.directory / "schema", stage.directory / "asked"
        stage.env["LOCKSTEP_APPLIED_IF"] = f"echo $PPID >> {self.asked}; test -e {self.schema}"

    def check(self, command):
        self.stage.env["LOCKSTEP_APPLIED_IF"] = f"echo $$ >> {self.asked}; {command}"

    def questions(self):
        return len(self.asked.read_text().split()) if self.asked.exists() else 0

    def migration(self, before="", after=""):
        return self.stage.script(f"$STAMP start; {before} touch {self.schema}; $STAMP end; {after}")


@pytest.fixture
def stage(new_stage, place):
    return new_stage(place)


@pytest.fixture
def app(stage):
    return App(stage)


def start(stage, app, *options, **more):
    return stage.start(*options, target=None, migrate=more.pop("migrate", None) or app.migration(), **more)


def test_a_crowd_migrates_once(stage, app, place):
    replicas = [start(stage, app, migrate=app.migration("sleep 0.3;")) for _ in range(6)]
    stage.expect_all_started(replicas)
    stage.journal.assert_applied_once()
    assert place.states() == ["succeeded"] and stage.runs()[0]["target"] == "applied-if"


def test_the_version_may_have_a_name(stage, app, place):
    """All images have the same check; with a name of its own a new one does not wait for what the last one did wrong."""
    stage.start("--target", "image-1", target=None, migrate="exit 3").expect_exit(3)
    stage.expect_all_started([stage.start("--target", "image-2", target=None, migrate=app.migration())])
    assert place.states() == ["failed", "succeeded"] and [run["target"] for run in stage.runs()] == ["image-1", "image-2"]


def test_nothing_pending_takes_no_lock(stage, app, place):
    """Also where nothing was ever recorded: the app's word is the truth."""
    stage.checks_apps = False
    app.schema.touch()
    replica = start(stage, app)
    stage.expect_all_started([replica])
    assert replica.saw("satisfied") and not replica.saw("locked") and stage.runs() == [] and app.questions() == 1


def test_a_recorded_success_is_not_the_truth(stage, app, place):
    """The database was restored from a backup: pending again, migrated again."""
    stage.expect_all_started([start(stage, app)])
    app.schema.unlink()
    again = start(stage, app)
    stage.expect_all_started([again])
    assert again.saw("migrating", attempt=1, previous="succeeded")
    assert place.states() == ["succeeded", "succeeded"]


def test_never_asked_per_poll(stage, app, place):
    """A waiter asks at its first look and after the run that it waited for."""
    leader = stage.leader(target=None, migrate=app.migration("hold;"))
    assert app.questions() == 2  # at the first look, and under the lock
    waiter = stage.start(target=None, migrate=app.migration())
    waiter.wait_event("waiting")
    eventually(lambda: app.questions() == 3, what="the waiter has asked")
    lasting(5)  # two polls or more
    assert app.questions() == 3
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert app.questions() == 5  # the winner once more for a warning's sake, the waiter after the run


def test_app_that_never_agrees(stage, app, place):
    """Rule 6: after a success that everybody saw, a warning instead of an endless round of migrations."""
    app.check("echo 0042_stray is not applied; exit 1")
    leader = stage.leader(target=None, migrate=app.migration("hold;"))
    waiters = [stage.start(target=None, migrate=app.migration()) for _ in range(3)]
    for waiter in waiters:
        waiter.wait_event("waiting")
    stage.release()
    stage.expect_all_started([leader, *waiters])
    assert place.states() == ["succeeded"]
    for replica in (leader, *waiters):
        [warning] = replica.saw("error", level="warning")
        assert "still says that something is pending (status 1: 0042_stray is not applied)" in warning["message"]


@pytest.mark.parametrize("command", ["exec /nonexistent/manage.py", '["/nonexistent/manage.py"]', "exec /etc/passwd"])
def test_check_that_cannot_be_executed(stage, app, place, command):
    """Not taken for "pending": nothing is migrated."""
    stage.env["LOCKSTEP_APPLIED_IF"] = command
    replica = start(stage, app)
    replica.expect_exit(125)
    assert replica.said("the --applied-if command cannot be executed") and stage.runs() == [] and stage.journal.starts() == []


def test_signal_while_the_app_is_asked(stage, app, place):
    """At once, and nothing of the check is left."""
    app.check("exec sleep 600")
    replica = start(stage, app)
    eventually(lambda: app.questions() == 1, what="the app is asked")
    replica.signal(signal.SIGTERM)
    replica.expect_exit(143)
    replica.wait_gone()


def test_check_that_hangs_is_bounded_by_wait_timeout(stage, app, place):
    app.check("exec sleep 600")
    replica = start(stage, app, "--wait-timeout", "1s")
    replica.expect_exit(124)
    replica.wait_gone()


def test_slow_check_under_the_lock_keeps_it(stage, app, place):
    """Heartbeats go on while the app is asked for longer than the lease; a second replica gets no lock meanwhile."""
    app.check(f"if [ $(wc -l < {app.asked}) = 2 ]; then touch {app.asked}.held; sleep 5; fi; test -e {app.schema}")
    first = start(stage, app)
    eventually((stage.directory / "asked.held").exists, what="the app is asked under the lock")
    second = start(stage, app)
    stage.expect_all_started([first, second])
    assert not first.saw("lost") and not second.saw("migrating")
    stage.journal.assert_applied_once()


def test_verbs(stage, app, place):
    stage.checks_apps = False
    stage.start(verb="check", target=None).expect_exit(1)
    waiting = stage.start(verb="wait", target=None)
    stage.start(verb="migrate", target=None, migrate=app.migration()).expect_exit(0)
    stage.expect_all_started([waiting])
    stage.start(verb="check", target=None).expect_exit(0)
    assert not waiting.saw("locked") and place.states() == ["succeeded"]


def test_failures_count_from_the_last_success(stage, app, place):
    """Every image has the same target: what failed before a success neither backs off nor counts for --max-attempts."""
    start(stage, app, "--max-attempts", "2", migrate=stage.migration(exit=4)).expect_exit(4)
    stage.expect_all_started([start(stage, app, "--max-attempts", "2")])
    app.schema.unlink()
    again = start(stage, app, "--max-attempts", "2", migrate=stage.migration(exit=5))
    again.expect_exit(5)
    assert again.saw("migrating", attempt=1) and not again.saw("backoff")
    last = start(stage, app, "--max-attempts", "2")
    stage.expect_all_started([last])
    assert last.saw("backoff") and last.saw("migrating", attempt=2)
    assert place.states() == ["failed", "succeeded", "failed", "succeeded"]


def test_output_of_the_check_is_for_debugging(stage, app, place):
    """Not in a log at info; what it sees is the command's environment without a run."""
    stage.checks_apps = False
    app.schema.touch()
    app.check("echo asked; env | grep -c '^LOCKSTEP_TOKEN='; true")
    quiet = start(stage, app, env={"LOCKSTEP_LOG_LEVEL": "info"})
    loud = start(stage, app)
    stage.expect_all_started([quiet, loud])
    assert not quiet.saw("output")
    assert [e["line"] for e in loud.saw("output", command="applied-if")] == ["asked", "0"]
