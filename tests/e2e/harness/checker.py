"""What must be true whatever happens. The witness is the journal that migrations and apps write through `stamp`."""

import collections

Entry = collections.namedtuple("Entry", "key at pid token root")
Interval = collections.namedtuple("Interval", "token root begin last keys")


class Journal:
    """Lines "KEY BOOTTIME_NS PID TOKEN ROOT" of one gate, in the order in which they were written."""

    def __init__(self, path):
        self.path = path
        path.touch()
        path.chmod(0o666)

    def entries(self, *keys):
        found = []
        for line in self.path.read_text().splitlines():
            key, at, pid, token, root = line.split()
            if not keys or key in keys:
                found.append(Entry(key, int(at), int(pid), token, root))
        return found

    def starts(self):
        return self.entries("start")

    def ends(self):
        return self.entries("end")

    def apps(self):
        return self.entries("app")

    def commands(self):
        """The proven life of each command, all its processes together: from its first line to its last. A command that
        was killed leaves no end; its last tick is the last proof that it lived."""
        lines = collections.defaultdict(list)
        for entry in self.entries("start", "tick", "end", "fail"):
            lines[entry.token, entry.root].append(entry)
        return sorted((Interval(token, root, min(e.at for e in es), max(e.at for e in es), [e.key for e in es])
                       for (token, root), es in lines.items()), key=lambda i: i.begin)

    # invariants

    def assert_no_overlap(self):
        commands = self.commands()
        for earlier, later in zip(commands, commands[1:]):
            assert earlier.last <= later.begin, f"two commands were alive at once: {earlier[:4]} and {later[:4]}"

    def assert_tokens_grow(self):
        tokens = [int(command.token) for command in self.commands()]
        assert tokens == sorted(tokens), f"tokens went back: {tokens}"

    def assert_apps_after_success(self):
        apps, ends = self.apps(), self.ends()
        if apps:
            assert ends, "an app started although no migration ever ended well"
            assert min(a.at for a in apps) >= min(e.at for e in ends), "an app started before the version was there"

    def assert_applied_once(self):
        assert len(self.starts()) == 1, f"{len(self.starts())} commands were started"
        assert len(self.ends()) == 1, "the command did not end"


def assert_records_agree(runs, journal):
    """A recorded success had exit status 0 and its command did end; tokens only grow; an ended run says when."""
    ended = {entry.token for entry in journal.ends()}
    last = 0
    for run in runs:
        assert run["token"] > last, f"tokens {last}, {run['token']}"
        last = run["token"]
        if run["state"] == "succeeded":
            assert run["exit_status"] == 0, f"run {run['token']} succeeded with status {run['exit_status']}"
            assert str(run["token"]) in ended, f"run {run['token']} is recorded as succeeded but never came to its end"
        if run["state"] != "running":
            assert run.get("finished_at") is not None, f"run {run['token']} is over but has no finished_at"
