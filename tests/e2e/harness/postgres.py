"""PostgreSQL clusters: fresh, disposable, restartable, promotable. Run as the user postgres, on a free port."""

import fcntl
import glob
import os
import re
import secrets
import shutil
import signal
import subprocess

import psycopg2
import psycopg2.extras

from harness import processes
from harness.waiting import eventually

BIN = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda p: int(p.split("/")[4]))[-1]
PSQL = f"{BIN}/psql"  # the real one: Debian's /usr/bin/psql is a wrapper that takes longer to start than to run

SUPERUSER, SUPERUSER_PASSWORD = "postgres", "e2e-super"
ROLE, ROLE_PASSWORD = "app", "e2e-app"

SETTINGS = {
    "fsync": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "autovacuum": "off",
    "unix_socket_directories": "''",
    "log_statement": "all",
    "log_connections": "on",
    "log_line_prefix": "'%m [%p] db=%d user=%u app=%a '",
    "wal_level": "replica",
    "max_wal_senders": "4",
}


def _as_postgres(argv, **kwargs):
    return subprocess.Popen(argv, user="postgres", group="postgres", extra_groups=[], stdin=subprocess.DEVNULL,
                            cwd="/", start_new_session=True, **kwargs)


def _run_as_postgres(argv, **kwargs):
    process = _as_postgres(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kwargs)
    output, _ = process.communicate(timeout=120)
    if process.returncode != 0:
        raise RuntimeError(f"{argv[0]}: {output}")


