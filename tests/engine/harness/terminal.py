"""A program on a terminal of its own, with us at the keyboard."""

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

from harness.waiting import PATIENCE


class Terminal:
    def __init__(self, argv, env, rows=33, columns=101):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self.process = subprocess.Popen(argv, env=env, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True)
        os.close(theirs)
        self.seen, self.taken, self.asked = "", 0, 0

    def _read(self, deadline):
        """Whatever comes next; False when it is over."""
        ready, _, _ = select.select([self.ours], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more on the terminal; it had shown:\n{self.seen}")
        try:
            data = os.read(self.ours, 65536)
        except OSError:  # EIO: nobody has the other side open any more
            data = b""
        self.seen += data.decode(errors="replace").replace("\r\n", "\n")
        return bool(data)

    def send(self, text):
        os.write(self.ours, text.encode())

    def expect(self, text):
        """Until `text` is shown; answers with what was shown before it since the last time."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.seen[self.taken:]:
            if not self._read(deadline):
                raise AssertionError(f"it ended without {text!r}; it had shown:\n{self.seen}")
        before, _, _ = self.seen[self.taken:].partition(text)
        self.taken += len(before) + len(text)
        return before

    def ask(self, command):
        """What a shell's command prints. The mark is written so that its echo is not taken for it."""
        self.asked += 1
        self.send(f"{command}; echo '<'{self.asked}'>'\n")
        return self.expect(f"<{self.asked}>\n").strip()

    def wait(self):
        """Its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._read(deadline):
            pass
        return self.process.wait(PATIENCE)

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        os.close(self.ours)
