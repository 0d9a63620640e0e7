"""A Redis master with a replica under three sentinels, which promote the replica when the master is gone."""

from harness.redis import HARNESS, HARNESS_PASSWORD, SETTINGS, Server
from harness.redis_gate import Gate
from harness.waiting import eventually

MASTER = "prime"  # what the sentinels call it

# Sentinels ask and tell each other every few seconds; tests would spend most of their time on that. (A replica whose INFO is
# older than five ping periods is not promoted, and INFO comes once a second, so that period must not be shorter.)
PACE = {"info-period": 500, "ping-period": 500, "ask-period": 200, "publish-period": 300}


class Sentinel(Server):
    """One sentinel. It writes what it learns into its configuration file, so that file is made only once."""

    mode = ("--sentinel",)

    def __init__(self, root, watched, down_after=1000, **settings):
        super().__init__(root, kind=watched.kind, tls=watched.tls, **settings)
        data = SETTINGS.keys() - {"protected-mode"}
        self.settings = {name: value for name, value in self.settings.items() if name not in data}
        self.sentinel = [f"monitor {MASTER} 127.0.0.1 {watched.port} 2", f"down-after-milliseconds {MASTER} {down_after}",
                         f"failover-timeout {MASTER} 4000", f"auth-user {MASTER} {HARNESS}",
                         f"auth-pass {MASTER} {HARNESS_PASSWORD}", f"sentinel-user {HARNESS}", f"sentinel-pass {HARNESS_PASSWORD}"]

    def configure(self, config):
        if not config.exists():
            super().configure(config)
            with open(config, "a") as more:
                more.writelines(f"sentinel {line}\n" for line in self.sentinel)

    def start(self, wait=True):
        super().start()
        self.admin.execute_command("SENTINEL DEBUG", *(word for pair in PACE.items() for word in pair))
        return self

    def master_port(self):
        return int(self.admin.execute_command("SENTINEL GET-MASTER-ADDR-BY-NAME", MASTER)[1])

    def knows_all(self):
        """It sees the master, one replica that may be promoted, and two more sentinels."""
        words = self.admin.execute_command("SENTINEL MASTER", MASTER)
        return (words["flags"], words["num-slaves"], words["num-other-sentinels"]) == ("master", 1, 2) and self.replica_is_fit()

    def replica_is_fit(self):
        [replica] = self.admin.execute_command("SENTINEL SLAVES", MASTER)
        return replica["flags"] == "slave" and replica["master-link-status"] == "ok"


class Sentinels:
    """`master` and `replica` are the servers as they began, `sentinels` the three that watch them. Settings are the servers',
    sentinel={...} the sentinels'. With tls=certs.address all of them speak TLS, for they name each other by address."""

    def __init__(self, root, kind="redis", sentinel=None, **settings):
        self.servers = [Server(root, kind, **settings) for _ in range(2)]
        self.master, self.replica = self.servers
        self.sentinels = [Sentinel(root, self.master, **(sentinel or {})) for _ in range(3)]

    def start(self):
        for server in self.servers:
            server.start()
        self.replica.replicate(self.master)
        for sentinel in self.sentinels:
            sentinel.start()
        eventually(lambda: all(sentinel.knows_all() for sentinel in self.sentinels), what="the sentinels know everybody")
        return self

    def close(self):
        for server in (*self.sentinels, *self.servers):
            server.kill()

    def url(self, db=0, user=None, password=None, scheme=None, hosts=None, **parameters):
        """hosts replaces the sentinels' addresses, e.g. by proxies' or by one that is dead."""
        scheme = scheme or ("rediss+sentinel" if self.master.tls else "redis+sentinel")
        login = f"{user or ''}:{password}@" if password is not None else ""
        hosts = ",".join(hosts or [f"127.0.0.1:{sentinel.port}" for sentinel in self.sentinels])
        words = "&".join(f"{name}={value}" for name, value in parameters.items())
        return f"{scheme}://{login}{hosts}/{MASTER}/{db}{'?' + words if words else ''}"

    def gate(self, db=0):
        return SentinelGate(self, db)

    # failover

    def current(self):
        """The server that a majority of the sentinels names as the master."""
        ports = sorted(sentinel.master_port() for sentinel in self.sentinels if sentinel.process)
        return next(server for server in self.servers if server.port == ports[len(ports) // 2])

    def promoted(self, server):
        return all(s.master_port() == server.port for s in self.sentinels if s.process) and server.role() == "master"

    def wait_promoted(self, server):
        """Until the server is the master, for itself and for every sentinel that runs."""
        eventually(lambda: self.promoted(server), what=f"the server on port {server.port} is promoted")
        return server

    def fail_over(self):
        """A planned one: the sentinels are asked, the old master lives on and becomes a replica. Returns the new master."""
        old = self.current()
        new = next(server for server in self.servers if server is not old)
        self.sentinels[0].admin.execute_command("SENTINEL FAILOVER", MASTER)
        self.wait_promoted(new)
        eventually(lambda: old.role() == "slave", what="the old master has become a replica")
        return new

    def hold_back_writes(self):
        """From now on nothing that the master is sent reaches the replica. It ends with resume() of the replica."""
        self.replica.pause()
        self.master.cut_replicas()


class SentinelGate(Gate):
    """A gate that is read from whichever server is the master now."""

    def __init__(self, sentinels, db=0):
        self.sentinels, self.db = sentinels, db

    @property
    def server(self):
        return self.sentinels.current()

    def url(self, **kwargs):
        return self.sentinels.url(db=self.db, **kwargs)
