"""A private PostgreSQL that is gone without a trace when the demo ends."""

import contextlib
import glob
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import stop

ROLE = "demo"
SETTINGS = {
    "fsync": "off",  # what is thrown away in a few seconds need not survive a power cut
    "autovacuum": "off",
    "shared_buffers": "16MB",
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
}


class ServerError(Exception):
    pass


class Server:
    def __init__(self, folder, binaries, account):
        self.folder, self.binaries, self.account = folder, binaries, account
        self.data, self.log = os.path.join(folder, "data"), os.path.join(folder, "log")
        self.password = secrets.token_hex(16)
        self.process = self.url = None

    def initialize(self):
        password_file = os.path.join(self.folder, "password")
        with open(password_file, "w") as file:
            file.write(self.password)
        if self.account:
            shutil.chown(self.folder, **self.account)
            shutil.chown(password_file, **self.account)
        stop.look()
        # Not ended by ^C: initdb would leave a process and shared memory behind, and it is done in a moment.
        initdb = subprocess.run(
            [f"{self.binaries}/initdb", "-D", self.data, "-U", ROLE, "-E", "UTF8", "--no-locale", "--no-sync",
             "--auth=scram-sha-256", f"--pwfile={password_file}"], **self._how(), stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
        if initdb.returncode != 0:
            raise ServerError(f"initdb failed: {_last_line(initdb.stdout, 'error')}")
        stop.look()

    def start(self):
        for _ in range(3):  # between our look and the server's start somebody else may take the port
            port = _free_port()
            settings = [f"--{name}={value}" for name, value in {**SETTINGS, "port": port}.items()]
            with open(self.log, "w") as log:
                self.process = subprocess.Popen([f"{self.binaries}/postgres", "-D", self.data, *settings],
                                                **self._how(), stdout=log, stderr=log)
            deadline = time.monotonic() + 30
            while self.process.poll() is None and time.monotonic() < deadline:
                if self._ready():
                    self.url = f"postgres://{ROLE}:{self.password}@127.0.0.1:{port}/postgres"
                    return
                stop.wait(0.05)
            self.end()
        with open(self.log, encoding="utf-8", errors="replace") as log:
            raise ServerError(f"PostgreSQL does not start: {_last_line(log.read(), 'FATAL')}")

    def end(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGQUIT)  # at once: there is nothing to save
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def query(self, sql, *options):
        psql = subprocess.run([f"{self.binaries}/psql", self.url, "-X", *options, "-c", sql], stdin=subprocess.DEVNULL,
                              start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              env={**os.environ, "LC_ALL": "C"}, encoding="utf-8", errors="replace")
        if psql.returncode != 0:
            raise ServerError(f"psql failed: {_last_line(psql.stdout, 'ERROR')}")
        stop.look()
        return psql.stdout

    def _ready(self):
        try:
            with open(os.path.join(self.data, "postmaster.pid")) as file:
                return file.read().split("\n")[7:8] == ["ready   "]
        except OSError:
            return False

    def _how(self):
        """A session of its own, so that ^C on the terminal reaches the demo only."""
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        user = {**self.account, "extra_groups": []} if self.account else {}
        return {"cwd": self.folder, "env": {**environment, "LC_ALL": "C", "TZ": "UTC"}, "stdin": subprocess.DEVNULL,
                "start_new_session": True, **user}


@contextlib.contextmanager
def running():
    """A running server; afterwards neither it nor its folder is there."""
    binaries = _newest_binaries()
    # The server refuses to run as root.
    account = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}
    folder = tempfile.mkdtemp(prefix="lockstep-demo-", dir=_place(account))
    server = Server(folder, binaries, account)
    try:
        server.initialize()
        server.start()
        yield server
    finally:
        try:
            server.end()
        finally:
            shutil.rmtree(folder)


def _newest_binaries():
    found = [path for path in glob.glob("/usr/lib/postgresql/*/bin") if os.access(f"{path}/initdb", os.X_OK)]
    if not found:
        raise ServerError("PostgreSQL is not installed (/usr/lib/postgresql/*/bin); `make demo` installs it")
    return max(found, key=lambda path: float(path.split("/")[4]))


def _place(account):
    """The usual folder for temporary files, unless it is root's own and the server's account cannot enter it."""
    place = os.path.abspath(tempfile.gettempdir())
    above = place
    while account and above != "/":
        if not os.stat(above).st_mode & 0o001:
            return "/tmp"
        above = os.path.dirname(above)
    return place


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _last_line(text, word):
    lines = text.strip().splitlines() or ["no output"]
    return next((line for line in reversed(lines) if word in line), lines[-1]).strip()
