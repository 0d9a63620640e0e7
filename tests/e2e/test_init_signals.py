"""--init: signals reach the app, and only it (pid1.md section 3, tini's own list and demand A; section 2, points 8 to 11)."""
import os
import signal

import pytest

from inits import (PID1, TINI, app_of, init, inits, pending, resident, status_line, strace, traced_env)  # noqa: F401 (fixtures)
from pidns import actor, descendants, eventually, stat, tool, wait_dead, door, spawn  # noqa: F401 (fixtures)

MARKER = signal.SIGRTMAX
FAULTS = {signal.SIGSEGV, signal.SIGFPE, signal.SIGILL, signal.SIGBUS, signal.SIGABRT, signal.SIGTRAP, signal.SIGSYS}
SENT = [n for n in [*range(1, 32), *range(signal.SIGRTMIN, MARKER)] if n not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD)]
ENDING = [signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP]


def names(value):
    return getattr(value, "name", None)


def heard(replica):
    return [int(line.split()[1]) for line in list(replica.out) if line.startswith("got ")]


def send_all(replica, signals):
    """Sends each and then a marker, which is taken last: what was not heard before it will not come."""
    for n in signals:
        before = heard(replica).count(MARKER)
        replica.kill(n)
        replica.kill(MARKER)
        eventually(lambda: heard(replica).count(MARKER) == before + 1, f"the marker behind signal {n}")


@PID1
def test_each_signal_reaches_the_app_once(ns, inits):
    """Demand A: 1 to 31 but KILL, STOP and CHLD, and the real-time ones, one after the other, each once and nothing
    besides (no CONT behind TERM for an app that is not stopped). TTIN and TTOU are about the init's own place at the
    terminal. Side by side with tini, which keeps the seven signals of faults to itself (and dies of them when it is not
    PID 1, so there they are not sent)."""
    replica = inits("lockstep", [tool("hear")], ns=ns)
    replica.wait_line("ready")
    resident(replica)
    send_all(replica, SENT)
    expected = [n for n in SENT if n not in (signal.SIGTTIN, signal.SIGTTOU)]
    assert [n for n in heard(replica) if n != MARKER] == expected
    os.kill(app_of(replica), signal.SIGKILL)
    assert replica.finish() == 128 + signal.SIGKILL
    tini = inits("tini", [tool("hear")], ns=ns)
    tini.wait_line("ready")
    send_all(tini, [n for n in SENT if ns or n not in FAULTS])
    assert [n for n in heard(tini) if n != MARKER] == [n for n in expected if n not in FAULTS]


@pytest.mark.parametrize("sig, status", [(signal.SIGTERM, 143), (signal.SIGUSR1, 138), (signal.SIGUSR2, 140), (signal.SIGINT, 130),
                                         (signal.SIGHUP, 129), (signal.SIGQUIT, 131)], ids=names)
@PID1
def test_signal_ends_an_app_without_a_handler(sig, status, ns, init):
    """tini's list: TERM, USR1, USR2 => 128+n. README says so: the app is not PID 1 any more, so it has defaults."""
    replica = init(["/bin/sleep", "60"], ns=ns)
    app_of(replica)
    if init.name == "lockstep":
        resident(replica)
    assert replica.end_by(sig)[0] == status


def test_queued_real_time_signals_all_arrive(init):
    """Real-time signals queue: five of one number are five at the app, in order with those of others."""
    replica = init([tool("hear")], ns=True)
    replica.wait_line("ready")
    for n in (40, 36, 40, 36, 40):
        replica.kill(n)
    eventually(lambda: len(heard(replica)) == 5, "all five")
    assert sorted(heard(replica)) == [36, 36, 40, 40, 40]


# --- in the windows of the start --------------------------------------------------------------------------------

def test_signal_between_the_gate_and_the_resident(inits):
    """The parent's exec of itself is held open for a second; the app runs already. What arrives then waits, also the
    signals that lockstep does not handle at the gate, and reaches the app."""
    replica = inits("lockstep", [tool("hear")], env=traced_env(), prefix=strace("execve:delay_enter=1000000:when=2", "-D"))
    replica.wait_line("ready")
    with open(f"/proc/{replica.pid}/cmdline", "rb") as file:
        assert not file.read().startswith(b"lockstep-init"), "else this test comes too late"
    for n in (signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, 40, 40):
        replica.kill(n)
    eventually(lambda: len(heard(replica)) == 5, "all that was sent")
    assert sorted(heard(replica)) == sorted([signal.SIGTERM, signal.SIGUSR1, signal.SIGWINCH, 40, 40])


@pytest.mark.parametrize("rule", ["setpgid:delay_enter=700000", "execve:delay_enter=700000:when=1",
                                  "?fork,?vfork,clone,?clone3:delay_exit=400000", "rt_sigprocmask:delay_enter=100000"],
                         ids=["before-setpgid", "before-exec", "before-the-parent-knows", "around-the-mask"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT], ids=names)
def test_signal_in_the_window_between_fork_and_exec(sig, rule, inits):
    """Demand A, 2.9: TERM between fork and setpgid or exec (held open by strace) ends the app: it is sent to the app, not
    to a group that is not there yet."""
    replica = inits("lockstep", ["/bin/sleep", "60"], env=traced_env(), prefix=strace(rule, "-D"))
    replica.wait_event("exec")
    eventually(lambda: [pid for pid in descendants(replica.pid) if status_line(pid, "Name") != "strace"], "lockstep has forked")
    status, seconds = replica.end_by(sig)
    assert status == 128 + sig
    assert seconds < 15


