#!/usr/bin/python3
"""The figures of README: what lockstep costs, each against the least that would do, side by side in one run.

    make bench          or: tests/bench/bench.py [--markdown FILE]

The two sides take turns, so that what else the machine does meets both. A private PostgreSQL is started and removed."""

import argparse
import os
import signal
import sys
import time

import fast_path
import idle
import programs
import wake_up
from server import ROLE, Server

MEGABYTE = 1e6


class Table:
    """Rows of text; a ratio with a target says whether it is met."""

    HEAD = ("measurement", "lockstep", "against", "ratio", "target")

    def __init__(self):
        self.rows = []

    def add(self, what, ours, against="", ratio="", target=""):
        self.rows.append((what, ours, against, ratio, target))

    def compare(self, what, compared, against, limit=None):
        self.add(what, f"{compared.ours:.2f} ms", f"{against}: {compared.theirs:.2f} ms", f"{compared.ratio:.2f}×",
                 verdict(compared.ratio, limit, "×") if limit else "")

    def text(self):
        widths = [max(len(row[i]) for row in [self.HEAD, *self.rows]) for i in range(len(self.HEAD))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in [self.HEAD, *self.rows]]
        lines.insert(1, "  ".join("-" * width for width in widths))
        return "\n".join(lines)

    def markdown(self):
        lines = ["| " + " | ".join(row) + " |" for row in [self.HEAD, *self.rows]]
        lines.insert(1, "| --- | ---: | --- | ---: | --- |")
        return "\n".join(lines)


def verdict(value, limit, unit):
    words = f"≤ {limit:g}{unit}"
    return words if value <= limit else f"{words}, missed by {100 * (value / limit - 1):.1f} %"


def add_fast_path(table, server):
    results, missing = fast_path.measure(server)
    names = {"bare": "bare libpq, `select 1`, exec", "psql": "`psql -c 'select 1'`",
             "dbmate": f"`dbmate up` {fast_path.DBMATE_VERSION}, nothing to do"}
    for column, what in enumerate(("restart, version there: time", "restart, version there: own CPU")):
        for name, words in names.items():
            if name in results:
                compared = programs.compare(results, "lockstep", name, column)
                table.compare(what, compared, words, 1.15 if name == "bare" and column == 0 else None)
            else:
                table.add(what, "", f"{words}: not measured, {missing}")


def add_wake_up(table, server):
    results = wake_up.measure(server)
    for column, (since, limit) in enumerate((("commit", 2), ("end of the migration", None))):
        compared = programs.compare(results, "lockstep", "bare", column)
        table.compare(f"{wake_up.WAITERS} waiters: {since} to the last app's start", compared, "bare LISTEN clients", limit)


def add_idle(table, server):
    found = idle.measure(server)
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


def add_size(table):
    size = os.path.getsize(programs.LOCKSTEP) / MEGABYTE
    table.add("size of the binary", f"{size:.2f} MB", "static, stripped", "", verdict(size, 4.5, " MB"))
    start = programs.compare(fast_path.measure_start(), "lockstep", "true", 0)
    table.compare("start of `lockstep --version`", start, "`/bin/true`")


def prepare(server):
    """The record tables, and v1 applied at the default gate."""
    log = server.directory / "prepare.log"
    argv = [programs.LOCKSTEP, "migrate", "--target", "v1", "--migrate", f'["{programs.APP}"]']
    programs.expect_success(programs.spawn(argv, programs.environment(DATABASE_URL=server.url()), log), "the first migration")
    server.query(f"GRANT ALL ON ALL TABLES IN SCHEMA lockstep TO {ROLE}")


def run():
    table, server, began = Table(), Server(), time.monotonic()
    try:
        programs.keep_copies(server.directory)
        server.start()
        prepare(server)
        for what, measurement in (("fast path", add_fast_path), ("wake-up", add_wake_up), ("idle waiter", add_idle)):
            print(f"{time.monotonic() - began:5.0f} s  {what}", file=sys.stderr, flush=True)
            measurement(table, server)
        add_size(table)
        version = server.version()
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second ^C must not leave a server behind
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        programs.end_all()
        server.stop()
    note = (f"Medians on {os.cpu_count()} cores with PostgreSQL {version} on the same machine, over TCP with SCRAM, fsync off. "
            f"Both sides of a ratio took turns; a ratio is the median of those within the rounds.")
    print(f"{time.monotonic() - began:5.0f} s  done", file=sys.stderr, flush=True)
    return table, note


def main():
    parser = argparse.ArgumentParser(description="Measures lockstep against the least that would do.")
    parser.add_argument("--markdown", metavar="FILE", help="also write the Markdown table there")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    signal.signal(signal.SIGHUP, lambda *_: sys.exit(128 + signal.SIGHUP))
    try:
        table, note = run()
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
