"""A private PostgreSQL: fresh, on a free port of the loopback, gone with stop()."""

import glob
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time

import psycopg2

from programs import free_port

DATABASE, ROLE, ROLE_PASSWORD, SUPERUSER_PASSWORD = "bench", "bench", "bench-role", "bench-super"
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "64MB",
    "fsync": "off",
    "autovacuum": "off",
    "track_commit_timestamp": "on",  # tells when the winner committed
    "log_line_prefix": "%a|",
}


def programs():
    """The newest PostgreSQL of this machine: the real programs, not Debian's wrappers, which are slow to start."""
    found = glob.glob("/usr/lib/postgresql/*/bin")
    return pathlib.Path(max(found, key=lambda path: int(path.split("/")[4])))


class Server:
    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-bench-"))
        self.directory.chmod(0o755)  # the server's user must come through
        self.data, self.log = self.directory / "data", self.directory / "log"
        self.port, self.process, self.connection = free_port(), None, None

    def _as_postgres(self, *words):
        if os.getuid() != 0:
            return words
        return ("setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig=INT", *words)

    def start(self):
        self.data.mkdir(mode=0o700)
        password = self.directory / "password"
        password.write_text(SUPERUSER_PASSWORD)
        if os.getuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
        subprocess.run(self._as_postgres(programs() / "initdb", "-D", self.data, "-U", "postgres", "-E", "UTF8", "--no-locale",
                                         "--no-sync", "--auth=scram-sha-256", f"--pwfile={password}"),
                       check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, cwd="/")
        options = [word for name, value in {**SETTINGS, "port": self.port}.items() for word in ("-c", f"{name}={value}")]
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen(self._as_postgres(programs() / "postgres", "-D", self.data, *options), cwd="/",
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self._connect("postgres")
        self.query(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{ROLE_PASSWORD}'")
        self.query(f"CREATE DATABASE {DATABASE} OWNER {ROLE}")
        self._connect(DATABASE)

    def _connect(self, database):
        if self.connection is not None:
            self.connection.close()
        for attempt in range(200):
            try:
                self.connection = psycopg2.connect(host="127.0.0.1", port=self.port, user="postgres", dbname=database,
                                                   password=SUPERUSER_PASSWORD)
                break
            except psycopg2.OperationalError:
                if attempt == 199 or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
        self.connection.autocommit = True

    def url(self, parameters=""):
        return f"postgres://{ROLE}:{ROLE_PASSWORD}@127.0.0.1:{self.port}/{DATABASE}{parameters}"

    def query(self, sql, *values):
        """Rows of a statement of the superuser, in the benchmark's database."""
        with self.connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall() if cursor.description else []

    def value(self, sql, *values):
        return self.query(sql, *values)[0][0]

    def version(self):
        return re.match(r"[\d.]+", self.value("SHOW server_version")).group()

    def stop(self):
        try:
            if self.process is not None:
                self.process.send_signal(signal.SIGQUIT)  # nothing in it is worth a checkpoint
                self.process.wait(20)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
