"""Terminals and missing standard descriptors."""
import errno
import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pytest

from pidns import LONG, Probe, actor, base_env, eventually, tool, door, any_gate as gate, spawn  # noqa: F401 (fixtures)

PROBE = tool("probe")
CLOSED = [(0,), (1,), (2,), (0, 1, 2)]


def closing(which):
    return [word for fd in which for word in ("--close", str(fd))]


@pytest.mark.parametrize("way", ["fast-path", "migrated"])
@pytest.mark.parametrize("which", CLOSED, ids=["stdin", "stdout", "stderr", "all"])
def test_closed_standard_descriptors(which, way, gate, spawn, tmp_path):
    """pid1.md demand E, 2.13: stdin, stdout, stderr closed at the start, each and all: it works, the app gets exactly
    what a plain exec would have given it, and no file of ours was opened as 0, 1 or 2 and then written to."""
    plain_out, out = tmp_path / "plain", tmp_path / "behind"
    assert spawn([PROBE, "-o", plain_out], launch=closing(which)).wait() == 0
    if way == "fast-path":
        gate.satisfy()
    migrate = "echo to-stdout; echo to-stderr >&2"
    replica = spawn(gate.argv(migrate, app=[PROBE, "-o", out]), launch=closing(which))
    assert replica.wait() == 0, replica.log()
    assert Probe.read(out).same_as(Probe.read(plain_out)) == {}
    assert gate.last()["state"] == "succeeded", "the state is whole JSON"
    for file in gate.dir.iterdir():
        assert b"to-std" not in file.read_bytes() or file.suffix == ".json"
        assert b"lockstep: " not in file.read_bytes() and b'"event"' not in file.read_bytes()


@pytest.mark.parametrize("which", CLOSED, ids=["stdin", "stdout", "stderr", "all"])
def test_migration_has_all_three_when_ours_are_closed(which, gate, spawn, tmp_path):
    """The migration gets /dev/null and two pipes, also if lockstep's own descriptors 0-2 were closed (a pipe end that
    lands on 0-2 must survive the dup2 in the child)."""
    out = tmp_path / "probe"
    replica = spawn(gate.argv(f'["{PROBE}", "-o", "{out}"]', app=["/bin/true"]), launch=closing(which))
    assert replica.wait() == 0, replica.log()
    fds = Probe.read(out).fds
    assert {0, 1, 2} <= set(fds)
    assert fds[0][2] == "/dev/null" and fds[1][2].startswith("pipe:") and fds[2][2].startswith("pipe:")


