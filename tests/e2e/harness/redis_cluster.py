"""A Redis Cluster of three masters: each gate lives in the one slot that its name gives, on one of them."""

from harness.redis import HARNESS, HARNESS_PASSWORD, Server
from harness.redis_gate import Gate
from harness.waiting import eventually

SLOTS = 16384


class RedisCluster:
    """Each server has a third of the slots; there are no replicas."""

    def __init__(self, root, kind="redis", **settings):
        self.servers = [Server(root, kind, cluster_enabled="yes", cluster_announce_ip="127.0.0.1", cluster_node_timeout=2000, **settings)
                        for _ in range(3)]

    def start(self):
        first, *others = self.servers
        for i, server in enumerate(self.servers):
            server.start()
            server.admin.execute_command("CLUSTER ADDSLOTSRANGE", SLOTS * i // 3, SLOTS * (i + 1) // 3 - 1)
            server.admin.execute_command("CLUSTER SET-CONFIG-EPOCH", i + 1)
        for server in others:
            server.admin.execute_command("CLUSTER MEET", "127.0.0.1", first.port, first.settings["cluster-port"])
        eventually(lambda: all(self._is_whole(server) for server in self.servers), what="the cluster is whole")
        return self

    @staticmethod
    def _is_whole(server):
        info = server.admin.execute_command("CLUSTER INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == 3

    def close(self):
        for server in self.servers:
            server.kill()

    def gate(self):
        return ClusterGate(self)

    def slot(self, name="default"):
        return self.servers[0].admin.execute_command("CLUSTER KEYSLOT", f"{{{name}}}")

    def owner(self, name="default"):
        """The server that has the gate's slot, as it says itself."""
        return next(server for server in self.servers if server.process and self._has(server, self.slot(name)))

    @staticmethod
    def _has(server, slot):
        return any(begin <= slot <= end and node[1] == server.port
                   for begin, end, node, *_ in server.admin.execute_command("CLUSTER SLOTS"))

    def others(self, name="default"):
        owner = self.owner(name)
        return [server for server in self.servers if server is not owner]

    def move(self, name="default"):
        """Moves the gate to another server, as resharding does: the old one answers with MOVED from now on."""
        old, slot = self.owner(name), self.slot(name)
        new = self.others(name)[0]
        old_id, new_id = (server.admin.execute_command("CLUSTER MYID") for server in (old, new))
        new.admin.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", old_id)
        old.admin.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", new_id)
        while keys := old.admin.execute_command("CLUSTER GETKEYSINSLOT", slot, 100):
            old.admin.execute_command("MIGRATE", "127.0.0.1", new.port, "", 0, 10000, "AUTH2", HARNESS, HARNESS_PASSWORD,
                                      "KEYS", *keys)
        for server in (new, old, *self.servers):
            server.admin.execute_command("CLUSTER SETSLOT", slot, "NODE", new_id)
        return new


class ClusterGate(Gate):
    """Gates are read where their slot is; url() names a server that does not have it, unless told otherwise."""

    def __init__(self, cluster):
        super().__init__(None, 0)
        self.cluster = cluster

    def server_of(self, name="default"):
        return self.cluster.owner(name)

    def url(self, server=None, **kwargs):
        return (server or self.cluster.others()[0]).url(**kwargs)
