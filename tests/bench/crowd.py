"""Rounds of one side: a winner holds, the others listen, the winner records the version, everybody executes the app. How long
it took is measured on one clock: the apps stamp CLOCK_BOOTTIME, when the record was made is the server's own word for both
sides, in CLOCK_REALTIME of this machine; the offset between the two is read around every round."""

import os
import time

import programs

PATIENCE = 120


def clock_offset():
    """CLOCK_REALTIME - CLOCK_BOOTTIME in nanoseconds."""
    before = programs.boot_ns()
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return wall - (before + programs.boot_ns()) // 2


class Crowd:
    settle = 0.1  # from the last subscription on, so that everybody has read and sleeps

    def __init__(self, directory, name, waiters, env):
        self.name, self.waiters, self.env, self.round = name, waiters, env, 0
        self.stamps, self.gate, self.log = (directory / f"{name}.{what}" for what in ("stamps", "fifo", "log"))

    def winner(self, target):
        """The words of a program that takes the lock, waits for the end of self.gate, and records `target`."""
        raise NotImplementedError

    def waiter(self, target):
        """Those of one that waits for `target` and then executes the app, to stamp self.stamps."""
        raise NotImplementedError

    def listening(self):
        """How many listen."""
        raise NotImplementedError

    def recorded(self, target):
        """When `target` was recorded: nanoseconds on CLOCK_REALTIME."""
        raise NotImplementedError

    def run(self):
        """(from the record, from the winner's order to end) to the last waiter's app, in milliseconds."""
        self.round += 1
        target = f"{self.waiters}w{self.round}"
        self.stamps.write_text("")
        programs.fifo(self.gate)
        pids = [programs.spawn(self.winner(target), self.env, self.log)]
        release = programs.open_fifo(self.gate)
        pids += [programs.spawn(self.waiter(target), self.env, self.log) for _ in range(self.waiters)]
        self.await_listeners()
        offset = clock_offset()
        released = programs.boot_ns()
        os.close(release)
        for pid in pids:
            programs.expect_success(pid, self.name)
        offset = (offset + clock_offset()) // 2
        recorded = self.recorded(target) - offset
        stamps = [int(line) for line in self.stamps.read_text().split()]
        assert len(stamps) == self.waiters and min(stamps) > recorded, "an app started before the version was recorded"
        return (max(stamps) - recorded) / 1e6, (max(stamps) - released) / 1e6

    def await_listeners(self):
        until = time.monotonic() + PATIENCE
        while self.listening() != self.waiters:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name}: not everybody came to listen")
            time.sleep(0.02)
        time.sleep(self.settle)


class LockstepCrowd(Crowd):
    """The words are the same wherever the replicas meet."""

    def words(self, target):
        return [programs.LOCKSTEP, "--name", self.name, "--target", target]

    def winner(self, target):
        return [*self.words(target), "--migrate", f'["{programs.APP}","hold","{self.gate}"]', "--", programs.APP]

    def waiter(self, target):
        return [*self.words(target), "--migrate", "false", "--", programs.APP, "stamp", self.stamps]


class BareCrowd(Crowd):
    """`program` is one of the bare ones, which take the same words."""

    program = None

    def winner(self, target):
        return [self.program, "commit", self.name, target, self.gate, programs.APP]

    def waiter(self, target):
        return [self.program, "listen", self.name, target, programs.APP, "stamp", self.stamps]
