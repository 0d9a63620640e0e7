"""An app under `lockstep --init` and under tini, for tests that hold for both or that show where they differ."""
import pytest

from pidns import Gate, base_env, descendants, eventually, sanitized, stat

TINI = ["/usr/bin/tini", "-s", "--"]
PID1 = pytest.mark.parametrize("ns", [True, False], ids=["pid1", "subreaper"])


class Inits:
    """Starts apps under an init; every gate is satisfied, so lockstep goes straight on to the app."""

    def __init__(self, spawn, directory):
        self.spawn = spawn
        self.gate = Gate(directory / "gate")
        self.gate.satisfy()

    def argv(self, init, app, *options, log="json"):
        if init == "tini":
            return [*TINI, *map(str, app)]
        return self.gate.argv("true", "--init", *options, app=app, log=log)

    def __call__(self, init, app, *options, **spawning):
        return self.spawn(self.argv(init, app, *options), **spawning)


@pytest.fixture
def inits(spawn, tmp_path):
    return Inits(spawn, tmp_path)


@pytest.fixture(params=["lockstep", "tini"])
def init(request, inits):
    """init(app, ...) starts the app under one of them."""
    def start(app, *options, **spawning):
        return inits(request.param, app, *options, **spawning)
    start.name = request.param
    return start


def app_of(replica):
    """The pid of the app: the only child of its init."""
    def only_child():
        below = [pid for pid in descendants(replica.pid) if (stat(pid) or (0, 0))[1] == replica.pid]
        return below[0] if len(below) == 1 else None
    return eventually(only_child, "the init has one child")


def resident(replica):
    """Waits until lockstep has become the resident; returns its pid."""
    eventually(lambda: status_line(replica.pid, "Name") == "lockstep-init", "the resident has given itself its name")
    return replica.pid


def status_line(pid, name):
    """A line of the process's status, None when it is gone."""
    try:
        with open(f"/proc/{pid}/status", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith(name + ":"))
    except (FileNotFoundError, ProcessLookupError):
        return None


def pending(pid, sig):
    return int(status_line(pid, "ShdPnd") or "0", 16) >> (sig - 1) & 1


def strace(rule, *options):
    """A prefix: strace that prints nothing and only tampers with the system calls of one rule. launch's exec of the
    program is the first, the program's own the second."""
    return ["strace", *options, "-f", "-qq", "-o", "/dev/null", "-e", "signal=none",
            "-e", f"trace={rule.split(':')[0]}", "-e", f"inject={rule}"]


def traced_env():
    env = base_env()
    if sanitized():  # LeakSanitizer is a tracer itself and cannot work under another one
        env["ASAN_OPTIONS"] += ":detect_leaks=0"
    return env
