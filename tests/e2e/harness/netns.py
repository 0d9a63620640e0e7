"""A network namespace joined to ours by a veth pair, and silent partitions between the two.

A cut drops packets where they arrive: no FIN, no RST, no error at the sender, like a dead switch. Rules live in
tables of their own, with unique names, and vanish with close()."""

import random
import secrets
import subprocess


def _do(*argv, **kwargs):
    result = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, **kwargs)
    if result.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)}: {result.stderr}")
    return result.stdout


class Link:
    """`prefix` runs a command on the far side; the near side (the server's) is reachable there as `near`."""

    def __init__(self):
        tag = secrets.token_hex(3)
        self.space, self.veth, self.table = f"lse2e-{tag}", f"lse{tag}n", f"lse2e_{tag}"
        far_veth = f"lse{tag}f"
        net = f"198.{random.choice((18, 19))}.{random.randrange(256)}.{4 * random.randrange(64)}"
        base, last = net.rsplit(".", 1)
        self.near, self.far = f"{base}.{int(last) + 1}", f"{base}.{int(last) + 2}"
        self.cuts = set()
        _do("ip", "netns", "add", self.space)
        try:
            _do("ip", "link", "add", self.veth, "type", "veth", "peer", "name", far_veth, "netns", self.space)
            _do("ip", "addr", "add", f"{self.near}/30", "dev", self.veth)
            _do("ip", "link", "set", self.veth, "up")
            _do("ip", "-n", self.space, "addr", "add", f"{self.far}/30", "dev", far_veth)
            _do("ip", "-n", self.space, "link", "set", far_veth, "up")
            _do("ip", "-n", self.space, "link", "set", "lo", "up")
        except BaseException:
            self.close()
            raise

    @property
    def prefix(self):
        return ["ip", "netns", "exec", self.space]

    def cut(self, requests=True, replies=True):
        """Drops what the far side sends (requests), what it is sent (replies), or both."""
        rule = "add table inet {t}; add chain inet {t} in {{ type filter hook input priority -300; }}; add rule inet {t} in {m} drop"
        if replies:
            _do(*self.prefix, "nft", rule.format(t=self.table, m=f"ip saddr {self.near}"))
            self.cuts.add("far")
        if requests:
            _do("nft", rule.format(t=self.table, m=f'iifname "{self.veth}"'))
            self.cuts.add("near")

    def heal(self):
        for side in sorted(self.cuts):
            _do(*(self.prefix if side == "far" else []), "nft", f"delete table inet {self.table}")
        self.cuts.clear()

    def close(self):
        """Safe to call in any state. Deleting the namespace deletes the veth pair once its processes are gone."""
        for argv in (("nft", f"delete table inet {self.table}"), ("ip", "link", "del", self.veth),
                     ("ip", "netns", "del", self.space)):
            subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True)
