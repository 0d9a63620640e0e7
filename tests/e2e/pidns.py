"""Start lockstep in a known process state or as a real PID 1, watch its events, send it signals from outside.

Everything here waits for events (a line on a pipe, a pidfd, a byte in a FIFO). `eventually` is for the few facts
of which the kernel sends no event (a zombie was reaped, a process was stopped).
"""
import atexit
import functools
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import threading
import time
import uuid
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
CHECKOUT = HERE.parent.parent
ORIGINAL = Path(os.environ.get("LOCKSTEP_BIN") or CHECKOUT / "build" / "lockstep").resolve()
LONG = 20.0  # seconds for anything that should take milliseconds; a failure shows the whole log anyway
PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


@functools.lru_cache(maxsize=None)
def _tools_dir():
    out = Path(tempfile.mkdtemp(prefix="lockstep-tools-"))
    out.chmod(0o755)
    atexit.register(shutil.rmtree, out, ignore_errors=True)
    return out


def _copy():
    """The binary under test: a copy, so that a build going on does not disturb. Without one, every test says ENOENT."""
    return str(shutil.copy(ORIGINAL, _tools_dir() / "lockstep")) if ORIGINAL.exists() else str(ORIGINAL)


BIN = _copy()


@functools.lru_cache(maxsize=None)
def sanitized():
    """True if the binary under test carries AddressSanitizer (it changes RLIMIT_CORE and dislikes ptrace)."""
    return b"__asan_init" in Path(BIN).read_bytes()


@functools.lru_cache(maxsize=None)
def tool(name):
    """Path of a helper from tools/, compiled on first use."""
    program = _tools_dir() / name
    new = f"{program}.{threading.get_ident()}"  # threads may ask for it at once, and what is being written cannot be executed
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-o", new, str(HERE / "tools" / f"{name}.c")], check=True)
    os.rename(new, program)
    return str(program)


def actor(*words):
    """A --migrate value in exec form that plays `actor WORDS`."""
    return json.dumps([tool("actor"), *map(str, words)])


def base_env(**more):
    """A small environment, nothing of the caller's but the sanitizers' options."""
    env = {"PATH": PATH, "HOME": "/root", "LANG": "C.UTF-8"}
    for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
        if name in os.environ:
            env[name] = os.environ[name]
    if sanitized():
        env["ASAN_OPTIONS"] = ":".join(filter(None, [env.get("ASAN_OPTIONS"), "disable_coredump=0"]))
    env.update(more)
    return env


def eventually(condition, what, timeout=LONG):
    """Wait for a fact that comes without an event; returns its first true value."""
    end = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < end, f"not within {timeout} s: {what}"
        time.sleep(0.005)


# --- /proc ------------------------------------------------------------------------------------------------------

def stat(pid):
    """(state, ppid) of a process, or None when it is gone."""
    try:
        rest = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b") ")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return rest[0].decode(), int(rest[1])


def all_stats():
    """{pid: (state, ppid)} of every process that can be seen from here."""
    found = {int(name): stat(name) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: value for pid, value in found.items() if value}


def descendants(pid):
    """{pid: state} of all processes below `pid`, zombies included."""
    stats = all_stats()
    found, layer = {}, {pid}
    while layer:
        layer = {p for p, (_, parent) in stats.items() if parent in layer and p not in found}
        found.update((p, stats[p][0]) for p in layer)
    return found


def zombies(pid):
    return [p for p, state in descendants(pid).items() if state == "Z"]


def marked(mark):
    """Live processes (no zombies) whose environment carries this test's mark, wherever they were reparented to."""
    needle, found = f"E2E_MARK={mark}".encode(), []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            if needle in Path(f"/proc/{name}/environ").read_bytes():
                found.append(int(name))
        except OSError:
            continue
    return found


def wait_dead(pid, timeout=LONG):
    """Wait until a process that need not be our child has ended; returns the moment on CLOCK_BOOTTIME."""
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    try:
        ready, _, _ = select.select([fd], [], [], timeout)
        assert ready, f"process {pid} still alive after {timeout} s: {stat(pid)}"
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    finally:
        os.close(fd)