def test_nobody_reads_our_standard_error(gate, spawn, tmp_path):
    """A log collector that died: writing to stderr raises EPIPE. lockstep must not die of SIGPIPE in mid-run."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        replica = spawn(gate.argv("echo a; echo b >&2", app=[PROBE, "-o", tmp_path / "probe"]), stderr=writer)
        assert replica.wait() == 0
    finally:
        os.close(writer)
    assert gate.last()["state"] == "succeeded"
    assert Probe.read(tmp_path / "probe").ignored() == 0


@pytest.mark.parametrize("log", ["text", "json"])
def test_output_goes_to_the_stream_that_it_came_from(log, gate):
    """DESIGN 1 (Logs): the migration's output passes through on the stream it came from, text and JSON; everything
    that lockstep itself says goes to standard error."""
    done = subprocess.run(gate.argv("echo one; echo two >&2; printf three", app=["/bin/echo", "app"], log=log),
                          env=base_env(), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 0
    out, err = done.stdout.splitlines(), done.stderr.splitlines()
    assert out[-1] == "app" and len(out) == 3
    if log == "text":
        assert out[:2] == ["migrate | one", "migrate | three"] and "migrate | two" in err
        assert all(line.startswith(("lockstep: ", "migrate | two")) for line in err)
    else:
        said = [json.loads(line) for line in out[:2]]
        assert [(e["event"], e["stream"], e["line"]) for e in said] == [("output", "stdout", "one"),
                                                                        ("output", "stdout", "three")]
        said = [json.loads(line) for line in err]
        assert [(e["stream"], e["line"]) for e in said if e["event"] == "output"] == [("stderr", "two")]


@pytest.mark.parametrize("phase", ["waiting", "migrating"])
def test_full_standard_error_does_not_hold_up_a_signal(phase, gate, door, spawn):
    """DESIGN 2 rule 9 with a log collector that hangs: the pipe of stderr is full, and TERM still ends lockstep, in
    order when a migration runs. 100 ms and the grace of 1 s by contract; asserted are 5 s."""
    if phase == "waiting":
        holder = spawn(gate.argv(actor("hold", door), app=["/bin/true"]))
        holder.wait_output("ready")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    with os.fdopen(reader) as lines:
        try:
            replica = spawn(gate.argv(actor("hold", door), "--stop-grace", "1s", app=["/bin/true"]), stderr=writer,
                            stdout=writer)
            wanted = '"waiting"' if phase == "waiting" else "ready"
            for line in lines:
                if wanted in line:
                    break
            filler = os.open(f"/proc/self/fd/{writer}", os.O_WRONLY | os.O_NONBLOCK)  # its own flags, the same pipe
            for size in (512, 1):
                try:
                    while True:
                        os.write(filler, b"x" * size)
                except BlockingIOError:
                    pass
            os.close(filler)
            start = time.monotonic()
            replica.kill(signal.SIGTERM)
            assert replica.wait(10) == 143
            assert time.monotonic() - start < 5
        finally:
            os.close(writer)
    if phase == "migrating":
        assert gate.last()["state"] == "interrupted"


def test_prompt_reading_migration_gets_end_of_file(gate, spawn):
    """DESIGN 2 rule 0: its stdin is /dev/null, so a prompt fails instead of hanging, also if lockstep's own stdin is
    an open pipe; the app still gets that pipe, with nothing eaten from it."""
    reader, writer = os.pipe()
    os.write(writer, b"for the app\n")
    os.close(writer)
    try:
        replica = spawn(gate.argv("if read answer; then exit 9; else echo end-of-file; fi", app=["/bin/cat"]),
                        stdin=reader)
    finally:
        os.close(reader)
    assert replica.finish() == 0, replica.log()
    assert replica.events("output")[0]["line"] == "end-of-file"
    assert replica.out == ["for the app"]


# --- under a terminal -------------------------------------------------------------------------------------------

class Terminal:
    """A pty whose slave is the replica's stdin, stdout, stderr and controlling terminal."""

    def __init__(self, spawn, argv, **options):
        self.master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.text = ""
        self.replica = spawn(argv, stdin=slave, stdout=slave, stderr=slave, launch=["--ctty"], **options)
        self.slave = slave

    def expect(self, text, timeout=LONG):
        """Read until this text was seen; returns all that came until now, and forgets it."""
        end = time.monotonic() + timeout
        while text not in self.text:
            ready, _, _ = select.select([self.master], [], [], max(0, end - time.monotonic()))
            assert ready, f"{text!r} never came: {self.text!r}"
            try:
                self.text += os.read(self.master, 65536).decode("utf-8", "replace")
            except OSError as e:
                assert e.errno != errno.EIO, f"{text!r} never came: {self.text!r}"
        before, _, self.text = self.text.partition(text)
        return before + text

    def type(self, text):
        os.write(self.master, text.encode())

    def foreground(self):
        return os.tcgetpgrp(self.master)

    def close(self):
        os.close(self.slave)
        os.close(self.master)


@pytest.fixture
def terminal(spawn):
    opened = []

    def start(argv, **options):
        opened.append(Terminal(spawn, argv, **options))
        return opened[-1]

    yield start
    for each in opened:
        each.replica.destroy()
        each.close()


