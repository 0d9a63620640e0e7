"""Migrations that fail: who hears of it, who tries again and when. locks.md section 7, case 24."""

import shlex
import datetime
import json
import os

import pytest

from harness.waiting import eventually, lasting

SECOND = datetime.timedelta(seconds=1)


def test_record_of_a_failure(stage):
    """Case 24: the run's row says what happened, with its output, also when that is no text."""
    script = stage.script(r"$STAMP start; printf 'caf\351 \000 \377\nunfinished'; $STAMP fail; exit 7")
    stage.start(migrate=script).expect_exit(7)
    [run] = stage.runs()
    assert (run["state"], run["exit_status"], run["attempt"], run["target"]) == ("failed", 7, 1, "v1")
    lines = bytes(run["output"]).split(b"\n")
    assert lines[0].startswith(b"caf\xe9 ") and lines[0].endswith(b" \xff") and lines[1] == b"unfinished"
    assert run["last_line"] == "unfinished"
    assert run["started_at"] <= run["finished_at"] and stage.database.applied() == set()


def test_retries_count_as_one_failure(stage):
    """--retries: tries in place are one run, so one failure for the backoff."""
    stage.start("--retries", "2", "--retry-delay", "100ms", migrate=stage.migration(exit=4)).expect_exit(4)
    [run] = stage.runs()
    assert run["attempt"] == 3
    assert SECOND <= run["not_before"] - run["finished_at"] <= 3 * SECOND


def test_backoff_doubles(stage):
    """Case 24: 1 s times 2 to the number of failures of this target."""
    for status in (3, 4):
        stage.start(migrate=stage.migration(exit=status)).expect_exit(status)
    first, second = stage.runs()
    assert 1.5 * SECOND <= first["not_before"] - first["finished_at"] <= 2.5 * SECOND
    assert 3.5 * SECOND <= second["not_before"] - second["finished_at"] <= 4.5 * SECOND
    assert second["started_at"] >= first["not_before"]


def test_what_the_command_sees(stage):
    """LOCKSTEP_TOKEN, _TARGET, _ATTEMPT, _PREVIOUS and PGAPPNAME; the rest of the environment; no input."""
    dump = stage.directory / "environment"
    script = stage.script(f'$STAMP start; env -0 > {dump}.new; readlink /proc/self/fd/0 >> {dump}.new; mv {dump}.new {dump}; $STAMP end')
    stage.expect_all_started([stage.start("--name", "orders", migrate=script, env={"COLOUR": "blue"})])
    seen, stdin = dump.read_text().rsplit("\0", 1)
    env = dict(item.split("=", 1) for item in seen.split("\0"))
    assert env["LOCKSTEP_TOKEN"] == "1" and env["LOCKSTEP_TARGET"] == "v1"
    assert env["LOCKSTEP_ATTEMPT"] == "1" and env["LOCKSTEP_PREVIOUS"] == "none"
    assert env["PGAPPNAME"] == "lockstep:orders:1"
    assert env["COLOUR"] == "blue" and env["DATABASE_URL"] == stage.url
    assert stdin.strip() == "/dev/null"


def test_pgappname_of_the_user_is_kept(stage):
    """PGAPPNAME is only set when the user has not set it."""
    dump = stage.directory / "name"
    script = stage.script(f'$STAMP start; echo "$PGAPPNAME" > {dump}; $STAMP end')
    stage.expect_all_started([stage.start(migrate=script, env={"PGAPPNAME": "mine"})])
    assert dump.read_text() == "mine\n"


def test_command_ended_by_a_signal(stage):
    """128+n when a signal n ended the command."""
    killed = stage.start(migrate=stage.script("$STAMP start; kill -KILL $$"))
    killed.expect_exit(137)
    [run] = stage.runs()
    assert (run["state"], run["exit_status"]) == ("failed", 137)


@pytest.mark.parametrize("command, status", [(["/nonexistent/tool"], 127), (["/etc/passwd"], 126), ("exit 21", 21)])
def test_command_that_cannot_be_run(stage, command, status):
    """A command that is not there is a failed run with the shell's status for it; a string is run by /bin/sh."""
    text = command if isinstance(command, str) else json.dumps(command)
    stage.start(migrate=text).expect_exit(status)
    [run] = stage.runs()
    assert (run["state"], run["exit_status"]) == ("failed", status)


def test_migrate_timeout(stage):
    """--migrate-timeout: the command is stopped, recorded as failed with 124; waiters get 124 as well."""
    leader = stage.leader("--migrate-timeout", "2s")
    waiter = stage.waiter()
    leader.expect_exit(124)
    waiter.expect_exit(124)
    leader.wait_gone()
    [run] = stage.runs()
    assert (run["state"], run["exit_status"]) == ("failed", 124)


