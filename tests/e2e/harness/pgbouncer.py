"""PgBouncer in front of a cluster: one instance a pool mode, with its admin console."""

import secrets
import shutil
import signal
import subprocess

import psycopg2

from harness import postgres, processes
from harness.waiting import eventually

PROGRAM = shutil.which("pgbouncer") or "/usr/sbin/pgbouncer"
ADMIN = "pooladmin"


class PgBouncer:
    def __init__(self, root, database, mode, pool_size=30, **settings):
        self.port, self.process = processes.free_port(), None
        self.directory = root / f"pgbouncer-{secrets.token_hex(4)}"
        self.directory.mkdir(mode=0o755)
        users = {postgres.ROLE: postgres.ROLE_PASSWORD, ADMIN: "e2e-admin"}
        (self.directory / "users").write_text("".join(f'"{u}" "{p}"\n' for u, p in users.items()))
        values = {"listen_addr": "127.0.0.1", "listen_port": self.port, "unix_socket_dir": "", "auth_type": "scram-sha-256",
                  "auth_file": self.directory / "users", "admin_users": ADMIN, "pool_mode": mode,
                  "default_pool_size": pool_size, "max_client_conn": 300, "server_login_retry": 1, **settings}
        lines = [f"{k} = {v}" for k, v in values.items()]
        (self.directory / "ini").write_text(
            f"[databases]\n{database.name} = host=127.0.0.1 port={database.cluster.port}\n[pgbouncer]\n" + "\n".join(lines) + "\n")

    def start(self):
        with open(self.directory / "log", "ab") as log:
            self.process = subprocess.Popen([PROGRAM, str(self.directory / "ini")], user="postgres", group="postgres",
                                            extra_groups=[], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/",
                                            start_new_session=True)
        eventually(self._answers, what=f"pgbouncer answers; see {self.directory}/log")
        return self

    def _answers(self):
        try:
            return self.admin("SHOW VERSION")
        except psycopg2.OperationalError:
            return False

    def admin(self, command):
        """A command on the admin console: KILL db, RECONNECT, PAUSE, RESUME, SHOW POOLS ..."""
        connection = psycopg2.connect(host="127.0.0.1", port=self.port, user=ADMIN, password="e2e-admin",
                                      dbname="pgbouncer", connect_timeout=10)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(command)
                return cursor.fetchall() if cursor.description else True
        finally:
            connection.close()

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None:
            processes.stop(self.process, sig)
            self.process = None

    def restart(self):
        """What a crash looks like: every client and every server connection is cut at once."""
        self.stop(signal.SIGKILL)
        self.start()

    def url(self, database):
        return database.url(port=self.port)
