"""Processes that we started, and nobody else's: found by a mark in their environment, ended by their pid."""

import itertools
import os
import random
import signal
import socket
import subprocess
import time
import uuid

from harness.waiting import eventually

MARK = "LSE2E_MARK"  # not LOCKSTEP_*: lockstep hands it on to the migration and to the app


def new_mark():
    return uuid.uuid4().hex


def marked(mark):
    """Pids of all living processes whose environment carries the mark (also orphans and other sessions)."""
    needle = f"{MARK}={mark}".encode()
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/environ", "rb") as f:
                if needle in f.read() and _alive(entry):
                    found.append(int(entry))
        except OSError:
            pass
    return sorted(found)


def _alive(pid):
    with open(f"/proc/{pid}/stat", "rb") as f:
        return f.read().rpartition(b")")[2].split()[0] not in (b"Z", b"X")


def end_marked(mark):
    """SIGKILL to every marked process until none is left. Freezing first: nobody forks away meanwhile."""
    deadline = time.monotonic() + 20
    while pids := marked(mark):
        for sig in (signal.SIGSTOP, signal.SIGKILL):
            for pid in pids:
                try:
                    os.kill(pid, sig)
                except ProcessLookupError:
                    pass
        if time.monotonic() > deadline:
            raise AssertionError(f"processes {pids} survive SIGKILL")
        time.sleep(0.01)


def stop(process, *signals, patience=15):
    """Ends our own child: the given signals in turn, then SIGKILL. Always reaps."""
    for sig in (*signals, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(sig)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            pass


def _own_ports():
    """The ports of this worker of the test run, below the ephemeral range: no other takes one before its server is there."""
    first = 15000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 17 * 1000
    return random.SystemRandom().sample(range(first, first + 1000), 1000)


_ports = itertools.cycle(_own_ports())


def free_port():
    """A loopback port that stays ours while a server restarts."""
    while True:
        port = next(_ports)
        with socket.socket() as s:
            try:
                s.bind(("0.0.0.0", port))
                return port
            except OSError:
                pass


def wait_gone(mark, timeout=60):
    eventually(lambda: not marked(mark), timeout, "all processes of the replica are gone")
