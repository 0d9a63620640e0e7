"""One lockstep process: started with a clean environment, watched through its JSON log, ended with all that it left."""

import json
import os
import signal
import subprocess
import threading
import time

from harness import processes
from harness.waiting import PATIENCE, boottime_ns, eventually

SANITIZER_OPTIONS = ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS")


class Replica:
    def __init__(self, argv, env, label="", inside=()):
        """`inside` is put before the command line (ip netns exec ..., a cgroup, another user)."""
        self.argv, self.label, self.mark = [*inside, *argv], label, processes.new_mark()
        passed = {name: os.environ[name] for name in SANITIZER_OPTIONS if name in os.environ}
        self.env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/nonexistent", **passed, **env, processes.MARK: self.mark}
        self.events, self.noise, self.out = [], [], []
        self.changed = threading.Condition()
        self.started_ns = boottime_ns()
        self.process = subprocess.Popen(self.argv, env=self.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, start_new_session=True)
        self.readers = [threading.Thread(target=self._read, args=args, daemon=True)
                        for args in ((self.process.stdout, self._keep_out), (self.process.stderr, self._keep_err))]
        for reader in self.readers:
            reader.start()

    @property
    def pid(self):
        return self.process.pid

    # what it said

    def _read(self, stream, keep):
        for line in stream:
            with self.changed:
                keep(line.decode(errors="replace").rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def _keep_out(self, line):
        """The migration's standard output passes through here, as events; everything else is the app's or a verb's."""
        if not self._keep_event(line):
            self.out.append(line)

    def _keep_err(self, line):
        if not self._keep_event(line):
            self.noise.append(line)

    def _keep_event(self, line):
        try:
            event = json.loads(line)
            event["event"]
        except (ValueError, KeyError, TypeError):
            return False
        self.events.append(event)
        return True

    @property
    def stdout(self):
        with self.changed:
            return "\n".join(self.out)

    @property
    def log(self):
        with self.changed:
            return "\n".join([json.dumps(e, ensure_ascii=False) for e in self.events] + self.noise)

    def saw(self, name, **fields):
        """All events of that name whose fields have these values."""
        with self.changed:
            return [e for e in self.events if e["event"] == name and all(e.get(k) == v for k, v in fields.items())]

    def said(self, text):
        return text in self.log

    def names(self):
        with self.changed:
            return [e["event"] for e in self.events]

    def wait_event(self, name, timeout=PATIENCE, nth=1, **fields):
        """The nth event of that name. Fails at once when the process is gone without it."""
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = [e for e in self.events if e["event"] == name and all(e.get(k) == v for k, v in fields.items())]
                if len(found) >= nth:
                    return found[nth - 1]
                over = not any(reader.is_alive() for reader in self.readers)
                if over or time.monotonic() > deadline:
                    raise AssertionError(f"{self.label}: no event {name!r} {fields or ''} "
                                         f"({'it is gone' if over else f'in {timeout:.0f} s'})\n{self.story()}")
                self.changed.wait(0.1)

    # how it ends

    def wait_exit(self, timeout=PATIENCE):
        """Its exit status; 128+n style is lockstep's own, a real death by signal shows as -n."""
        try:
            self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.label}: still running after {timeout:.0f} s\n{self.story()}") from None
        for reader in self.readers:
            reader.join(5)
        return self.process.returncode

    def expect_exit(self, status, timeout=PATIENCE):
        got = self.wait_exit(timeout)
        assert got == status, f"{self.label}: exit {got}, expected {status}\n{self.story()}"

    def running(self):
        return self.process.poll() is None

    def signal(self, sig):
        """To lockstep alone, as Docker does."""
        os.kill(self.pid, sig)

    def tree(self):
        """Pids of everything it started that is alive, itself included; oldest first."""
        return processes.marked(self.mark)

    def signal_tree(self, sig, newest_first=False):
        for pid in sorted(self.tree(), reverse=newest_first):
            try:
                os.kill(pid, sig)
            except ProcessLookupError:
                pass

    def wait_gone(self, timeout=PATIENCE):
        """Until nothing of it is alive, not even an orphan of an orphan."""
        eventually(lambda: not self.tree(), timeout, f"{self.label}: its processes are gone")

    def kill(self):
        """The out-of-memory killer takes the container: everything dies at once. Safe to call again."""
        processes.end_marked(self.mark)
        processes.stop(self.process)
        for reader in self.readers:
            reader.join(5)
        for stream in (self.process.stdout, self.process.stderr):
            stream.close()

    def kill_lockstep(self):
        """kill -9 of lockstep alone; what it had started is an orphan now."""
        self.signal(signal.SIGKILL)
        self.process.wait(PATIENCE)

    def story(self):
        """For failure messages: what it said, in order."""
        with self.changed:
            lines = [f"  {e.get('time', '')} {e['event']}: " + " ".join(f"{k}={v}" for k, v in e.items()
                     if k not in ("time", "event", "level")) for e in [e for e in self.events if e["event"] != "output"][-60:] + self.events[-5:]]
            return "\n".join([f"{self.label or 'replica'} (pid {self.pid}) said:"] + lines +
                             [f"  noise: {line}" for line in self.noise[-20:]])