@pytest.mark.parametrize("ns", [True, False], ids=["pid1", "not-pid1"])
@pytest.mark.parametrize("way", ["fast-path", "migrated"])
def test_shell_has_job_control(way, ns, gate, terminal):
    """pid1.md demand E: -it: the app is an interactive shell with job control; ^C ends its foreground child only."""
    if way == "fast-path":
        gate.satisfy()
    screen = terminal(gate.argv("echo migrated", app=["/bin/sh", "-i"], log="text"), ns=ns)
    screen.type("echo st''arted\n")
    text = screen.expect("started\r\n")
    assert "job control turned off" not in text and "can't access tty" not in text
    screen.type("sleep 77\n")
    eventually(lambda: screen.foreground() not in (0, screen.replica.pid), "the sleep is in the foreground")
    screen.type("\x03")
    screen.type("echo al''ive\n")
    screen.expect("alive\r\n")
    screen.type("exit 5\n")
    assert screen.replica.wait() == 5


@pytest.mark.parametrize("way", ["fast-path", "migrated"])
def test_terminal_is_handed_on_as_it_was(way, gate, terminal, tmp_path):
    """pid1.md demand E: the terminal's modes and flags (no O_NONBLOCK left on it), foreground group and session are
    those of a plain exec."""
    plain = terminal([PROBE, "-o", tmp_path / "plain"])
    assert plain.replica.wait() == 0
    if way == "fast-path":
        gate.satisfy()
    screen = terminal(gate.argv("echo migrated", app=[PROBE, "-o", tmp_path / "behind"], log="text"))
    assert screen.replica.wait() == 0

    def facts(name):
        probe = Probe.read(tmp_path / name)
        probe.fds = {n: (flags, cloexec, target.rstrip("0123456789")) for n, (flags, cloexec, target) in probe.fds.items()}
        probe.facts["tty"] = str(int(probe.facts["tty"]) != 0)
        return probe

    assert facts("behind").same_as(facts("plain")) == {}
    assert facts("behind").facts["foreground"] == "yes"
    assert termios.tcgetattr(screen.slave) == screen.before


@pytest.mark.parametrize("ns", [True, False], ids=["pid1", "not-pid1"])
def test_interrupt_while_waiting(ns, gate, door, spawn, terminal):
    """pid1.md demand E: ^C while waiting ends lockstep with 130 at once (100 ms by contract, 1 s asserted)."""
    holder = spawn(gate.argv(actor("hold", door), app=["/bin/true"]))
    holder.wait_output("ready")
    screen = terminal(gate.argv("true", app=["/bin/true"], log="text"), ns=ns)
    screen.expect("wait")
    start = time.monotonic()
    screen.type("\x03")
    assert screen.replica.wait() == 130
    assert time.monotonic() - start < 1
    assert holder.alive()


def test_interrupt_during_the_migration(gate, door, terminal):
    """pid1.md demand E: ^C during the migration: INT reaches its group, which is not the terminal's foreground group,
    through lockstep; interrupted, 130."""
    screen = terminal(gate.argv(actor("signals", door, 2), app=["/bin/true"], log="text"))
    screen.expect("ready")
    screen.type("\x03")
    screen.expect("got INT leader")
    assert screen.replica.wait() == 130
    assert gate.last()["state"] == "interrupted"


def test_hangup_of_the_terminal_while_waiting(gate, door, spawn, terminal):
    """The terminal goes away: HUP ends a wait with 129 and the dead terminal does not hold it up."""
    holder = spawn(gate.argv(actor("hold", door), app=["/bin/true"]))
    holder.wait_output("ready")
    screen = terminal(gate.argv("true", app=["/bin/true"], log="text"))
    screen.expect("wait")
    os.close(screen.slave)
    os.close(screen.master)
    screen.close = lambda: None
    assert screen.replica.wait(5) == 129


def test_migration_output_on_a_terminal(gate, terminal):
    """DESIGN 1 (Logs): in text each line behind `migrate | `, also on a terminal, a last line without newline too."""
    screen = terminal(gate.argv("echo one; printf two", app=["/bin/echo", "app"], log="text"))
    text = screen.expect("app\r\n")
    assert "migrate | one\r\n" in text and "migrate | two\r\n" in text
    assert screen.replica.wait() == 0
