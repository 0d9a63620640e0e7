"""Reaping, leftovers and the leash: a run is over when the last process of its tree is gone, whatever dies first."""
import os
import signal
import time

import pytest

from pidns import (Door, actor, descendants, eventually, marked, stat, tool, wait_dead, zombies, door, any_gate as gate, gate as file_gate,
                   spawn)  # noqa: F401 (fixtures)

APP = [tool("actor"), "args", "app-started"]
STARTED = ["[app-started]"]
PID1 = pytest.mark.parametrize("ns", [True, False], ids=["pid1", "subreaper"])


# --- orphans ----------------------------------------------------------------------------------------------------

@PID1
def test_thousand_orphans_while_waiting(ns, gate, door, spawn, tmp_path):
    """pid1.md demand D: 1000 orphans reach lockstep while it waits for the lock, as PID 1 and as subreaper (from a
    child that it was exec'ed with): all are reaped, SIGCHLD coalesces or not, and it still hears TERM."""
    holder = spawn(gate.argv(actor("hold", door), app=APP))
    holder.wait_output("ready")
    inner = Door(tmp_path)
    replica = spawn(gate.argv("true", app=APP), ns=ns,
                    launch=["--child", f"read go < {inner}; exec {tool('actor')} orphans {inner} 1000"])
    replica.wait_event("waiting")
    os.write(inner.fd, b"\n")
    replica.wait_line("made 1000")
    eventually(lambda: len(descendants(replica.pid)) == 1, "only the child itself is left below lockstep")
    assert not zombies(replica.pid)
    inner.open()
    eventually(lambda: not descendants(replica.pid), "the child was reaped as well")
    assert replica.end_by(signal.SIGTERM)[0] == 143


@PID1
def test_thousand_orphans_during_the_migration(ns, gate, door, spawn):
    """pid1.md demand D: 1000 orphans during the migration: reaped while it runs on; the run succeeds."""
    replica = spawn(gate.argv(actor("orphans", door, 1000), app=APP), ns=ns)
    replica.wait_output("made 1000")
    eventually(lambda: len(descendants(replica.pid)) == 2, "only the leash and the command are left")
    assert not zombies(replica.pid)
    door.open()
    assert replica.finish() == 0
    assert replica.out == STARTED


@PID1
def test_main_child_dies_in_the_same_instant_as_its_orphans(ns, gate, spawn):
    """pid1.md demand D, 2.7 (catatonit#4): 300 orphans and the main process end at once; its status must not get lost
    among theirs."""
    for code in (7, 0):
        replica = spawn(gate.argv(actor("burst", 300, code), app=APP), ns=ns)
        assert replica.finish() == code
        assert replica.out == (STARTED if code == 0 else [])
    assert [run["state"] for run in gate.runs()] == ["failed", "succeeded"]


def test_no_process_of_ours_is_left_beside_the_app(gate, spawn, door):
    """DESIGN 5: finally execve(the app): same PID, nothing of lockstep left, no child, no zombie."""
    replica = spawn(gate.argv("true", app=[tool("actor"), "hold", door]))
    replica.wait_line("ready")
    assert not descendants(replica.pid)
    assert marked(replica.mark) == [replica.pid]
    door.open()
    assert replica.finish() == 0


# --- what the main process leaves behind ------------------------------------------------------------------------

def test_orphan_with_our_pipe_outside_the_tree_delays_nobody(gate, door, spawn):
    """pid1.md demand D: somebody who is no process of the run (here: this test) keeps the migration's stdout open.
    lockstep must not wait for the end of the stream. Bound: far below any timeout of the protocol's."""
    replica = spawn(gate.argv(actor("hold", door), app=APP), ns=False)
    pid = int(replica.wait_output("ready").split()[1])
    fd = os.open(f"/proc/{pid}/fd/1", os.O_WRONLY)
    try:
        start = time.monotonic()
        door.open()
        assert replica.wait() == 0
        assert time.monotonic() - start < 2
    finally:
        os.close(fd)
    assert replica.finish() == 0 and replica.out == STARTED


