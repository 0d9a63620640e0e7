"""What a waiter costs while it waits: two of them at one held lock, one under strace, one left alone."""

import os
import pathlib
import re
import signal
import subprocess
import time

import programs

SECONDS = 10
EPOLL = re.compile(r"epoll_p?wait2?\(\d+.*?(?:\[(?P<ready>.*)\].*)?\) = (?P<count>-?\d+)")
READY = re.compile(r"data=\{u32=(\d+)")


class Waiter:
    def __init__(self, server, name):
        env = programs.environment(DATABASE_URL=server.url(f"?application_name={name}"))
        self.name = name
        argv = [programs.LOCKSTEP, "--name", "idle", "--target", "v1", "--migrate", "false", "--", programs.APP]
        self.pid = programs.spawn(argv, env, server.directory / "idle.log")

    def proc(self, file):
        return pathlib.Path(f"/proc/{self.pid}/{file}").read_text()

    def kilobytes(self, file, field):
        return int(re.search(rf"^{field}:\s+(\d+)", self.proc(file), re.M).group(1))

    def switches(self):
        """How often it went to sleep, all threads: each wake-up ends in one."""
        return sum(int(re.search(r"^voluntary_ctxt_switches:\s+(\d+)", status.read_text(), re.M).group(1))
                   for status in pathlib.Path(f"/proc/{self.pid}/task").glob("*/status"))

    def cpu_ms(self):
        return int(self.proc("schedstat").split()[0]) / 1e6

    def descriptors(self):
        kinds = {}
        for fd in os.listdir(f"/proc/{self.pid}/fd"):
            target = os.readlink(f"/proc/{self.pid}/fd/{fd}")
            kinds[int(fd)] = "timer" if "timerfd" in target else "server" if target.startswith("socket:") else target
        return kinds


def classify(trace, kinds):
    """Every return of the event loop's wait, by what woke it: its own timer, an answer to what it asked since, or anything else.
    Passes that find a socket writable just after a query was sent never slept; they are counted apart."""
    counts = {"timer": 0, "answer": 0, "writable": 0, "other": 0}
    asked = 0  # statements sent since the timer, not yet answered
    for line in trace.splitlines():
        if re.search(r"\bsend(to|msg)?\(", line):
            asked += 1
        found = EPOLL.search(line)
        if not found or int(found["count"]) < 0:
            continue
        ready = found["ready"] or ""
        sources = {kinds.get(int(fd), "unknown") for fd in READY.findall(ready)}
        if sources == {"timer"}:
            counts["timer"] += 1
        elif sources == {"server"} and "EPOLLIN" not in ready:
            counts["writable"] += 1
        elif sources == {"server"} and asked > 0:
            counts["answer"] += 1
            asked -= 1
        else:
            counts["other"] += 1
    return counts


def trace_for(waiter, path):
    """None where the machine does not let us trace."""
    tracer = subprocess.Popen(["strace", "-f", "-q", "-o", path, "-p", str(waiter.pid)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(SECONDS)
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    return path.read_text() if path.exists() and path.stat().st_size else None


def queries(server, waiter, since):
    lines = server.log.read_text(errors="replace")[since:].splitlines()
    return sum(bool(re.match(rf"{waiter.name}\|LOG:  (statement|execute)", line)) for line in lines)


def measure(server):
    gate = programs.fifo(server.directory / "idle.fifo")
    holder = programs.spawn([programs.LOCKSTEP, "--name", "idle", "--target", "v1", "--migrate",
                             f'["{programs.APP}","hold","{gate}"]', "--", programs.APP],
                            programs.environment(DATABASE_URL=server.url()), server.directory / "idle.log")
    release = programs.open_fifo(gate)
    server.query("ALTER ROLE bench SET log_statement = 'all'")  # for the connections to come
    traced, alone = Waiter(server, "traced"), Waiter(server, "alone")
    time.sleep(2)
    kinds, since = traced.descriptors(), len(server.log.read_text(errors="replace"))
    switches, cpu, began = alone.switches(), alone.cpu_ms(), time.monotonic()
    trace = trace_for(traced, server.directory / "idle.strace")
    elapsed = time.monotonic() - began
    found = {
        "seconds": elapsed,
        "sleeps": (alone.switches() - switches) / elapsed,
        "cpu_ms": (alone.cpu_ms() - cpu) / elapsed,
        "queries": queries(server, alone, since) / elapsed,
        "threads": len(os.listdir(f"/proc/{alone.pid}/task")),
        "rss": alone.kilobytes("status", "VmRSS") / 1024,
        "pss": alone.kilobytes("smaps_rollup", "Pss") / 1024,
        "private": alone.kilobytes("smaps_rollup", "Private_Dirty") / 1024,
        "wakes": trace and {what: count / SECONDS for what, count in classify(trace, kinds).items()},
    }
    server.query("ALTER ROLE bench RESET log_statement")
    os.close(release)
    for pid in (holder, traced.pid, alone.pid):
        programs.expect_success(pid, "idle")
    return found
