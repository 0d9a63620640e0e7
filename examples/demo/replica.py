"""One replica of the app, started through lockstep, and what lockstep's own log tells about it."""

import datetime
import json
import os
import signal
import subprocess
import time

CONNECTING, WAITING, MIGRATING, APP = range(4)
# The events of the log after which a replica is in another state. Connected, it waits until one of the others comes.
STATES = {"connected": WAITING, "lost": WAITING, "migrating": MIGRATING, "exec": APP}
AT_ONCE = 0.01  # seconds: who passes the gate so soon after it connected has not waited


class ReplicaError(Exception):
    pass


class Replica:
    def __init__(self, number, command, environment, folder):
        self.name = f"replica {number}"
        self.changes = []  # [(time, state)], the first one is the start
        self.migration_says = self.app_says = self.problem = ""
        self._unread = b""
        self.changes.append((time.time(), CONNECTING))
        # A session of its own, so that ^C on the terminal reaches the demo only. One pipe for all that it says.
        self.process = subprocess.Popen(command, env=environment, cwd=folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)
        self.output = self.process.stdout
        os.set_blocking(self.output.fileno(), False)

    @property
    def began(self):
        return self.changes[0][0]

    @property
    def state(self):
        return self.changes[-1][1]

    def at(self, state):
        """When the replica came into this state first, None if never."""
        return next((when for when, which in self.changes if which == state), None)

    def read(self):
        """Takes in what the replica has said since."""
        while (data := self.output.read(65536)) is not None:
            if not data:
                status = self.process.wait()
                raise ReplicaError(f"{self.name} ended with status {status}{self.problem and ': ' + self.problem}")
            *lines, self._unread = (self._unread + data).split(b"\n")
            for line in lines:
                self._take(line.decode("utf-8", "replace"))

    def _take(self, line):
        if self.state == APP or not line.startswith("{"):  # lockstep is gone: the app speaks
            self.app_says = self.problem = line
            return
        said = json.loads(line)
        if said["event"] == "output":
            if "ERROR" not in self.migration_says:  # what psql adds to it says less
                self.migration_says = said["line"]
        elif said["level"] in ("warning", "error"):
            self.problem = said["message"] + (self.migration_says and f" ({self.migration_says})")
        if said["event"] in STATES:
            when = datetime.datetime.fromisoformat(said["time"].replace("Z", "+00:00")).timestamp()
            self._change(max(when, self.changes[-1][0]), STATES[said["event"]])

    def _change(self, when, state):
        connected = len(self.changes) == 2 and self.state == WAITING
        if connected and (state == MIGRATING or when - self.changes[-1][0] < AT_ONCE):
            self.changes.pop()  # it took the lock, or found its version there: both belong to connecting
        if state != self.state:
            self.changes.append((when, state))


def end(replicas):
    """Stops them as a container engine does: SIGTERM, and SIGKILL for who does not end."""
    for replica in replicas:
        replica.process.terminate()
    deadline = time.monotonic() + 10
    for replica in replicas:
        try:
            replica.process.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            os.killpg(replica.process.pid, signal.SIGKILL)
            replica.process.wait()
        replica.output.close()