# --- doors ------------------------------------------------------------------------------------------------------

class Door:
    """A FIFO in front of an actor. The byte stays in it until the actor comes, so nobody has to be first."""

    def __init__(self, directory):
        self.path = str(Path(directory) / f"door-{uuid.uuid4().hex[:8]}")
        os.mkfifo(self.path, 0o666)
        self.fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def __str__(self):
        return self.path

    def open(self, times=1):
        os.write(self.fd, b"x" * times)


# --- a running lockstep (or any program) ------------------------------------------------------------------------

class Stream(threading.Thread):
    """Reads one pipe line by line and tells the replica."""

    def __init__(self, replica, fd, lines):
        super().__init__(daemon=True)
        self.replica, self.fd, self.lines, self.ended = replica, fd, lines, False
        self.start()

    def run(self):
        rest = b""
        while True:
            try:
                data = os.read(self.fd, 65536)
            except OSError:
                data = b""
            with self.replica.changed:
                *whole, rest = (rest + data).split(b"\n")
                if not data and rest:
                    whole.append(rest)
                for line in whole:
                    self.replica.hear(line.decode("utf-8", "replace"), self.lines)
                self.ended = not data
                self.replica.changed.notify_all()
            if not data:
                os.close(self.fd)
                return


class Replica:
    """One process started through `launch`. `pid` is its pid as seen from here, also when it is PID 1 of its own."""

    def __init__(self, argv, *, ns=False, env=None, launch=(), wrap=(), stdin=subprocess.DEVNULL, stdout=None,
                 stderr=None, pass_fds=(), prefix=()):
        self.mark = uuid.uuid4().hex
        self.out, self.err, self.changed = [], [], threading.Condition()
        self.argv, self.status, self._report = [str(a) for a in argv], None, None
        words = [*prefix, tool("launch"), *launch]
        fds = list(pass_fds)
        if ns:
            report_in, report_out = os.pipe()
            fds.append(report_out)
            words += ["--ns", "--report", str(report_out)]
        if isinstance(env, (list, tuple)):
            file = tempfile.NamedTemporaryFile(prefix="env-", dir=_tools_dir(), delete=False)
            file.write(b"".join(entry + b"\0" for entry in [*env, b"E2E_MARK=" + self.mark.encode()]))
            file.close()
            words += ["--env", file.name]
            env = None
        env = dict(base_env() if env is None else env, E2E_MARK=self.mark)
        streams, child = [], {}
        for name, given, lines in (("stdout", stdout, self.out), ("stderr", stderr, self.err)):
            if given is None:
                read_end, write_end = os.pipe()
                streams.append((read_end, lines))
                child[name] = write_end
            else:
                child[name] = given
        self.popen = subprocess.Popen([*words, "--", *wrap, *self.argv], stdin=stdin, env=env, pass_fds=fds, **child)
        for name, given in (("stdout", stdout), ("stderr", stderr)):
            if given is None:
                os.close(child[name])
        self.streams = [Stream(self, fd, lines) for fd, lines in streams]
        self.pid = self.popen.pid
        if ns:
            os.close(report_out)
            self._report = os.fdopen(report_in)
            first = self._report.readline().split()
            assert first[:1] == ["pid"], f"launch failed: {self.log()}"
            self.pid = int(first[1])

    # -- what it says

    def hear(self, line, lines):
        """In JSON the migration's stdout comes as events on stdout: they belong to what lockstep says, so that `out`
        is what the app says."""
        (self.err if self._event(line) else lines).append(line)

    def log(self):
        return "\n".join([f"argv: {self.argv}", "stdout:", *self.out, "stderr:", *self.err])

    @staticmethod
    def _event(line):
        try:
            event = json.loads(line) if line.startswith("{") else None
        except ValueError:
            return None
        return event if event and "event" in event else None

    def events(self, name=None):
        """The events so far, all or those of one name."""
        with self.changed:
            found = [self._event(line) for line in self.err]
        return [e for e in found if e and (name is None or e.get("event") == name)]

    def _await(self, look, what, timeout):
        with self.changed:
            end = time.monotonic() + timeout
            while True:
                found = look()
                if found:
                    return found
                left = end - time.monotonic()
                over = self.streams and all(s.ended for s in self.streams)
                assert left > 0 and not over, f"no {what}{' (it ended)' if over else ''}\n{self.log()}"
                self.changed.wait(left)

    def wait_event(self, name, timeout=LONG, **fields):
        """The first event of that name with these fields. A field that is a callable is a predicate."""
        def match(event):
            return event and event.get("event") == name and all(
                want(event.get(key)) if callable(want) else event.get(key) == want for key, want in fields.items())

        return self._await(lambda: next((e for e in map(self._event, self.err) if match(e)), None),
                           f"event {name} {fields}", timeout)

    def wait_output(self, start, timeout=LONG):
        """The first line of the migration that starts with these words."""
        return self.wait_event("output", timeout, line=lambda text: (text or "").startswith(start))["line"]

    def wait_line(self, text, timeout=LONG):
        """The first line on standard output or error that contains this text."""
        return self._await(lambda: next((x for x in [*self.out, *self.err] if text in x), None), repr(text), timeout)

    # -- what it does

    def kill(self, sig):
        os.kill(self.pid, sig)

    def alive(self):
        state = stat(self.pid)
        return state is not None and state[0] not in "ZX" and (self._report is not None or self.popen.poll() is None)

    def wait(self, timeout=LONG):
        """The exit status, as subprocess gives it: -n when signal n ended it. All output has been read then."""
        if self.status is None:
            if self._report is None:
                try:
                    self.status = self.popen.wait(timeout)
                except subprocess.TimeoutExpired:
                    raise AssertionError(f"still running after {timeout} s\n{self.log()}") from None
            else:
                ready, _, _ = select.select([self._report], [], [], timeout)
                assert ready, f"still running after {timeout} s\n{self.log()}"
                how, number = self._report.readline().split()
                self.status = int(number) if how == "exit" else -int(number)
                self.popen.wait(LONG)
        return self.status

    def finish(self, timeout=LONG):
        """Like wait, and every line was read (an orphan that holds a pipe would make this fail)."""
        status = self.wait(timeout)
        for stream in self.streams:
            stream.join(LONG)
            assert not stream.is_alive(), f"somebody still holds a pipe\n{self.log()}"
        return status

    def end_by(self, sig):
        """Send a signal; returns (exit status, seconds until the end)."""
        start = time.monotonic()
        self.kill(sig)
        status = self.wait()
        return status, time.monotonic() - start

    def survivors(self):
        return [p for p in marked(self.mark) if p != self.popen.pid]

    def destroy(self):
        """Kill everything that this test started, whatever it became."""
        if self.status is None:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for _ in range(100):
            left = marked(self.mark)
            if not left:
                break
            for pid in left:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            for pid in left:
                wait_dead(pid)
                if pid == self.popen.pid:
                    self.popen.wait(LONG)
        self.popen.wait(LONG)
        if self._report is not None:
            self._report.close()


