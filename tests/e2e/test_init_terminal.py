"""--init on a terminal: job control, ^C, ^Z, starts in the background (pid1.md section 3, tini's list and demand E)."""
import os
import signal
import termios

import pytest

from inits import PID1, TINI, app_of, init, inits, resident  # noqa: F401 (fixtures)
from pidns import BIN, Probe, descendants, eventually, stat, tool, door, spawn  # noqa: F401 (fixtures)
from test_process_terminal import terminal  # noqa: F401 (fixture)

PROBE = tool("probe")
BOTH = pytest.mark.parametrize("name", ["lockstep", "tini"])


@BOTH
@PID1
def test_shell_has_job_control(ns, name, inits, terminal):
    """-it: an interactive shell has job control: ^C ends its foreground child only, ^Z stops it, fg brings it back."""
    screen = terminal(inits.argv(name, ["/bin/sh", "-i"], log="text"), ns=ns)
    screen.type("echo st''arted\n")
    text = screen.expect("started\r\n")
    assert "job control turned off" not in text and "can't access tty" not in text
    shell = app_of(screen.replica)
    for key, word in (("\x03", "alive"), ("\x1a", "stopped")):
        screen.type("sleep 77\n")
        eventually(lambda: screen.foreground() not in (0, shell, screen.replica.pid), "the sleep is in the foreground")
        screen.type(key)
        eventually(lambda: screen.foreground() == shell, "the shell is again")
        screen.type(f"echo {word[0]}''{word[1:]}\n")
        screen.expect(word + "\r\n")
    screen.type("fg\n")
    eventually(lambda: screen.foreground() not in (0, shell), "the stopped sleep is back")
    screen.type("\x03")
    eventually(lambda: screen.foreground() == shell, "and ended")
    screen.type("exit 5\n")
    assert screen.replica.wait() == 5


@BOTH
@PID1
def test_exit_0_typed_into_a_shell(ns, name, inits, terminal):
    """tini's list: `exit 0` at a tty."""
    screen = terminal(inits.argv(name, ["/bin/sh"], log="text"), ns=ns)
    screen.type("\nexit 0\n")
    assert screen.replica.wait() == 0


@BOTH
@PID1
def test_interrupt_is_130(ns, name, inits, terminal):
    """tini's list: ^C => 130. It goes to the app's group, the terminal's foreground, and once."""
    screen = terminal(inits.argv(name, ["/bin/sh", "-c", "echo re''ady; exec sleep 60"], log="text"), ns=ns)
    screen.expect("ready")
    screen.type("\x03")
    assert screen.replica.wait() == 130


def test_interrupt_arrives_once(inits, terminal):
    screen = terminal(inits.argv("lockstep", [tool("hear")], log="text"))
    screen.expect("ready")
    screen.type("\x03")
    screen.expect("got 2\r\n")
    screen.replica.kill(signal.SIGUSR1)
    assert "got 2" not in screen.expect("got 10\r\n")


@PID1
def test_stopped_by_the_terminal_and_ended_by_term(ns, inits, terminal):
    """2.11: ^Z stops an app that is no shell; TERM ends it all the same (under tini it would stay for ever)."""
    screen = terminal(inits.argv("lockstep", ["/bin/sh", "-c", "echo re''ady; exec sleep 60"], log="text"), ns=ns)
    screen.expect("ready")
    app = app_of(screen.replica)
    screen.type("\x1a")
    eventually(lambda: stat(app)[0] == "T", "the app is stopped")
    assert screen.replica.end_by(signal.SIGTERM)[0] == 143


def test_terminal_is_handed_on_as_it_was(inits, terminal, tmp_path):
    """Modes and flags of the terminal are untouched; the app leads its foreground group, in the session of the resident."""
    screen = terminal(inits.argv("lockstep", [PROBE, "-o", tmp_path / "probe"], log="text"))
    assert screen.replica.wait() == 0
    facts = Probe.read(tmp_path / "probe").facts
    assert (facts["foreground"], facts["leads-group"], facts["leads-session"]) == ("yes", "1", "0")
    assert termios.tcgetattr(screen.slave) == screen.before


@pytest.mark.parametrize("redirect", ["0</dev/null", "0<&-", "0</dev/null >/dev/null 2>&1"], ids=["null", "closed", "all"])
def test_foreground_without_the_terminal_as_standard_input(redirect, inits, terminal, tmp_path):
    """The controlling terminal counts, not standard input: an app that opens /dev/tty must not be stopped for it."""
    words = " ".join(inits.argv("lockstep", [PROBE, "-o", tmp_path / "probe"], log="text"))
    screen = terminal(["/bin/sh", "-c", f"exec {words} {redirect}"])
    assert screen.replica.wait() == 0, screen.text
    assert Probe.read(tmp_path / "probe").facts["foreground"] == "yes"


@pytest.mark.parametrize("name, taken", [("lockstep", False), ("tini", True)])
def test_start_in_the_background_takes_no_terminal(name, taken, inits, terminal):
    """Demand E, tty background start: `lockstep … &` leaves the terminal to the shell. tini takes it away."""
    screen = terminal(["/bin/sh", "-i"])
    screen.type(" ".join(inits.argv(name, ["/bin/sh", "-c", "'echo re\"\"ady; exec sleep 60'"], log="text")) + " 2>/dev/null &\n")
    screen.expect("ready\r\n")
    assert (screen.foreground() != screen.replica.pid) == taken


@PID1
def test_hangup_of_the_terminal(ns, inits, terminal):
    """The terminal goes away: HUP reaches the app through the resident, which leads the session."""
    screen = terminal(inits.argv("lockstep", ["/bin/sh", "-c", "echo re''ady; exec sleep 60"], log="text"), ns=ns)
    screen.expect("ready")
    resident(screen.replica)
    os.close(screen.slave)
    os.close(screen.master)
    screen.close = lambda: None
    assert screen.replica.wait() == 129
