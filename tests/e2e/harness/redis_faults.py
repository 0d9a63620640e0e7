"""What the fault tests of the Redis place have in common: which bytes of the line are which step of the protocol, how a gate is
forgotten, and what a right takeover looks like."""

from harness.waiting import boottime_ns

# Requests, told apart by their last arguments; set a trap for them on the way up, or ask a connection whether it `said` them.
# The lock's request ends with lease and --allow-eviction, a heartbeat with the lock's value and the lease; a mark carries the
# command (a pretend migration of harness.stage), an end the state.
LOCK = rb"\$\d+\r\n\d+\r\n\$1\r\n[01]\r\n\Z"
BEAT = rb"[0-9a-f]{32} \d+\r\n\$\d+\r\n\d+\r\n\Z"
MARK = rb'"run", "until='
SUCCEEDED = rb"\$9\r\nsucceeded\r\n"
FAILED = rb"\$6\r\nfailed\r\n"

# Replies. A script that did its work says 1; the one that locks says its fence and the policy. NOSCRIPT is neither.
DONE = rb":1\r\n\Z"
LOCKED = rb"\*2\r\n:[1-9]\d*\r\n\$"


def said(request):
    """For a trap on the way down: on the connection that has sent this request."""
    return lambda connection: connection.said(request)


def own_stage(redises, new_stage, lease=3, **settings):
    """A stage whose gate is established in a server of its own."""
    stage = new_stage(redises(**settings).gate().establish(lease=lease))
    stage.lease = f"{lease}s"
    return stage


def forget(gate, *what):
    """FLUSHALL, FLUSHDB, or DEL of parts of the gate. Returns a moment before which nothing was forgotten."""
    client = gate.client()
    before = boottime_ns()
    if what[0].startswith("FLUSH"):
        client.execute_command(what[0])
    else:
        client.delete(*(gate.key(part) for part in what))
    return before


class Lease:
    """The lease as its holder left it: `over_at` is the earliest moment (BOOTTIME ns) at which the server gives the lock away."""

    def __init__(self, gate, lease=3):
        now, holder = boottime_ns(), gate.lock_holder()
        assert holder, "nobody holds the lock"
        self.over_at = now + holder.milliseconds * 10**6
        self.quarantine = (lease + 1) * 10**9

    def assert_waited_out(self, second):
        """The second command began no sooner than Q after the first one's lock could be taken at all."""
        early = self.over_at + self.quarantine - second.at
        assert early <= 0, f"the second command began {early / 1e6:.0f} ms too early"


def assert_quarantined(since, second, lease=3):
    """For a lock that vanished at once, not before `since` (BOOTTIME ns): Q between that and the second command."""
    waited = (second.at - since) / 1e9
    assert waited >= lease + 1, f"the second command began {waited:.2f} s after the lock was gone"


def assert_taken_over(stage, winner, states=("lost", "succeeded")):
    """A dirty takeover: quarantine first, the old run marked lost, the new one told about it, one command alone came to its end."""
    names = winner.names()
    assert "quarantine" in names and names.index("quarantine") < names.index("takeover") < names.index("migrating"), winner.story()
    assert winner.saw("migrating")[0]["previous"] == "lost"
    assert tuple(stage.database.states()) == states
    assert len(stage.journal.ends()) == 1