def spawning():
    """Gives a function that makes a Replica; everything it starts is dead afterwards."""
    started = []

    def start(argv, **options):
        replica = Replica(argv, **options)
        started.append(replica)
        return replica

    yield start
    for replica in started:
        replica.destroy()


@pytest.fixture
def spawn():
    """Replica, but everything it starts is dead after the test."""
    yield from spawning()


@pytest.fixture(scope="module")
def spawn_shared():
    """spawn for what several tests of a module share."""
    yield from spawning()


# --- the file gate ----------------------------------------------------------------------------------------------

class Gate:
    """A `file:` gate of its own; `argv` builds command lines for it."""

    def __init__(self, directory, name="g", target="v1"):
        self.dir, self.name, self.target = Path(directory), name, target
        self.dir.mkdir(parents=True, exist_ok=True)

    @property
    def url(self):
        return f"file:{self.dir}"

    def argv(self, migrate=None, *options, verb=None, app=(), log="json"):
        words = [BIN, *([verb] if verb else []), "--lock", self.url, "--name", self.name, "--target", self.target,
                 "--lease", "3s", "--log-format", log]
        if migrate is not None:
            words += ["--migrate", migrate]
        return [*words, *map(str, options), *(["--", *map(str, app)] if app else [])]

    def state(self):
        return json.loads((self.dir / f"{self.name}.json").read_text())

    def runs(self):
        """The recorded runs, oldest first."""
        try:
            return sorted(self.state().get("runs", []), key=lambda run: run["token"])
        except FileNotFoundError:
            return []

    def last(self):
        return self.runs()[-1]

    def satisfy(self):
        """Make the version be there, by a run that does nothing."""
        done = subprocess.run(self.argv("true", verb="migrate"), env=base_env(), stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=LONG, check=False)
        assert done.returncode == 0, done.stderr.decode()


