"""--init: orphans are reaped, as PID 1 and as subreaper; the app's end is the end (pid1.md section 3, demand D)."""
import signal
import time

import pytest

from inits import PID1, app_of, init, inits, resident  # noqa: F401 (fixtures)
from pidns import Probe, descendants, eventually, tool, zombies, door, spawn  # noqa: F401 (fixtures)


@PID1
def test_thousand_orphans(ns, init, door):
    """tini's list, demand D: 1000 grandchildren whose parents are gone, all reaped, none a zombie; signals still arrive."""
    replica = init([tool("actor"), "orphans", door, 1000], ns=ns)
    replica.wait_line("made 1000", 60)
    app = app_of(replica)
    eventually(lambda: descendants(replica.pid) == {app: "S"}, "only the app is left")
    assert replica.end_by(signal.SIGTERM)[0] == 143


def test_orphans_without_init_stay(inits, spawn, door):
    """The control that must fail: without --init the app is PID 1, does not reap, and its orphans stay zombies."""
    replica = spawn(inits.gate.argv("true", app=[tool("actor"), "orphans", door, 50]), ns=True)
    replica.wait_line("made 50")
    eventually(lambda: len(zombies(replica.pid)) == 50, "fifty zombies")


def test_orphans_are_the_residents_though_lockstep_was_a_subreaper(inits, door):
    """Whoever made lockstep a subreaper before meant the process that stays: the app is none, and its orphans are reaped."""
    words = "import ctypes, os, sys; ctypes.CDLL(None).prctl(36, 1); os.execv(sys.argv[1], sys.argv[1:])"
    replica = inits("lockstep", [tool("actor"), "orphans", door, 50], wrap=["/usr/bin/python3", "-c", words])
    replica.wait_line("made 50")
    app = app_of(replica)
    eventually(lambda: descendants(replica.pid) == {app: "S"}, "only the app is left")
    door.open()
    assert replica.finish() == 0


@PID1
def test_app_dies_in_the_same_instant_as_its_orphans(ns, init):
    """Demand D, 2.7 (catatonit#4): 300 orphans and the app end at once; one SIGCHLD may stand for all, and the app's status
    must not get lost among theirs."""
    for code in (7, 0, 255):
        assert init([tool("actor"), "burst", 300, code], ns=ns).finish() == code


@PID1
def test_end_of_the_app_is_the_end(ns, init, tmp_path):
    """What the app leaves behind is not waited for: as PID 1 the kernel kills it, otherwise it goes to the next reaper."""
    start = time.monotonic()
    replica = init([tool("actor"), "leave", tmp_path / "log", "ignore"], ns=ns)
    assert replica.wait() == 0
    assert time.monotonic() - start < 10
    assert (replica.survivors() == []) == ns


def test_child_of_before_is_reaped(inits, door):
    """A child that lockstep was executed with is the resident's: reaped as well, and not mistaken for the app."""
    replica = inits("lockstep", [tool("actor"), "hold", door, 3], launch=["--child", "exit 9"])
    replica.wait_line("ready")
    resident(replica)
    app = app_of(replica)
    eventually(lambda: descendants(replica.pid) == {app: "S"}, "only the app is left")
    door.open()
    assert replica.finish() == 3


def test_killed_resident_as_pid_1_takes_all_with_it(init, door):
    """KILL from outside ends PID 1, and the kernel all of its namespace."""
    replica = init([tool("actor"), "stubborn", 3], ns=True)
    replica.wait_line("ready")
    assert replica.end_by(signal.SIGKILL)[0] == -signal.SIGKILL
    eventually(lambda: not replica.survivors(), "nobody is left")


@pytest.mark.parametrize("launch", [[], ["--ignore", str(int(signal.SIGCHLD))]], ids=["default", "ignored"])
def test_ignored_sigchld_loses_no_status(launch, inits, tmp_path):
    """With SIGCHLD ignored the kernel reaps by itself, and the status would be lost; the app gets it ignored, as it was."""
    out = tmp_path / "probe"
    assert inits("lockstep", [tool("probe"), "-o", out, "-x", 5], launch=launch).finish() == 5
    assert Probe.read(out).ignored() >> (signal.SIGCHLD - 1) & 1 == bool(launch)
