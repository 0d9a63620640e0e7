"""docker pause: every process of a replica stops at the same instant and goes on at the same instant."""

import os
import pathlib
import secrets
import signal
import subprocess

from harness.waiting import eventually

ROOT = pathlib.Path("/sys/fs/cgroup")


class Freezer:
    """A control group of its own where the machine lets us make one, else SIGSTOP and SIGCONT to each process.
    `prefix` starts a command inside; freeze(replica) and thaw(replica) stop it and let it go on."""

    def __init__(self):
        self.group = None
        for parent, switch in ((ROOT / "freezer", "freezer.state"), (ROOT, "cgroup.freeze"), (ROOT / "unified", "cgroup.freeze")):
            group = parent / f"lse2e-{secrets.token_hex(4)}"
            try:
                group.mkdir()
            except OSError:
                continue
            if (group / switch).exists() and os.access(group / "cgroup.procs", os.W_OK):
                self.group, self.switch = group, group / switch
                return
            group.rmdir()

    @property
    def prefix(self):
        if self.group is None:
            return []
        return ["/bin/sh", "-c", f'echo $$ > {self.group}/cgroup.procs && exec "$@"', "sh"]

    def freeze(self, replica):
        if self.group is None:
            replica.signal_tree(signal.SIGSTOP)
        elif self.switch.name == "freezer.state":
            self.switch.write_text("FROZEN")
            eventually(lambda: self.switch.read_text().strip() == "FROZEN", what="frozen")
        else:
            self.switch.write_text("1")
            eventually(lambda: "frozen 1" in (self.group / "cgroup.events").read_text(), what="frozen")

    def thaw(self, replica):
        if self.group is None:
            replica.signal_tree(signal.SIGCONT, newest_first=True)
        else:
            self.switch.write_text("THAWED" if self.switch.name == "freezer.state" else "0")

    def close(self):
        if self.group is None:
            return
        subprocess.run(["/bin/sh", "-c", f"echo THAWED > {self.switch} || echo 0 > {self.switch}"], stderr=subprocess.DEVNULL)
        eventually(self._removed, 20, "the control group is empty")

    def _removed(self):
        try:
            self.group.rmdir()
            return True
        except FileNotFoundError:
            return True
        except OSError:
            return False
