"""--before and --after: what the winner runs around the migration, under the same lock."""

import signal

import pytest

from harness.waiting import eventually

pytestmark = pytest.mark.parametrize("place", ["postgres", "redis", "file"], indirect=True)


@pytest.fixture
def stage(new_stage, place):
    return new_stage(place)


def step(stage, name, then=""):
    """A shell command that leaves its name in the file `steps`."""
    return f"echo {name} >> {stage.directory / 'steps'}; echo {name} of token $LOCKSTEP_TOKEN; {then}"


def steps(stage):
    try:
        return (stage.directory / "steps").read_text().split()
    except FileNotFoundError:
        return []


def settings(stage, before="", after=""):
    return {"LOCKSTEP_BEFORE": step(stage, "before", before), "LOCKSTEP_AFTER": step(stage, "after", after)}


def migration(stage, then=""):
    return stage.script("$STAMP start; " + step(stage, "migrate") + "$STAMP end; " + then)


def output(stage):
    """What is recorded of the latest run's output."""
    text = stage.runs()[-1]["output"]
    return text.encode() if isinstance(text, str) else bytes(text)


def test_only_the_winner_and_only_if_it_migrates(stage, place):
    """Each once, in order, with the run's token, recorded with the run; a restart runs none."""
    replicas = stage.crowd(4, migrate=migration(stage), env=settings(stage))
    stage.expect_all_started(replicas)
    assert steps(stage) == ["before", "migrate", "after"]
    [winner] = [replica for replica in replicas if replica.saw("migrating")]
    token = winner.saw("migrating")[0]["token"]
    for name in ("before", "migrate", "after"):
        assert winner.saw("output", command=name, line=f"{name} of token {token}")
        assert f"{name} of token {token}\n".encode() in output(stage)
    stage.expect_all_started([stage.start(migrate=migration(stage), env=settings(stage))])
    assert steps(stage) == ["before", "migrate", "after"]


def test_failing_before_stops_the_migration(stage, place):
    """Nothing was migrated; the run failed with the status of --before, for those who waited as well."""
    env = settings(stage, before="while [ ! -e released ]; do sleep 0.05; done; echo no space left; exit 9".replace("released", str(stage.released)))
    leader = stage.start(migrate=migration(stage), env=env)
    eventually(lambda: steps(stage) == ["before"], what="--before runs")
    waiter = stage.waiter(env=env)
    stage.release()
    for replica in (leader, waiter):
        replica.expect_exit(9)
        assert not replica.saw("exec")
    assert leader.said("--before failed with status 9; nothing was migrated") and waiter.said("no space left")
    assert steps(stage) == ["before"] and stage.journal.starts() == []
    [run] = stage.runs()
    assert (run["state"], run["exit_status"]) == ("failed", 9) and b"no space left" in output(stage)


def test_failing_after_leaves_the_version_applied(stage, place):
    """A warning, and everybody starts."""
    replica = stage.start(migrate=migration(stage), env=settings(stage, after="echo cache is cold; exit 3"))
    stage.expect_all_started([replica])
    [warning] = replica.saw("error", command="after", status=3)
    assert warning["level"] == "warning" and "the version is applied all the same" in warning["message"]
    assert place.states() == ["succeeded"] and place.applied() == {"v1"} and b"cache is cold" in output(stage)


@pytest.mark.parametrize("program", ["before", "after"])
def test_program_that_is_not_there(stage, place, program):
    """The same as a failing one, with the shell's status."""
    replica = stage.start(migrate=migration(stage), env={**settings(stage), f"LOCKSTEP_{program.upper()}": '["/nonexistent/dump"]'})
    replica.expect_exit(127 if program == "before" else 0)
    assert replica.said("/nonexistent/dump: command not found")
    assert place.applied() == (set() if program == "before" else {"v1"})


def test_stopped_in_after(stage, place):
    """docker stop while --after runs: it is stopped, the version is applied, lockstep ends as signals end it."""
    replica = stage.start(migrate=migration(stage), env=settings(stage, after="exec sleep 600"))
    replica.wait_event("output", command="after")
    replica.signal(signal.SIGTERM)
    replica.expect_exit(143)
    assert place.states() == ["succeeded"] and place.applied() == {"v1"}
    stage.expect_all_started([stage.start(env=settings(stage))])
    assert steps(stage) == ["before", "migrate", "after"]


def test_stopped_in_before(stage, place):
    """docker stop while --before runs: interrupted, nothing was migrated, the next one takes over at once."""
    replica = stage.start(migrate=migration(stage), env=settings(stage, before="exec sleep 600"))
    replica.wait_event("output", command="before")
    replica.signal(signal.SIGTERM)
    replica.expect_exit(143)
    assert place.states() == ["interrupted"] and stage.journal.starts() == []
    following = stage.start(migrate=migration(stage), env=settings(stage))
    stage.expect_all_started([following])
    assert not following.saw("quarantine")


def test_timeout_is_for_all_of_them(stage, place):
    """--migrate-timeout in --before is a failed run, in --after it leaves the version applied."""
    stage.start("--migrate-timeout", "1s", migrate=migration(stage), env=settings(stage, before="exec sleep 600")).expect_exit(124)
    assert place.states() == ["failed"]
    again = stage.start("--migrate-timeout", "1s", migrate=migration(stage), env=settings(stage, after="exec sleep 600"))
    stage.expect_all_started([again])
    assert place.states() == ["failed", "succeeded"]


def test_retries_repeat_before_only_if_it_failed(stage, place):
    """A backup that is made is made; one that is not is tried again before anything is migrated."""
    flaky = f"[ -e {stage.directory / 'once'} ] || {{ touch {stage.directory / 'once'}; exit 1; }}"
    failing = stage.script(f"$STAMP start; {step(stage, 'migrate')} exit 5")
    stage.start("--retries", "2", "--retry-delay", "50ms", migrate=failing, env=settings(stage, before=flaky)).expect_exit(5)
    assert steps(stage) == ["before", "before", "migrate", "migrate"]
    assert stage.runs()[-1]["attempt"] == 3


def test_processes_that_a_step_leaves_behind(stage, place):
    """A run's step is over when its last process is gone, before the next begins."""
    pid_file = stage.directory / "left"
    left = f"setsid sleep 600 & echo $! > {pid_file}.new; mv {pid_file}.new {pid_file}"
    seen = stage.directory / "seen"
    script = migration(stage, f"kill -0 $(cat {pid_file}) 2>/dev/null && touch {seen}; true")
    replica = stage.start(migrate=script, env=settings(stage, before=left))
    stage.expect_all_started([replica])
    assert pid_file.exists() and not seen.exists() and replica.said("--before command has ended but left 1 process behind")
