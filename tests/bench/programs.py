"""Starting and timing processes. posix_spawn does not copy Python's page tables, as fork would: a child costs what it costs."""

import os
import pathlib
import shutil
import signal
import socket
import statistics
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
LOCKSTEP = os.environ.get("LOCKSTEP_BIN", str(ROOT / "build/lockstep"))
APP, BARE, BARE_REDIS, BARE_REDISS, STOPWATCH = (
    str(ROOT / "build/bench" / name) for name in ("app", "bare", "bare_redis", "bare_rediss", "stopwatch"))

ROUNDS_MIN = 20

_running = set()


def keep_copies(directory):
    """From now on runs copies of the programs, which nobody builds anew in the middle of a measurement."""
    global LOCKSTEP, APP, BARE, BARE_REDIS, STOPWATCH
    LOCKSTEP, APP, BARE, BARE_REDIS, STOPWATCH = (shutil.copy2(program, directory)
                                                  for program in (LOCKSTEP, APP, BARE, BARE_REDIS, STOPWATCH))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def boot_ns():
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def environment(**values):
    """The same small environment for everybody; nothing of the caller's settings, such as PGSSLMODE, comes through."""
    return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent", **values}


def spawn(argv, env, log=os.devnull, more_actions=()):
    argv = [str(word) for word in argv]
    actions = [(os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
               (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600),
               (os.POSIX_SPAWN_DUP2, 1, 2), *more_actions]
    pid = os.posix_spawn(argv[0], argv, env, file_actions=actions, setsigdef=[signal.SIGPIPE])
    _running.add(pid)
    return pid


def wait(pid):
    """Exit status of a process that spawn() started."""
    _, status = os.waitpid(pid, 0)
    _running.discard(pid)
    return os.waitstatus_to_exitcode(status)


def expect_success(pid, what):
    code = wait(pid)
    if code != 0:
        raise RuntimeError(f"{what} ended with status {code}")


def timed(argv, env):
    """One whole process, from its start to its end: (wall, user + system) in milliseconds. The stopwatch is a small program:
    Python is too slow for what takes one millisecond."""
    report, to_report = os.pipe()
    try:
        pid = spawn([STOPWATCH, *argv], env, more_actions=[(os.POSIX_SPAWN_DUP2, to_report, 3)])
    finally:
        os.close(to_report)
    with open(report, encoding="ascii") as file:
        times = file.read().split()
    expect_success(pid, " ".join(map(str, argv)))
    return tuple(int(nanoseconds) / 1e6 for nanoseconds in times)


def end_all():
    for sig, patience in ((signal.SIGTERM, 3), (signal.SIGKILL, 3)):
        for pid in list(_running):
            os.kill(pid, sig)
        until = time.monotonic() + patience
        while _running and time.monotonic() < until:
            for pid in list(_running):
                if os.waitpid(pid, os.WNOHANG)[0]:
                    _running.discard(pid)
            time.sleep(0.02)


def race(contenders, rounds, seconds=None):
    """Runs every contender once a round, each round in another order, so that what else the machine does meets all alike.
    `contenders` maps a name to a function; `rounds` maps a name to how often, or less, but not below ROUNDS_MIN, when
    `seconds` are over. Gives name → list of what the function returned, by round."""
    names, results, began = list(contenders), {name: [] for name in contenders}, time.monotonic()
    for number in range(max(rounds.values())):
        if seconds and number >= ROUNDS_MIN and time.monotonic() - began > seconds:
            break
        for offset in range(len(names)):
            name = names[(number + offset) % len(names)]
            if number < rounds[name]:
                results[name].append(contenders[name]())
    return results


class Compared:
    """Two sides of a race: their medians, and the median of the ratios within the rounds, which a drift of the machine's
    speed does not touch."""

    def __init__(self, ours, theirs):
        self.ours, self.theirs = statistics.median(ours), statistics.median(theirs)
        self.ratio = statistics.median(a / b for a, b in zip(ours, theirs))


def compare(results, ours, theirs, column):
    """`results` of a race, of functions that return tuples."""
    return Compared(*([values[column] for values in results[name]] for name in (ours, theirs)))


def fifo(path):
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    return path


def open_fifo(path, patience=20):
    """Opens it for writing as soon as somebody reads; closing it lets the reader go on."""
    until = time.monotonic() + patience
    while True:
        try:
            return os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.005)
