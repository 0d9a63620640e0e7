"""Redis servers: fresh, disposable, restartable, with or without a memory. harness.redis_gate reads what is recorded in them."""

import contextlib
import itertools
import pathlib
import re
import secrets
import signal
import socket
import subprocess
import threading

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from harness import processes
from harness.redis_gate import Gate
from harness.waiting import PATIENCE, eventually

TRIXIE = pathlib.Path(__file__).parents[1] / "tools" / "trixie.sh"
NEWER = ["redis8", "valkey"]
KINDS = ("redis", *NEWER)

# The tests' own way in: a user of its own on the unix socket, which works whatever is done to the default user, TLS or the network.
HARNESS, HARNESS_PASSWORD = "harness", "e2e-harness"

SETTINGS = {
    "protected-mode": "no",
    "save": '""',
    "appendonly": "no",
    "appendfsync": "always",
    "databases": 1024,              # a gate of the shared server has one of its own
    "enable-debug-command": "yes",
    "repl-diskless-sync-delay": 0,
    "rdb-del-sync-files": "yes",    # a replica without persistence must not find its master's data after a restart
    "masteruser": HARNESS,
    "masterauth": HARNESS_PASSWORD,
}


def program(kind):
    """The command line that a server of this kind starts with: Debian's own Redis, or a newer one of the suite after it."""
    if kind == "redis":
        return ["/usr/bin/redis-server"]
    folder = subprocess.run([TRIXIE], check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True).stdout.strip()
    return [f"{folder}/bin/{'valkey' if kind == 'valkey' else 'redis'}-server"]


class Server:
    """One server. Settings are redis.conf's with "_" for "-"; `restart()` reads a changed `settings`.
    users={"app": "on >secret ~lockstep:* +@all"} are lines of its ACL; tls=certs.right turns the port into a TLS port."""

    def __init__(self, root, kind="redis", listen=("127.0.0.1",), users=None, tls=None, client_ca=None, **settings):
        self.directory = root / f"{kind}-{secrets.token_hex(4)}"
        self.directory.mkdir(mode=0o755)
        self.kind, self.port, self.tls, self.process = kind, processes.free_port(), tls, None
        self.log, self.socket = self.directory / "log", self.directory / "socket"
        self.users = {HARNESS: f"on >{HARNESS_PASSWORD} ~* &* +@all", **(users or {})}
        self.settings = {"bind": " ".join(listen), "port": self.port, "dir": self.directory, "unixsocket": self.socket,
                         "unixsocketperm": 777, **SETTINGS}
        if tls:
            self.settings |= {"port": 0, "tls-port": self.port, "tls-replication": "yes", "tls-cert-file": tls.cert,
                              "tls-key-file": tls.key, "tls-ca-cert-file": client_ca or tls.ca,
                              "tls-auth-clients": "yes" if client_ca else "no"}
        self.settings |= {name.replace("_", "-"): value for name, value in settings.items()}
        if "cluster-enabled" in self.settings:  # the default of the bus, port + 10000, might be anybody's
            self.settings["cluster-port"] = processes.free_port()
        self._clients, self._databases = {}, itertools.count()
        self.admin = self.client()

    # its life

    def start(self, wait=True):
        config = self.directory / "conf"
        self.configure(config)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen([*program(self.kind), str(config), *self.mode], stdin=subprocess.DEVNULL,
                                            stdout=log, stderr=log, cwd="/", start_new_session=True)
        if wait:
            eventually(self.answers, what=f"the server answers; see {self.log}")
        return self

    mode = ()

    def configure(self, config):
        lines = [f"{name} {value}" for name, value in self.settings.items()]
        lines += [f"user {name} {rules}" for name, rules in self.users.items()]
        config.write_text("\n".join(lines) + "\n")

    def answers(self):
        """True once it serves commands (it answers earlier, with LOADING)."""
        if self.process.poll() is not None:
            raise RuntimeError(f"the server ended: {self.log.read_text()[-2000:]}")
        try:
            return self.admin.ping()
        except redis.ConnectionError:
            return False

    def stop(self, sig=signal.SIGTERM):
        if self.process is not None:
            self.resume()
            processes.stop(self.process, sig)
            self.process = None
            for client in self._clients.values():
                client.connection_pool.disconnect()

    def kill(self):
        """What a crash looks like. Without appendonly everything is forgotten by stop() as well."""
        self.stop(signal.SIGKILL)

    def restart(self, sig=signal.SIGTERM):
        self.stop(sig)
        self.start()

    def pause(self):
        """It stands still: connections stay open, new ones are accepted by the kernel, nothing is answered."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    # speaking to it

    def client(self, user=HARNESS, password=HARNESS_PASSWORD, db=0):
        """A redis-py client on the unix socket, as the harness unless another user is named. Made once. A connection that was
        closed (sentinels do so after a failover) is opened anew."""
        if (user, password, db) not in self._clients:
            self._clients[user, password, db] = redis.Redis(
                unix_socket_path=str(self.socket), username=user, password=password, db=db, socket_timeout=20,
                decode_responses=True, encoding_errors="surrogateescape", client_name=HARNESS if user == HARNESS else None,
                retry=Retry(NoBackoff(), 1), retry_on_error=[redis.ConnectionError])
        return self._clients[user, password, db]

    def url(self, db=0, user=None, password=None, host=None, port=None, scheme=None, **parameters):
        """For lockstep. host and port may be a proxy's; parameters follow the question mark."""
        login = f"{user or ''}:{password}@" if password is not None else ""
        words = "&".join(f"{name}={value}" for name, value in parameters.items())
        return (f"{scheme or ('rediss' if self.tls else 'redis')}://{login}{host or ('localhost' if self.tls else '127.0.0.1')}"
                f":{port or self.port}/{db}{'?' + words if words else ''}")

    def unix_url(self, db=0, scheme="redis+unix"):
        return f"{scheme}://{self.socket}?db={db}"

    def gate(self, db=None):
        """A gate in a database of its own, not established: its first use waits out the quarantine (see Gate.establish)."""
        return Gate(self, next(self._databases) if db is None else db)

    def uptime(self):
        return self.admin.info("server")["uptime_in_seconds"]

    def wait_older_than(self, seconds):
        """A young server is dirty (it may have forgotten a lock): who wants no quarantine waits for its age."""
        eventually(lambda: self.uptime() > seconds, PATIENCE + seconds, f"the server is older than {seconds} s", every=0.1)

    def replid(self):
        return self.admin.info("replication")["master_replid"]

    def role(self):
        return self.admin.info("replication")["role"]

    def sessions(self):
        """CLIENT LIST without the harness and other servers."""
        return [c for c in self.admin.client_list() if c["flags"][0] not in "SM" and c["name"] != HARNESS]

    @contextlib.contextmanager
    def watched(self):
        """with server.watched() as seen: ... afterwards `seen.commands` is what clients have sent meanwhile."""
        seen = Seen(self)
        try:
            yield seen
        finally:
            seen.close()

    # replication

    def replicate(self, master):
        """Makes a running server a replica, also after its next start, and waits until it has its master's data."""
        self.settings["replicaof"] = f"127.0.0.1 {master.port}"
        self.admin.replicaof("127.0.0.1", master.port)
        eventually(lambda: self.caught_up_with(master), what=f"{self.log}: in step with its master")
        return self

    def promote(self):
        self.settings.pop("replicaof", None)
        self.admin.replicaof("NO", "ONE")

    def caught_up_with(self, master):
        mine = self.admin.info("replication")
        return (mine["role"] == "slave" and mine["master_link_status"] == "up" and
                mine["slave_repl_offset"] >= master.admin.info("replication")["master_repl_offset"])

    def cut_replicas(self):
        """Closes the connections of its replicas. With the replica paused before, what is written from now on never reaches it."""
        self.admin.client_kill_filter(_type="slave")