@PID1
def test_leftover_that_obeys_term_costs_no_time(ns, gate, spawn, tmp_path):
    """pid1.md demand D, 2.19: a background process that keeps stdout open and ends on TERM: nobody waits out the two
    seconds. A warning names what happened."""
    log = tmp_path / "log"
    start = time.monotonic()
    replica = spawn(gate.argv(actor("leave", log, "obey"), app=APP), ns=ns)
    assert replica.finish() == 0
    assert time.monotonic() - start < 1.9
    assert log.read_text().startswith("TERM ")
    assert replica.out == STARTED
    assert [e for e in replica.events() if e["level"] == "warning"]


@PID1
def test_leftover_gets_term_two_seconds_kill_and_a_warning_before_the_record(ns, gate, spawn, tmp_path):
    """DESIGN 2 rule 0: what the main process leaves behind gets TERM, 2 s, KILL and a warning before anything is
    recorded: while it lives the run is still running and the app has not started."""
    log = tmp_path / "log"
    app_at = tmp_path / "app-at"
    replica = spawn(gate.argv(actor("leave", log, "ignore"), app=[tool("actor"), "now", app_at]), ns=ns)
    replica.wait_output("leaving")
    eventually(lambda: log.exists() and log.read_text(), "the leftover got TERM")
    assert gate.last()["state"] == "running"
    assert replica.finish() == 0
    term = int(log.read_text().split()[1])
    waited = (int(app_at.read_text()) - term) / 1e9
    assert 1.8 < waited < 5
    assert not replica.survivors()
    assert gate.last()["state"] == "succeeded"
    assert [e for e in replica.events() if e["level"] == "warning"]


def test_leftover_of_a_failed_migration(gate, spawn, tmp_path):
    """DESIGN 2 rule 0, for a run that failed: its leftovers are gone before the next one may start."""
    log = tmp_path / "log"
    script = f"{tool('actor')} leave {log} obey; exit 6"
    replica = spawn(gate.argv(script, app=APP))
    assert replica.finish() == 6
    assert log.read_text().startswith("TERM ") and not replica.survivors()


# --- the leash --------------------------------------------------------------------------------------------------

def test_lockstep_killed_the_leash_ends_the_tree(gate, spawn):
    """pid1.md demand D, locks.md case 2: SIGKILL of lockstep itself (not PID 1, so no kernel cleans up): the leash
    ends the migration and daemonised grandchildren that ignore TERM, within the lease (3 s; asserted 3 s + 1 s, since
    this is not the bound that safety rests on)."""
    replica = spawn(gate.argv(actor("stubborn", 4), app=APP))
    replica.wait_output("ready")
    tree = replica.survivors()
    start = time.monotonic()
    replica.kill(signal.SIGKILL)
    assert replica.wait() == -signal.SIGKILL
    for pid in tree:
        wait_dead(pid)
    assert time.monotonic() - start < 4
    assert not marked(replica.mark), "nor anything else, the leash included"
    assert gate.last()["state"] == "running", "nobody was there to record an end: sticky dirt"


def test_lock_stays_taken_until_the_killed_ones_migration_is_gone(file_gate, spawn, door):
    """DESIGN 4 (File): the lock file's descriptor is held by the leash: a waiter cannot enter while a process of the
    dead replica's migration lives, and then it is quarantined."""
    holder = spawn(file_gate.argv(actor("stubborn", 1), app=APP))
    holder.wait_output("ready")
    waiter = spawn(file_gate.argv("true", app=APP))
    waiter.wait_event("waiting")
    holder.kill(signal.SIGKILL)
    waiter.wait_event("quarantine")
    assert not [p for p in marked(holder.mark) if p != holder.pid]
    assert waiter.finish(30) == 0
    assert [run["state"] for run in file_gate.runs()] == ["lost", "succeeded"]


def leash_of(replica, command):
    """The process between lockstep and its migration."""
    leash = stat(command)[1]
    assert leash != replica.pid and stat(leash)[1] == replica.pid
    return leash


