"""A gate whose meeting place is Redis: reads what lockstep has recorded, like harness.postgres.Database and harness.folder."""

import collections

from harness.waiting import eventually

Holder = collections.namedtuple("Holder", "nonce fence milliseconds")

NUMBERS = ("attempt", "pid", "exit_status", "started_at", "beat_at", "finished_at")


class Gate:
    """The gates of one database of a server; `name` is lockstep's --name."""

    def __init__(self, server, db=0):
        self.server, self.db = server, db

    def at(self, server):
        """The same gates on another server (a promoted replica)."""
        return Gate(server, self.db)

    def url(self, **kwargs):
        return self.server.url(db=self.db, **kwargs)

    def unix_url(self, **kwargs):
        return self.server.unix_url(db=self.db, **kwargs)

    def server_of(self, name="default"):
        """The server that has the gate's keys."""
        return self.server

    def client(self, name="default"):
        """A redis-py client of that server and database."""
        return self.server_of(name).client(db=self.db)

    @staticmethod
    def key(part, name="default"):
        return f"lockstep:{{{name}}}:{part}"

    def hash(self, part, name="default"):
        return self.client(name).hgetall(self.key(part, name))

    # what is recorded

    def runs(self, name="default"):
        """Dicts, oldest first; times are milliseconds since the epoch, what is not known is None, `output` is bytes."""
        runs = collections.defaultdict(dict)
        for field, value in self.hash("runs", name).items():
            token, _, what = field.partition(".")
            runs[int(token)][what] = (int(value) if value else None) if what in NUMBERS else value
        outputs = self.hash("outputs", name)
        return [{"token": token, **dict.fromkeys(NUMBERS), **runs[token],
                 "output": outputs.get(str(token), "").encode(errors="surrogateescape")} for token in sorted(runs)]

    def states(self, name="default"):
        return [run["state"] for run in self.runs(name)]

    def applied(self, name="default"):
        return {target for target in self.hash("applied", name) if target}

    def targets(self, name="default"):
        """Counts and times of targets: "failures:TARGET", "attempts:TARGET", "failed:TARGET", "not_before:TARGET"."""
        return self.hash("targets", name)

    def fence(self, name="default"):
        """The newest fencing token that was given away; None if the server has forgotten it."""
        fence = self.client(name).get(self.key("fence", name))
        return None if fence is None else int(fence)

    # who holds it

    def lock_holder(self, name="default"):
        """Holder(nonce, fence, milliseconds that the lease has left), None if nobody holds the lock."""
        client = self.client(name)
        value, left = client.get(self.key("lock", name)), client.pttl(self.key("lock", name))
        return Holder(value.split()[0], int(value.split()[1]), left) if value and left > 0 else None

    def wait_lock_holder(self, name="default"):
        return eventually(lambda: self.lock_holder(name), what="somebody holds the lock")

    def take_lock_away(self, name="default"):
        """What an administrator's DEL, an eviction or an early expiry looks like to the holder."""
        assert self.client(name).delete(self.key("lock", name)) == 1, "nobody held the lock"

    # what it is given

    def establish(self, name="default", lease=3):
        """Makes it look as if it had been used before, so that the first run needs no quarantine: the fence is there, this
        very server is the one that was seen last, and it has been up longer than Q of a lease of that many seconds."""
        client, server = self.client(name), self.server_of(name)
        client.set(self.key("fence", name), 0)
        client.hset(self.key("gate", name), "server", server.replid())
        server.wait_older_than(lease + 2)
        return self

    def satisfy(self, target="v1", name="default"):
        """As if a run had been there: whoever looks into this database of this server, and no other, is satisfied."""
        self.client(name).hset(self.key("applied", name), mapping={target: 7, "": 7})
        return self