class Seen:
    """MONITOR. The server tells each command it runs, also those of scripts ("lua") and of the harness (on the unix socket)."""

    LINE = re.compile(r'\+[\d.]+ \[\d+ (?P<client>[^\]]+)\] (?P<command>".*)')

    def __init__(self, server):
        self.server, self.lines, self.over, self.arrived = server, [], False, threading.Condition()
        self.connection = socket.socket(socket.AF_UNIX)
        self.connection.connect(str(server.socket))
        self.connection.sendall(f"AUTH {HARNESS} {HARNESS_PASSWORD}\r\nCLIENT SETNAME {HARNESS}\r\nMONITOR\r\n".encode())
        self.stream = self.connection.makefile(errors="replace")
        assert [self.stream.readline() for _ in range(3)] == ["+OK\n"] * 3, "the server does not let itself be watched"
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        with contextlib.suppress(OSError):
            for line in self.stream:
                with self.arrived:
                    self.lines.append(line.rstrip("\n"))
                    self.arrived.notify_all()
        with self.arrived:
            self.over = True
            self.arrived.notify_all()

    def _matching(self, pattern):
        return [line for line in self.lines if re.search(pattern, line, re.IGNORECASE)]

    def wait(self, pattern, timeout=PATIENCE):
        """Until a line matches, e.g. '"PEXPIRE"'; returns it."""
        with self.arrived:
            self.arrived.wait_for(lambda: self.over or self._matching(pattern), timeout)
            assert self._matching(pattern), f"nobody sent {pattern!r}" + (" before the server went away" if self.over else "")
            return self._matching(pattern)[0]

    def close(self):
        """Everything sent before close() is in `lines`: the server tells in order, so a mark of ours comes last."""
        if not self.over:  # else it was stopped or restarted, and what was told is all there is
            mark = secrets.token_hex(8)
            self.server.admin.echo(mark)
            self.wait(mark)
        with contextlib.suppress(OSError):
            self.connection.shutdown(socket.SHUT_RDWR)
        self.reader.join()
        self.stream.close()
        self.connection.close()

    @property
    def commands(self):
        """What TCP clients have sent, as quoted words; scripts show as EVALSHA, not as what they did."""
        with self.arrived:
            found = [self.LINE.fullmatch(line) for line in self.lines]
        return [m["command"] for m in found if m and m["client"] != "lua" and not m["client"].startswith("unix:")]
