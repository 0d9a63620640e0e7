"""A gate, a journal and the replicas of one test; at the end it looks whether the promises were kept."""

import json
import os

from harness import checker
from harness.replica import Replica
from harness.waiting import eventually

REDIS = ("redis:", "rediss:", "redis+", "rediss+", "unix:")
NOT_A_DATABASE = ("file:", *REDIS)


class Stage:
    """`url` is where replicas meet unless a test says otherwise; `database` (or a Folder, or a Redis gate) is where it looks at the records."""

    def __init__(self, directory, lockstep, stamp, psql, url=None, database=None):
        self.directory, self.lockstep, self.stamp, self.psql = directory, lockstep, stamp, psql
        self.url, self.database = url, database
        self.journal = checker.Journal(directory / "journal")
        self.released = directory / "released"
        self.replicas = []
        self.env = {}               # for every replica, unless it is given others
        self.lease = "3s"           # the minimum: a takeover is quick. Where none is wanted and the machine is busy: "20s"
        self.checks_overlap = True  # a test of a whole-container pause says why it cannot promise that
        self.checks_apps = True     # --on-failure start starts the app without a success

    # the things that replicas are given

    def migration(self, **options):
        """A pretend migration in exec form; see tools/stamp.c for its options."""
        return json.dumps([str(self.stamp), str(self.journal.path), "run", *(f"{k}={v}" for k, v in options.items())])

    def held_migration(self, **options):
        """A migration that runs until release()."""
        return self.migration(until=self.released, **options)

    def release(self):
        self.released.touch()

    def script(self, text):
        """A migration as a shell script. $STAMP KEY writes to the journal, $SQL is psql on DATABASE_URL, `hold` waits for release()."""
        prelude = (f'export STAMP_ROOT=$$; STAMP="{self.stamp} {self.journal.path}"; '
                   f'SQL="{self.psql} -XqAt -v ON_ERROR_STOP=1"; SQL="$SQL ${{DATABASE_URL:-}}"; '
                   f'hold() {{ while [ ! -e {self.released} ]; do $STAMP tick; sleep 0.02; done; }}\n')
        return json.dumps(["/bin/sh", "-euc", prelude + text])

    def app(self, key="app"):
        return [str(self.stamp), str(self.journal.path), key]

    # replicas

    def start(self, *options, verb=None, app=True, url=None, target="v1", migrate=None, env=None, inside=(), label=None):
        """Starts one replica. Give `app` a list for another program, None for a verb that takes no program."""
        url = url or self.url
        settings = {"LOCKSTEP_LEASE": self.lease, "LOCKSTEP_LOG_FORMAT": "json", "LOCKSTEP_LOG_LEVEL": "debug"}
        if verb not in ("wait", "check", "schema"):
            settings["LOCKSTEP_MIGRATE"] = migrate or self.migration()
        if target is not None:
            settings["LOCKSTEP_TARGET"] = target
        if url is not None:
            settings["LOCKSTEP_LOCK" if url.startswith(NOT_A_DATABASE) else "DATABASE_URL"] = url
            if url.startswith(REDIS):
                settings["LOCKSTEP_NAME"] = "default"  # there it is asked for, because many apps share a Redis
        settings.update({**self.env, **(env or {})})
        settings = {name: value for name, value in settings.items() if value is not None}
        words = self.app() if app is True else list(app or [])
        if verb in ("migrate", "check", "schema"):
            words = []
        argv = [str(self.lockstep), *([verb] if verb else []), *map(str, options), *(["--", *words] if words else [])]
        replica = Replica(argv, settings, label or f"replica {len(self.replicas) + 1}", inside)
        self.replicas.append(replica)
        return replica

    def crowd(self, n, *options, **kwargs):
        return [self.start(*options, **kwargs) for _ in range(n)]

    def leader(self, *options, migrate=None, **kwargs):
        """A replica whose migration is running (until release(), unless another one is given)."""
        before = len(self.journal.starts())
        replica = self.start(*options, migrate=migrate or self.held_migration(), label="leader", **kwargs)
        replica.wait_event("migrating")
        self.wait_command(before + 1)
        return replica

    def waiter(self, *options, **kwargs):
        """A replica that waits for somebody else's run."""
        replica = self.start(*options, label=f"waiter {len(self.replicas)}", migrate=kwargs.pop("migrate", None) or self.held_migration(), **kwargs)
        replica.wait_event("waiting")
        return replica

    def wait_command(self, nth=1):
        """Until the nth command has left its first line; returns that line."""
        return eventually(lambda: self.journal.starts()[nth - 1:nth], what=f"command {nth} started")[0]

    def expect_all_started(self, replicas, timeout=120):
        """Every replica has become the app (same pid), once."""
        for replica in replicas:
            replica.expect_exit(0, timeout)
        pids = sorted(entry.pid for entry in self.journal.apps())
        missing = [r.story() for r in replicas if pids.count(r.pid) != 1]
        assert not missing, "these did not become the app exactly once:\n" + "\n".join(missing)

    def runs(self):
        return self.database.runs()

    # the end

    def close(self):
        for replica in self.replicas:
            replica.kill()

    def assert_promises_kept(self):
        for replica in self.replicas:
            assert not any("Sanitizer" in line or "runtime error" in line for line in replica.noise), replica.story()
            assert not replica.noise, f"not a JSON object a line:\n{replica.story()}"
        if self.checks_overlap:
            self.journal.assert_no_overlap()
            self.journal.assert_tokens_grow()
        if self.checks_apps:
            self.journal.assert_apps_after_success()
        if self.database is not None:
            checker.assert_records_agree(self.runs(), self.journal)

    def __repr__(self):
        return f"<stage {os.path.basename(self.directory)}>"