def test_term_at_any_moment_of_the_start(inits):
    """TERM right after the last line of lockstep: at whatever point it arrives, it ends lockstep or the app."""
    for _ in range(20):
        replica = inits("lockstep", ["/bin/sleep", "60"])
        replica.wait_event("exec")
        assert replica.end_by(signal.SIGTERM)[0] == 143


# --- an app that is stopped, or another user's ------------------------------------------------------------------

def stopped_app(replica):
    app = app_of(replica)
    os.kill(app, signal.SIGSTOP)
    eventually(lambda: stat(app)[0] == "T", "the app is stopped")
    return app


@pytest.mark.parametrize("sig", ENDING, ids=names)
@PID1
def test_ending_signal_to_a_stopped_app(sig, ns, inits):
    """Demand A, 2.11: TERM, INT, QUIT and HUP wake a stopped app, so that they take effect."""
    replica = inits("lockstep", ["/bin/sleep", "60"], ns=ns)
    resident(replica)
    stopped_app(replica)
    assert replica.end_by(sig)[0] == 128 + sig


def test_stopped_app_under_tini_stays(inits):
    """The control: under tini TERM reaches the stopped app, and nothing happens."""
    replica = inits("tini", ["/bin/sleep", "60"], ns=True)
    app = stopped_app(replica)
    replica.kill(signal.SIGTERM)
    eventually(lambda: pending(app, signal.SIGTERM), "TERM waits at the app")
    assert stat(app)[0] == "T" and replica.alive()


def test_other_signals_do_not_wake_a_stopped_app(inits):
    """Somebody has stopped it to look at it: USR1 waits; only CONT, or who wants an end, wakes it."""
    replica = inits("lockstep", [tool("hear")], ns=True)
    replica.wait_line("ready")
    app = stopped_app(replica)
    replica.kill(signal.SIGUSR1)
    eventually(lambda: pending(app, signal.SIGUSR1), "USR1 waits at the app")
    assert stat(app)[0] == "T" and heard(replica) == []
    replica.kill(signal.SIGCONT)
    eventually(lambda: len(heard(replica)) == 2, "both are heard")
    replica.kill(signal.SIGTERM)
    replica.kill(MARKER)
    eventually(lambda: MARKER in heard(replica), "the marker behind TERM")
    assert heard(replica).count(signal.SIGCONT) == 1, "it was not stopped any more"


def test_app_that_may_not_be_signalled(inits, door):
    """Demand A, 2.10: the app changed its uid and the init has no CAP_KILL: kill() says EPERM. The resident stays, and
    ends with the app's status. tini exits with 1 at once and takes the app down."""
    app = [tool("actor"), "hold", door, 7, 65534]
    without_right = ["/usr/bin/setpriv", "--bounding-set=-kill", "--inh-caps=-kill"]
    replica = inits("lockstep", app, ns=True, wrap=without_right)
    replica.wait_line("ready")
    resident(replica)
    replica.kill(signal.SIGTERM)
    eventually(lambda: not pending(replica.pid, signal.SIGTERM), "TERM was taken")
    assert replica.alive()
    door.open()
    assert replica.finish() == 7
    tini = inits("tini", app, ns=True, wrap=without_right)
    tini.wait_line("ready")
    assert tini.end_by(signal.SIGTERM)[0] == 1


def test_app_that_ignores_the_signal_goes_on(init, door):
    """The init itself does not end by a signal: only the app decides."""
    app = ["sh", "-c", f"trap '' TERM INT HUP; exec {tool('actor')} hold {door} 4"]
    replica = init(app, ns=True)
    replica.wait_line("ready")
    for sig in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        replica.kill(sig)
    eventually(lambda: not any(pending(replica.pid, s) for s in ENDING), "all were taken")
    assert replica.alive()
    door.open()
    assert replica.finish() == 4


def test_only_the_app_is_signalled(inits, door):
    """As tini without -g: what the app has started is the app's affair."""
    replica = inits("lockstep", [tool("actor"), "signals", door, 3], ns=True)
    replica.wait_line("ready")
    replica.kill(signal.SIGUSR1)
    replica.wait_line("got USR1 leader")
    door.open()
    assert replica.finish() == 0
    assert "got USR1 member" not in replica.out


# --- nobody wakes without a reason ------------------------------------------------------------------------------

def wait_call(pid):
    """(system call's number, timeout) in which the process sleeps; rt_sigtimedwait's third argument is its timeout."""
    def sleeping():
        with open(f"/proc/{pid}/syscall", encoding="utf-8") as file:
            words = file.read().split()
        return words if len(words) > 4 else None
    words = eventually(sleeping, "it sleeps")
    return int(words[0]), int(words[3], 16)


def test_idle_resident_never_wakes(inits):
    """Demand H: it sleeps in a system call without a timeout, so no clock can wake it. tini, in the same call, has one: it
    wakes every second."""
    asleep = {}
    for name in ("lockstep", "tini"):
        replica = inits(name, ["/bin/sleep", "60"], ns=True)
        app_of(replica)
        if name == "lockstep":
            resident(replica)
            eventually(lambda pid=replica.pid: stat(pid)[0] == "S" and wait_call(pid)[0] == call_number(), "it waits for signals")
        asleep[name] = wait_call(replica.pid)
    assert asleep["lockstep"] == (call_number(), 0)
    assert asleep["tini"][0] == call_number() and asleep["tini"][1] != 0


def call_number():
    return {"x86_64": 128, "aarch64": 137}[os.uname().machine]
