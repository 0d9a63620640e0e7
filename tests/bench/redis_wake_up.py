"""From the releasing script in Redis to the last waiter's app. When the script ran is the server's time as the script itself
recorded it, to the millisecond, cut: at most one millisecond too long, on both sides."""

import programs
from crowd import BareCrowd, LockstepCrowd

ROUNDS = {100: 15, 500: 8}


class OnRedis:
    """What both sides record and ask alike."""

    settle = 0.3

    def __init__(self, server, name, waiters, env):
        super().__init__(server.directory, name, waiters, env)
        self.client = server.client

    def key(self, part):
        return f"lockstep:{{{self.name}}}:{part}"

    def listening(self):
        return self.client.pubsub_numsub(self.key("wake"))[0][1]

    def recorded(self, target):
        token = self.client.hget(self.key("applied"), target)
        return int(self.client.hget(self.key("runs"), f"{token}.finished_at")) * 1000000


class Lockstep(OnRedis, LockstepCrowd):
    pass


class Bare(OnRedis, BareCrowd):
    @property
    def program(self):
        return programs.BARE_REDIS


def measure(server, waiters):
    """Results of a race, each (from the script, from the end of the migration)."""
    sides = {"lockstep": Lockstep(server, "wake", waiters, programs.environment(LOCKSTEP_LOCK=server.url())),
             "bare": Bare(server, "bare", waiters, programs.environment(**server.variables()))}
    for side in sides.values():
        side.run()
    return programs.race({name: side.run for name, side in sides.items()}, dict.fromkeys(sides, ROUNDS[waiters]))
