#!/usr/bin/python3
"""The figures of README: what lockstep costs, each against the least that would do, side by side in one run.

    make bench          or: tests/bench/bench.py [--markdown FILE] [--only WORD...]

The two sides take turns, so that what else the machine does meets both. A private PostgreSQL and a private Redis are started and
removed."""

import argparse
import os
import signal
import sys
import time

import fast_path
import idle
import programs
import redis_fast_path
import redis_wake_up
import wake_up
from redis_server import RedisServer
from server import ROLE, Server
from table import Table, verdict

MEGABYTE = 1e6


class Bench:
    def __init__(self):
        self.table, self.postgres, self.redis = Table(), Server(), RedisServer()
        self.first_migrations = []

    def prepare(self):
        """v1 is applied at the default gate of Postgres and, after the quarantine of a new gate, at those of Redis."""
        self.postgres.start()
        self.redis.start()
        self.first_migrations = [self.migration(self.redis.directory, LOCKSTEP_LOCK=self.redis.url(), LOCKSTEP_NAME=name)
                                 for name in ("default", "wake")]
        programs.expect_success(self.migration(self.postgres.directory, DATABASE_URL=self.postgres.url()), "the first migration")
        self.postgres.query(f"GRANT ALL ON ALL TABLES IN SCHEMA lockstep TO {ROLE}")

    @staticmethod
    def migration(directory, **variables):
        argv = [programs.LOCKSTEP, "migrate", "--target", "v1", "--migrate", f'["{programs.APP}"]']
        return programs.spawn(argv, programs.environment(**variables), directory / "prepare.log")

    def await_redis(self):
        while self.first_migrations:
            programs.expect_success(self.first_migrations.pop(), "the first migration on Redis")

    def stop(self):
        programs.end_all()
        self.redis.stop()
        self.postgres.stop()

    # the measurements, in the order of the table

    def fast_path(self):
        results, missing = fast_path.measure(self.postgres)
        names = {"bare": "bare libpq, `select 1`, exec", "psql": "`psql -c 'select 1'`",
                 "dbmate": f"`dbmate up` {fast_path.DBMATE_VERSION}, nothing to do"}
        for column, what in enumerate(("restart, version there: time", "restart, version there: own CPU")):
            for name, words in names.items():
                if name in results:
                    compared = programs.compare(results, "lockstep", name, column)
                    self.table.compare(what, compared, words, 1.15 if name == "bare" and column == 0 else None)
                else:
                    self.table.add(what, "", f"{words}: not measured, {missing}")

    def redis_fast_path(self):
        self.await_redis()
        results = redis_fast_path.measure(self.redis)
        for side, executes, limit, ours, words in (
                ("bare with TLS", True, 1.15, "restart, version there", "bare hiredis that could do TLS, `HMGET`, exec"),
                ("bare", True, 1.15, "restart, version there", "bare hiredis, `HMGET`, exec"),
                ("bare", False, None, "`lockstep check`", "bare hiredis, `HMGET`, exit"),
                ("redis-cli", False, None, "`lockstep check`", "`redis-cli GET`")):
            for password in (False, True):
                for column, what in enumerate(("time", "own CPU")):
                    compared = programs.compare(results, ("lockstep", executes, password), (side, executes, password), column)
                    self.table.compare(f"Redis{', with a password' if password else ''}: {ours}: {what}", compared, words,
                                       limit if column == 0 else None)

    def wake_up(self):
        results = wake_up.measure(self.postgres)
        for column, (since, limit) in enumerate((("commit", 2), ("end of the migration", None))):
            compared = programs.compare(results, "lockstep", "bare", column)
            self.table.compare(f"{wake_up.WAITERS} waiters: {since} to the last app's start", compared, "bare LISTEN clients",
                               limit)

    def redis_wake_up(self):
        self.await_redis()
        for waiters in redis_wake_up.ROUNDS:
            results = redis_wake_up.measure(self.redis, waiters)
            for column, (since, limit) in enumerate((("releasing script", 2), ("end of the migration", None))):
                compared = programs.compare(results, "lockstep", "bare", column)
                self.table.compare(f"Redis: {waiters} waiters: {since} to the last app's start", compared, "bare subscribers",
                                   limit)

    def idle(self):
        table, found = self.table, idle.measure(self.postgres)
        wakes = found["wakes"]
        if wakes:
            table.add("idle waiter: wake-ups by its own timer", f"{wakes['timer']:.1f} /s",
                      "polls every 2 s ± 50 %, a line every 10 s")
            table.add("idle waiter: wake-ups by the answers to its polls", f"{wakes['answer']:.1f} /s")
            table.add("idle waiter: wake-ups by anything else", f"{wakes['other']:.1f} /s", "", "",
                      "0" if wakes["other"] == 0 else "0, missed")
            if wakes["writable"]:
                table.add("idle waiter: idle passes of its loop", f"{wakes['writable']:.1f} /s")
        else:
            table.add("idle waiter: what wakes it", "not measured", "strace is not allowed here")
        table.add("idle waiter: times it slept, untraced", f"{found['sleeps']:.1f} /s")
        table.add("idle waiter: statements on the server", f"{found['queries']:.1f} /s")
        table.add("idle waiter: CPU", f"{found['cpu_ms']:.2f} ms/s", f"threads: {found['threads']}")
        table.add("idle waiter: resident memory", f"{found['rss']:.1f} MiB",
                  f"Pss {found['pss']:.1f} MiB, of it its own {found['private']:.1f} MiB")

    def size(self):
        size = os.path.getsize(programs.LOCKSTEP) / MEGABYTE
        self.table.add("size of the binary", f"{size:.2f} MB", "static, stripped", "", verdict(size, 4.5, " MB"))
        start = programs.compare(fast_path.measure_start(), "lockstep", "true", 0)
        self.table.compare("start of `lockstep --version`", start, "`/bin/true`")

    def note(self):
        return (f"Medians on {os.cpu_count()} cores with PostgreSQL {self.postgres.version()} and Redis {self.redis.version()} "
                "on the same machine, over TCP, PostgreSQL with SCRAM and fsync off. Both sides of a ratio took turns; a ratio "
                "is the median of those within the rounds. Against bare programs both sides end in the exec of the same app, or "
                "neither does.")


MEASUREMENTS = {"fast-path": Bench.fast_path, "redis-fast-path": Bench.redis_fast_path, "wake-up": Bench.wake_up,
                "redis-wake-up": Bench.redis_wake_up, "idle": Bench.idle, "size": Bench.size}


def run(names):
    bench, began = Bench(), time.monotonic()

    def tell(what):
        print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)

    try:
        programs.keep_copies(bench.postgres.directory)
        bench.prepare()
        for name in names:
            tell(name)
            MEASUREMENTS[name](bench)
        note = bench.note()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second ^C must not leave a server behind
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        bench.stop()
    tell("done")
    return bench.table, note


def main():
    parser = argparse.ArgumentParser(description="Measures lockstep against the least that would do.")
    parser.add_argument("--markdown", metavar="FILE", help="also write the Markdown table there")
    parser.add_argument("--only", nargs="+", metavar="WORD", choices=MEASUREMENTS, default=list(MEASUREMENTS),
                        help=f"some of {', '.join(MEASUREMENTS)}")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        table, note = run(arguments.only)
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    markdown = f"{table.markdown()}\n\n{note}\n"
    print(f"\n{table.text()}\n\n{note}\n\n{markdown}", end="")
    if arguments.markdown:
        with open(arguments.markdown, "w", encoding="utf-8") as file:
            file.write(markdown)
    return 0


if __name__ == "__main__":
    sys.exit(main())