def test_leash_killed_lockstep_ends_the_tree(gate, spawn, tmp_path):
    """pid1.md demand D: SIGKILL of the leash: nobody holds the migration any more, so lockstep ends it, daemonised
    grandchildren included; that run is no success, and whether lockstep gives up or tries anew (here: fails), the app
    does not start."""
    script = f"if mkdir {tmp_path}/first; then exec {tool('actor')} stubborn 2; fi; exit 6"
    replica = spawn(gate.argv(script, app=APP))
    command = int(replica.wait_output("ready").split()[1])
    tree = [p for p in descendants(replica.pid) if p != stat(command)[1]]
    assert len(tree) == 3
    os.kill(leash_of(replica, command), signal.SIGKILL)
    for pid in tree:
        wait_dead(pid, 10)
    assert replica.finish(30) != 0
    assert not replica.out
    assert "succeeded" not in [run["state"] for run in gate.runs()]


def test_leash_stopped_lockstep_ends_the_tree(gate, spawn):
    """pid1.md demand D: SIGSTOP of the leash: it cannot end the command when it must, so lockstep ends both, and says so."""
    replica = spawn(gate.argv(actor("stubborn", 2), "--stop-grace", "1s", app=APP))
    command = int(replica.wait_output("ready").split()[1])
    os.kill(leash_of(replica, command), signal.SIGSTOP)
    assert replica.end_by(signal.SIGTERM)[0] == 143
    replica.finish()
    assert not replica.survivors()
    assert any("was killed" in event["message"] for event in replica.events("error"))
    assert gate.last()["state"] == "interrupted"


def test_stopped_longer_than_the_lease(gate, door, spawn, tmp_path):
    """locks.md case 8, pid1.md demand G: SIGSTOP of lockstep for longer than the lease of 3 s: the leash has the
    command dead before the lease is over (D + G + K = 2.7 s, whatever it ignores); after SIGCONT lockstep records no
    success for that run, sees that it lost the lock and is a replica like the others: it migrates anew."""
    first = tmp_path / "first"
    script = f"if mkdir {first}; then exec {tool('actor')} stubborn 2; fi; echo second"
    replica = spawn(gate.argv(script, app=APP))
    command = int(replica.wait_output("ready").split()[1])
    tree = [p for p in descendants(replica.pid) if p != stat(command)[1]]
    stopped = time.clock_gettime(time.CLOCK_BOOTTIME)
    replica.kill(signal.SIGSTOP)
    dead = max(wait_dead(pid) for pid in tree)
    assert dead - stopped < 3.0, "alive after the end of the lease"
    time.sleep(max(0.0, stopped + 3.5 - time.clock_gettime(time.CLOCK_BOOTTIME)))  # the pause is the fault itself
    assert gate.last()["state"] == "running"
    replica.kill(signal.SIGCONT)
    replica.wait_event("lost")
    assert replica.finish(30) == 0
    assert [run["state"] for run in gate.runs()] == ["lost", "succeeded"]
    assert replica.out == STARTED


def test_stopped_shorter_than_the_lease(gate, door, spawn):
    """DESIGN 3 (3 H <= D): a pause of half a second, longer than a heartbeat, is no loss."""
    replica = spawn(gate.argv(actor("hold", door), "--lease", "10s", app=APP))
    replica.wait_output("ready")
    replica.kill(signal.SIGSTOP)
    time.sleep(0.5)  # the pause is the fault itself
    replica.kill(signal.SIGCONT)
    door.open()
    assert replica.finish() == 0
    assert not replica.events("lost")
    assert [run["state"] for run in gate.runs()] == ["succeeded"]


def test_command_that_ends_while_lockstep_is_stopped(gate, door, spawn):
    """locks.md case 8: the command ends with 0 while lockstep is stopped beyond its lease: too late, no success may be
    recorded for it under the old lock without a new look."""
    replica = spawn(gate.argv(actor("hold", door), app=APP))
    pid = int(replica.wait_output("ready").split()[1])
    replica.kill(signal.SIGSTOP)
    stopped = time.clock_gettime(time.CLOCK_BOOTTIME)
    door.open()
    wait_dead(pid)
    time.sleep(max(0.0, stopped + 3.5 - time.clock_gettime(time.CLOCK_BOOTTIME)))  # the pause is the fault itself
    door.open()  # for a second run, if there is one
    replica.kill(signal.SIGCONT)
    assert replica.finish(30) == 0
    assert replica.out == STARTED
    assert gate.last()["state"] == "succeeded"
