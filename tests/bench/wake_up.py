"""From the winner's commit to the last waiter's app.

When the commit happened is the server's own word for both sides: pg_xact_commit_timestamp() of the transaction that wrote
the row in lockstep.applied, taken when its commit record is made, before anybody is notified. It is in CLOCK_REALTIME of this
machine, the apps stamp CLOCK_BOOTTIME: the offset between the two clocks is read around every round."""

import os
import time

import programs

WAITERS, ROUNDS = 25, 20
LISTENER_CLASS = 0x6C6F636B  # src/postgres.c: the advisory locks of those who listen
SETTLE = 0.1


def clock_offset():
    """CLOCK_REALTIME - CLOCK_BOOTTIME in nanoseconds."""
    before = programs.boot_ns()
    wall = time.clock_gettime_ns(time.CLOCK_REALTIME)
    return wall - (before + programs.boot_ns()) // 2


class Crowd:
    """Rounds of one side. A round: a winner holds, the others listen, the winner commits, everybody executes the app."""

    def __init__(self, server, name):
        self.server, self.name, self.round = server, name, 0
        self.stamps, self.gate = server.directory / f"{name}.stamps", server.directory / f"{name}.fifo"
        self.log = server.directory / f"{name}.log"
        self.env = programs.environment(DATABASE_URL=server.url(), PGAPPNAME=name)

    def run(self):
        """(from the commit, from the winner's order to end) to the last waiter's app, in milliseconds."""
        self.round += 1
        target = f"w{self.round}"
        self.stamps.write_text("")
        programs.fifo(self.gate)
        pids = [programs.spawn(self.winner(target), self.env, self.log)]
        release = programs.open_fifo(self.gate)
        pids += [programs.spawn(self.waiter(target), self.env, self.log) for _ in range(WAITERS)]
        self.await_listeners()
        offset = clock_offset()
        released = programs.boot_ns()
        os.close(release)
        for pid in pids:
            programs.expect_success(pid, self.name)
        offset = (offset + clock_offset()) // 2
        committed = self.server.value(
            "SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM lockstep.applied"
            " WHERE name = %s AND target = %s", self.name, target) * 1000 - offset
        stamps = [int(line) for line in self.stamps.read_text().split()]
        assert len(stamps) == WAITERS and min(stamps) > committed, "an app started before the commit"
        return (max(stamps) - committed) / 1e6, (max(stamps) - released) / 1e6

    def await_listeners(self):
        until = time.monotonic() + 30
        while self.server.value(self.listeners) != WAITERS:
            if time.monotonic() > until:
                raise RuntimeError(f"{self.name}: not everybody came to listen")
            time.sleep(0.02)
        time.sleep(SETTLE)


class Lockstep(Crowd):
    listeners = (f"SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND state = 'idle'"
                 f" AND classid = {LISTENER_CLASS} AND objsubid = 2 AND query !~ '^LISTEN|pg_try_advisory_lock'")

    def words(self, target):
        return [programs.LOCKSTEP, "--name", self.name, "--target", target]

    def winner(self, target):
        return [*self.words(target), "--migrate", f'["{programs.APP}","hold","{self.gate}"]', "--", programs.APP]

    def waiter(self, target):
        return [*self.words(target), "--migrate", "false", "--", programs.APP, "stamp", self.stamps]


class Bare(Crowd):
    listeners = ("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bare' AND state = 'idle'"
                 " AND query LIKE '%newer%'")

    def winner(self, target):
        return [programs.BARE, "commit", self.name, target, self.gate, programs.APP]

    def waiter(self, target):
        return [programs.BARE, "listen", self.name, target, programs.APP, "stamp", self.stamps]


def measure(server):
    """Results of a race, each (from the commit, from the end of the migration)."""
    sides = {"lockstep": Lockstep(server, "wake"), "bare": Bare(server, "bare")}
    for side in sides.values():
        side.run()
    return programs.race({name: side.run for name, side in sides.items()}, dict.fromkeys(sides, ROUNDS))