def template(root):
    """The data directory that every cluster is a copy of: made once for all workers of a test run."""
    made = root / "template"
    with open(root / "template.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            password = root / "template.password"
            password.write_text(SUPERUSER_PASSWORD)
            password.chmod(0o644)
            _run_as_postgres([f"{BIN}/initdb", "-D", str(_owned(root / "template.new")), "-U", SUPERUSER, "-E", "UTF8",
                              "--no-locale", "--no-sync", "--auth=scram-sha-256", f"--pwfile={password}"])
            with open(root / "template.new" / "pg_hba.conf", "a") as hba:
                hba.write("host all all all scram-sha-256\n")
            (root / "template.new").rename(made)
    return made


def _owned(directory):
    directory.mkdir(mode=0o700)
    shutil.chown(directory, "postgres", "postgres")
    return directory


class Cluster:
    """One server. `url` and `query` speak to it directly; `start`, `stop`, `restart`, `promote` change its state."""

    def __init__(self, data, listen=("127.0.0.1",), **settings):
        self.data, self.port, self.process = data, processes.free_port(), None
        self.log = data.parent / f"{data.name}.log"
        self.settings = {**SETTINGS, "listen_addresses": f"'{','.join(listen)}'", "port": str(self.port),
                         **{k: str(v) for k, v in settings.items()}}

    @classmethod
    def create(cls, root, **settings):
        data = root / f"cluster-{secrets.token_hex(4)}"
        subprocess.run(["cp", "-a", str(template(root)), str(data)], check=True)
        return cls(data, **settings)

    def standby(self, root, **settings):
        """A hot standby of this server (not started), copied from it by pg_basebackup."""
        data = root / f"cluster-{secrets.token_hex(4)}"
        _run_as_postgres([f"{BIN}/pg_basebackup", "-h", "127.0.0.1", "-p", str(self.port), "-U", SUPERUSER, "-D",
                          str(_owned(data)), "-R", "-X", "stream", "-c", "fast", "--no-sync"],
                         env={"PGPASSWORD": SUPERUSER_PASSWORD, "PATH": os.environ["PATH"]})
        return Cluster(data, **settings)

    def start(self, wait=True):
        options = [word for k, v in self.settings.items() for word in ("-c", f"{k}={v.strip(chr(39))}")]
        with open(self.log, "ab") as log:
            self.process = _as_postgres([f"{BIN}/postgres", "-D", str(self.data), *options], stdout=log, stderr=log)
        if wait:
            eventually(self.answers, what=f"the server answers; see {self.log}")
        return self

    def answers(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"postgres ended: {self.log.read_text()[-2000:]}")
        try:
            return self.query("SELECT true")
        except psycopg2.OperationalError:
            return False

    def stop(self, mode="fast"):
        if self.process is not None:
            processes.stop(self.process, {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}[mode], signal.SIGQUIT)
            self.process = None

    def restart(self, mode="fast"):
        self.stop(mode)
        self.start()

    def promote(self):
        assert self.query("SELECT pg_promote(true, 60) AS ok")[0]["ok"]
        eventually(lambda: not self.query("SELECT pg_is_in_recovery() AS r")[0]["r"], what="promoted")

    def caught_up_with(self, primary):
        """True when everything the primary has written is replayed here."""
        lsn = primary.query("SELECT pg_current_wal_lsn()::text AS lsn")[0]["lsn"]
        return self.query("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn AS ok", lsn)[0]["ok"]

    def query(self, sql, *params, db="postgres"):
        """Rows as dicts, as the superuser, each call in autocommit on a connection of its own."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=SUPERUSER, password=SUPERUSER_PASSWORD,
                                      dbname=db, connect_timeout=10, application_name="e2e")
        try:
            connection.autocommit = True
            with connection.cursor(cursor_factory=psycopg2.extras.RealDictCursor) as cursor:
                cursor.execute(sql, params or None)
                return [dict(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def url(self, db, role=ROLE, password=ROLE_PASSWORD, host="127.0.0.1", port=None):
        return f"postgresql://{role}:{password}@{host}:{port or self.port}/{db}"

    def make_role(self, name, password=ROLE_PASSWORD):
        self.query(f"CREATE ROLE {name} LOGIN PASSWORD '{password}'")
        return name

    def database(self):
        """A fresh database that belongs to the ordinary role."""
        if not self.query("SELECT 1 FROM pg_roles WHERE rolname = %s", ROLE):
            self.make_role(ROLE)
        name = f"t_{secrets.token_hex(5)}"
        self.query(f"CREATE DATABASE {name} OWNER {ROLE}")
        return Database(self, name)


class Database:
    """One database of a cluster, and what lockstep has recorded in it."""

    def __init__(self, cluster, name):
        self.cluster, self.name = cluster, name

    def at(self, cluster):
        """The same database on another server (a promoted standby)."""
        return Database(cluster, self.name)

    def url(self, **kwargs):
        return self.cluster.url(self.name, **kwargs)

    def query(self, sql, *params):
        return self.cluster.query(sql, *params, db=self.name)

    def recorded(self, table, order, name="default", schema="lockstep"):
        try:
            return self.query(f"SELECT * FROM {schema}.{table} WHERE name = %s ORDER BY {order}", name)
        except psycopg2.errors.UndefinedTable:
            return []

    def runs(self, name="default", schema="lockstep"):
        return self.recorded("run", "token", name, schema)

    def states(self, name="default"):
        return [run["state"] for run in self.runs(name)]

    def applied(self, name="default", schema="lockstep"):
        return {row["target"] for row in self.recorded("applied", "target", name, schema)}

    def sessions(self, role=ROLE):
        return self.query("SELECT * FROM pg_stat_activity WHERE datname = current_database() AND usename = %s", role)

    def lock_holder(self):
        """The backend that holds the gate: an advisory lock inside an idle transaction. None if nobody does."""
        rows = self.query("SELECT a.pid FROM pg_stat_activity a JOIN pg_locks l USING (pid) WHERE l.granted AND "
                          "l.locktype = 'advisory' AND a.datname = current_database() AND "
                          "a.state = 'idle in transaction'")
        return rows[0]["pid"] if rows else None

    def wait_lock_holder(self):
        return eventually(self.lock_holder, what="somebody holds the lock in a transaction")

    def terminate(self, pid):
        assert self.query("SELECT pg_terminate_backend(%s) AS ok", pid)[0]["ok"]

    def log(self):
        """The server's log lines of this database's ordinary role."""
        mine = f"db={self.name} user={ROLE} "
        return [line for line in self.cluster.log.read_text(errors="replace").splitlines() if mine in line]

    def statements(self):
        """Client messages that carried SQL, as logged (one line a message; a Parse/Bind/Execute logs as `execute`)."""
        return [line for line in self.log() if re.search(r"LOG:  (statement|execute [^:]*):", line)]