@pytest.fixture
def gate(tmp_path):
    return Gate(tmp_path / "gate")


class PostgresGate(Gate):
    """The same, but replicas meet in `database`."""

    def __init__(self, directory, database):
        super().__init__(directory)
        self.database = database

    @property
    def url(self):
        return self.database.url()

    def runs(self):
        return [dict(run) for run in self.database.runs(self.name)]


@pytest.fixture(params=["file", "postgres"])
def any_gate(request, tmp_path):
    """For tests whose outcome must not depend on the place: what libpq opens and blocks must not show either."""
    if request.param == "file":
        return Gate(tmp_path / "gate")
    return PostgresGate(tmp_path / "gate", request.getfixturevalue("database"))


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path)


# --- probes -----------------------------------------------------------------------------------------------------

class Probe:
    """What tools/probe.c saw."""

    def __init__(self, text):
        self.facts, self.fds, self.args, self.env, self.rlimits = {}, {}, [], [], {}
        lines = text.splitlines()
        assert lines and lines[-1] == "end", f"no whole report: {text!r}"
        for line in lines[:-1]:
            key, _, rest = line.replace("\t", " ", 1).partition(" ")
            if key in ("arg", "env"):
                value = bytes.fromhex(rest.partition(" ")[2])
                (self.args if key == "arg" else self.env).append(value)
            elif key == "fd":
                number, flags, cloexec, target = rest.split(" ", 3)
                self.fds[int(number)] = (flags, cloexec, target)
            elif key in ("rlimit", "itimer"):
                number, _, value = rest.partition(" ")
                self.rlimits[key, int(number)] = value
            else:
                self.facts[key] = rest
        self.env = [e for e in self.env if not e.startswith(b"E2E_MARK=")]

    @classmethod
    def read(cls, path):
        return cls(Path(path).read_text())

    def ignored(self):
        """The mask of ignored signals, without 32 and 33: those are the C library's own, and a posix_spawn on the way to
        us (make's, for one) may leave them ignored."""
        return int(self.facts["SigIgn"], 16) & ~(3 << 31)

    @property
    def pid(self):
        return int(self.facts["pid"])

    def same_as(self, other):
        """Everything that exec should carry over, in a form that two processes can be compared by."""
        drop = {"pid", "ppid"}

        def plain(probe):
            fds = {n: (flags, cloexec, target.split(":")[0] if target.startswith(("pipe:", "socket:")) else target)
                   for n, (flags, cloexec, target) in probe.fds.items()}
            return {"fds": fds, "rlimits": probe.rlimits,
                    **{k: v for k, v in probe.facts.items() if k not in drop}}

        mine, theirs = plain(self), plain(other)
        return {k: (mine.get(k), theirs.get(k)) for k in {*mine, *theirs} if mine.get(k) != theirs.get(k)}
