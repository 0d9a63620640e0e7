"""From the winner's commit in Postgres to the last waiter's app. When the commit happened says pg_xact_commit_timestamp() of the
transaction that wrote the row in lockstep.applied, taken when its commit record is made, before anybody is notified."""

import programs
from crowd import BareCrowd, LockstepCrowd

WAITERS, ROUNDS = 25, 20
LISTENER_CLASS = 0x6C6F636B  # src/postgres.c: the advisory locks of those who listen


class OnPostgres:
    """What both sides ask the server."""

    listeners = None

    def __init__(self, server, name):
        super().__init__(server.directory, name, WAITERS, programs.environment(DATABASE_URL=server.url(), PGAPPNAME=name))
        self.server = server

    def listening(self):
        return self.server.value(self.listeners)

    def recorded(self, target):
        return self.server.value(
            "SELECT (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint FROM lockstep.applied"
            " WHERE name = %s AND target = %s", self.name, target) * 1000


class Lockstep(OnPostgres, LockstepCrowd):
    listeners = (f"SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND state = 'idle'"
                 f" AND classid = {LISTENER_CLASS} AND objsubid = 2 AND query !~ '^LISTEN|pg_try_advisory_lock'")


class Bare(OnPostgres, BareCrowd):
    listeners = ("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bare' AND state = 'idle'"
                 " AND query LIKE '%newer%'")

    @property
    def program(self):
        return programs.BARE


def measure(server):
    """Results of a race, each (from the commit, from the end of the migration)."""
    sides = {"lockstep": Lockstep(server, "wake"), "bare": Bare(server, "bare")}
    for side in sides.values():
        side.run()
    return programs.race({name: side.run for name, side in sides.items()}, dict.fromkeys(sides, ROUNDS))