def test_output_is_recorded(stage):
    """The run's row keeps the last 64 KiB of the output and its last line, both streams."""
    stage.lease = "20s"
    script = stage.script('$STAMP start; i=0; while [ $i -lt 6000 ]; do echo "line $i 0123456789"; i=$((i+1)); done; '
                          'echo "last words" >&2; sleep 0.1; $STAMP end')
    replica = stage.start(migrate=script)
    replica.expect_exit(0)
    [run] = stage.runs()
    output = bytes(run["output"])
    assert 60000 < len(output) <= 65536
    assert b"line 5999 0123456789\n" in output and b"last words\n" in output and b"line 0 0" not in output
    assert len(replica.saw("output", stream="stdout")) == 6000
    assert [e["line"] for e in replica.saw("output", stream="stdout")][::5999] == ["line 0 0123456789", "line 5999 0123456789"]
    assert replica.saw("output", stream="stderr", line="last words")


def test_not_zero_is_a_failure_even_if_the_work_was_done(stage):
    """A recorded success had exit status 0: a command that does its work and then fails is tried again."""
    stage.start(migrate=stage.script("$STAMP start; $STAMP end; exit 1")).expect_exit(1)
    assert stage.database.states() == ["failed"]
    stage.expect_all_started([stage.start()])
    assert stage.database.states() == ["failed", "succeeded"]


def test_waiter_that_came_after_the_failure_tries(stage):
    """A replica that did not watch the failing run does not fail with it: it backs off and takes its own turn."""
    stage.start(migrate=stage.migration(exit=6)).expect_exit(6)
    late = stage.start()
    stage.expect_all_started([late])
    assert late.saw("backoff") and late.saw("migrating")
    eventually(lambda: stage.database.applied() == {"v1"})


class LogDriver:
    """Reads a replica's standard output, a full pipe until it is told to."""

    def __init__(self, stage):
        self.path, self.read = stage.directory / "fifo", b""
        os.mkfifo(self.path)
        self.pipe = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def start(self, stage, lines, *options):
        script = stage.script(f'$STAMP start; i=0; while [ $i -lt {lines} ]; do echo "line $i 0123456789 0123456789 0123456789"; '
                              'i=$((i+1)); done; $STAMP end')
        replica = stage.start(*options, migrate=script, inside=["/bin/sh", "-c", f'exec "$@" > {self.path}', "sh"])
        stage.wait_command()
        return replica

    def read_to_the_end(self, replica):
        while True:
            running = replica.running()
            try:
                self.read += os.read(self.pipe, 65536)
            except BlockingIOError:
                if not running:
                    return
                lasting(0.01)

    def assert_read(self, lines):
        numbers = [json.loads(line)["line"].split()[1] for line in self.read.splitlines() if b'"output"' in line]
        assert numbers == [str(i) for i in range(lines)]


@pytest.fixture
def log_driver(stage):
    driver = LogDriver(stage)
    yield driver
    os.close(driver.pipe)


@pytest.mark.parametrize("options", [(), ("--before", "true")], ids=["the only command", "the second command"])
def test_output_that_nobody_reads_costs_no_lock(options, stage, log_driver):
    """A log driver that stands still (a full pipe) for longer than the lease stops the command's output, not the heartbeats."""
    replica = log_driver.start(stage, 3000, *options)
    lasting(4)  # longer than the lease
    assert not replica.saw("lost") and stage.database.lock_holder()
    log_driver.read_to_the_end(replica)
    stage.expect_all_started([replica])
    log_driver.assert_read(3000)
    stage.journal.assert_applied_once()
    assert stage.database.states() == ["succeeded"]


def test_output_that_is_read_after_the_end(stage, log_driver):
    """What the command has left in its pipe is not lost if the log driver comes back only when the command has ended."""
    replica = log_driver.start(stage, 1000)
    eventually(lambda: stage.journal.ends() and len(replica.tree()) == 1, what="the command has ended")
    lasting(0.3)
    log_driver.read_to_the_end(replica)
    stage.expect_all_started([replica])
    log_driver.assert_read(1000)


def test_output_that_nobody_reads_any_more(stage, log_driver):
    """A log driver that never comes back keeps nobody from passing; standard error tells what was lost."""
    replica = log_driver.start(stage, 1000)
    stage.expect_all_started([replica])
    assert "lost, as nobody read it" in replica.saw("error")[0]["message"]
    assert stage.database.states() == ["succeeded"]


def test_long_command_of_other_letters(stage):
    """The record cuts a long command between characters, not within one, which the server would refuse."""
    command = shlex.join(json.loads(stage.migration()))
    for i, extra in enumerate(("", "x")):
        long = f"{command} # {extra}" + "\N{LATIN SMALL LETTER E WITH ACUTE}" * 700
        stage.start(verb="migrate", target=f"v{i}", migrate=long).expect_exit(0)
