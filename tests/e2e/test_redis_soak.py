"""A soak: replicas that restart as an orchestrator lets them, while everything around them breaks at random. locks.md section 7,
cases 2 to 8, 10, 24, 27, 28, 30, 32, at once.

SOAK_SECONDS says how long (60), SOAK_SEED makes the same choices again (the machine's timing stays its own); a failure prints
the seed and what was done when."""

import collections
import os
import random
import shutil
import signal
import threading
import time

import pytest

from harness import processes
from harness.netns import Link
from harness.waiting import eventually

SECONDS = float(os.environ.get("SOAK_SECONDS", "60"))
SEED = os.environ.get("SOAK_SEED") or str(random.SystemRandom().randrange(10**6))
LEASE = 3
SLOTS = 7
ENDS = 120  # seconds within which a replica has come to an end once nothing breaks any more: the lease, Q, and a few backoffs

# What a replica may end with: started; the run's failure; stopped; killed (before it could catch the signal, too).
STATUSES = {0, 7, 128 + signal.SIGTERM, -signal.SIGTERM, -signal.SIGKILL}
FAILS = 7

BUSY = "local t = redis.call('TIME'); local till = t[1] * 1000 + t[2] / 1000 + ARGV[1]\n" \
       "repeat t = redis.call('TIME') until t[1] * 1000 + t[2] / 1000 > till"


class Slot(threading.Thread):
    """One place of a deployment: starts a replica of the present version, and the next one whenever it has ended."""

    def __init__(self, soak, number, url, inside=()):
        super().__init__(daemon=True)
        self.soak, self.url, self.inside = soak, url, inside
        self.random = random.Random(f"{SEED}-{number}")
        self.breaking = threading.Lock()  # one fault at a time for each
        self.replica = None

    def run(self):
        try:
            while not self.soak.calm.wait(self.random.uniform(0.1, 1)):
                self.once()
        except BaseException as error:
            self.soak.errors.append(error)

    def command(self):
        options = {"for": self.random.choice((50, 500, 2000, 3000, 12000))}  # the longest outlives lease and Q, if it is let
        if self.random.random() < 0.5:
            options["ignore"] = 1
        if self.random.random() < 0.1:
            options["exit"] = FAILS
        return options

    def migrates(self):
        names = self.replica.names()
        return self.replica.running() and "migrating" in names and "migrated" not in names

    def once(self):
        """The life of one replica. Those that were killed have left processes, which must end by themselves."""
        self.replica = replica = self.soak.start(self.soak.target, self.command(), self.url, self.inside)
        deadline = None
        while replica.running():
            if self.soak.calm.is_set():
                deadline = deadline or time.monotonic() + ENDS
                assert time.monotonic() < deadline, f"it does not end:\n{replica.story()}"
            time.sleep(0.05)
        status = replica.wait_exit()
        with self.breaking:
            replica.wait_gone()
        self.soak.over(replica, status)


class Soak:
    def __init__(self, stage, gate, links):
        self.stage, self.gate, self.server, self.links = stage, gate, gate.server, links
        self.random = random.Random(SEED)
        self.calm = threading.Event()
        self.errors, self.done, self.seen = [], collections.Counter(), collections.Counter()
        self.diary, self.began = [], time.monotonic()
        self.version, self.target = 1, "v1"
        self.at_server, self.at_links, self.faults = threading.Lock(), [threading.Lock() for _ in links], []
        url = gate.url()
        self.slots = [Slot(self, n, url) for n in range(SLOTS - 2 * len(links))]
        for link in links:
            self.slots += [Slot(self, len(self.slots) + n, gate.url(host=link.near), link.prefix) for n in range(2)]

    def note(self, what, seconds=None):
        self.done[what] += 1
        self.diary.append(f"{time.monotonic() - self.began:8.2f} {what}{'' if seconds is None else f' for {seconds:.2f} s'}")

    # replicas

    def start(self, target, command, url, inside):
        """A version counts as there from the line "there:VERSION" on, which is the command's last deed."""
        stage = self.stage
        pretend = " ".join(f"{name}={value}" for name, value in command.items())
        script = f"{stage.stamp} {stage.journal.path} run {pretend} && exec {stage.stamp} {stage.journal.path} there:{target}"
        return stage.start(url=url, target=target, migrate=script, app=stage.app(f"app:{target}"), inside=inside)

    def over(self, replica, status):
        assert status in STATUSES, f"it ended with {status}:\n{replica.story()}"
        self.seen["replicas"] += 1
        for event in ("exec", "migrating", "migrated", "failed", "interrupted", "lost", "takeover", "quarantine", "unavailable"):
            self.seen[event] += len(replica.saw(event))
        noise = [line for line in replica.noise if status == 0 or "Sanitizer" in line or "runtime error" in line]
        assert not noise, replica.story()
        replica.kill()
        self.stage.replicas.remove(replica)

    def deploy(self):
        """The next version as soon as the present one is there, or does not come for too long."""
        with open(self.stage.journal.path) as lines:
            while not self.calm.wait(self.random.uniform(0.2, 1)):
                till = time.monotonic() + 20
                while not any(f"there:{self.target} " in line for line in lines) and time.monotonic() < till:
                    self.calm.wait(0.1)
                self.version += 1
                self.target = f"v{self.version}"

    # faults to replicas; each holds the lock of what it breaks and lets go when it is whole again

    def kill_container(self, slot):
        self.note("container killed")
        processes.end_marked(slot.replica.mark)

    def kill_lockstep(self, slot):
        self.note("lockstep killed")
        slot.replica.process.send_signal(signal.SIGKILL)

    def stop_container(self, slot):
        self.note("container stopped")
        slot.replica.process.send_signal(signal.SIGTERM)

    def freeze_lockstep(self, slot):
        seconds = self.random.uniform(0.2, 4 * LEASE)
        process = slot.replica.process
        self.note("lockstep frozen", seconds)
        process.send_signal(signal.SIGSTOP)
        time.sleep(seconds)
        process.send_signal(signal.SIGCONT)

    def freeze_container(self, slot):
        """Longer than the lease, or so short that nothing comes of it. Thawed by a real engine a command may live on for some
        milliseconds, until the leash has killed it; here the leash goes first, so that any later sign of life is a mistake."""
        seconds = self.random.choice((self.random.uniform(0.1, 0.4), self.random.uniform(LEASE + 1, 2 * LEASE)))
        replica, frozen = slot.replica, set()
        self.note("container frozen", seconds)
        while new := set(replica.tree()) - frozen:
            for pid in sorted(new):
                self.signal(pid, signal.SIGSTOP)
            frozen |= new
        time.sleep(seconds)
        own = {pid for pid in frozen if self.is_lockstep(pid, replica)}
        for pid in sorted(own):
            self.signal(pid, signal.SIGCONT)
        if seconds > LEASE and len(own) > 1:
            eventually(lambda: not (frozen - own) & set(replica.tree()), 20, "the leash has killed what was frozen for too long")
        for pid in sorted(frozen - own):
            self.signal(pid, signal.SIGCONT)

    def is_lockstep(self, pid, replica):
        """Lockstep or the leash, its child. What the leash has forked is not, even if it still is that program."""
        try:
            with open(f"/proc/{pid}/stat") as stat:
                parent = int(stat.read().rpartition(")")[2].split()[1])
            return replica.pid in (pid, parent) and os.readlink(f"/proc/{pid}/exe") == str(self.stage.lockstep)
        except OSError:
            return False

    @staticmethod
    def signal(pid, sig):
        try:
            os.kill(pid, sig)
        except ProcessLookupError:
            pass

    # faults to the network

    def cut_link(self, link):
        seconds = self.random.uniform(0.2, 2 * LEASE)
        requests, replies = self.random.choice(((True, True), (True, False), (False, True)))
        self.note(f"link cut ({'requests' * requests}{' and ' * (requests and replies)}{'replies' * replies})", seconds)
        link.cut(requests, replies)
        time.sleep(seconds)
        link.heal()

    def close_connections(self):
        self.note("connections closed")
        self.server.admin.client_kill_filter(_type="normal", skipme=True)
        self.server.admin.client_kill_filter(_type="pubsub", skipme=True)

    # faults to the server

    def await_migration(self):
        """For what matters only while somebody holds the lock; if nobody does for long, it is done all the same."""
        till = time.monotonic() + 5
        while time.monotonic() < till and not any(slot.migrates() for slot in self.slots):
            time.sleep(0.05)

    def flush(self):
        self.await_migration()
        self.note("all flushed")
        self.server.admin.flushall()

    def forget_lock(self):
        self.await_migration()
        self.note("lock deleted")
        self.gate.client().delete(self.gate.key("lock"))

    def flush_scripts(self):
        self.note("scripts flushed")
        self.server.admin.script_flush()

    def pause_clients(self):
        seconds = self.random.uniform(0.2, 2)
        self.note("clients paused", seconds)
        self.server.admin.client_pause(int(seconds * 1000))
        time.sleep(seconds)

    def run_slow_script(self):
        seconds = self.random.uniform(0.2, 2)
        self.note("slow script", seconds)
        self.server.admin.eval(BUSY, 0, int(seconds * 1000))

    def freeze_server(self):
        seconds = self.random.uniform(0.2, 2 * LEASE)
        self.note("server frozen", seconds)
        self.server.pause()
        time.sleep(seconds)
        self.server.resume()

    def restart_server(self):
        sig = self.random.choice((signal.SIGTERM, signal.SIGKILL))
        self.note(f"server restarted ({sig.name})")
        self.server.restart(sig)

    def restart_forgetting(self):
        self.note("server restarted without its memory")
        self.server.kill()
        shutil.rmtree(self.server.directory / "appendonlydir")
        self.server.start()

    def restart_with_old_memory(self):
        """Its last writes were never on disk."""
        seconds = self.random.uniform(0.2, 2)
        kept, memory = self.server.directory / "kept", self.server.directory / "appendonlydir"
        shutil.copytree(memory, kept)
        time.sleep(seconds)
        self.note("server restarted without its last writes", seconds)
        self.server.kill()
        shutil.rmtree(memory)
        kept.rename(memory)
        self.server.start()

    # the whole

    def faults_of(self):
        """(weight, fault, what it breaks). What makes the gate dirty is rarer than what does not: nothing would ever be migrated if
        everybody waited out a quarantine all the time."""
        slot, link, server = self.pick_slot, self.pick_link, self.pick_server
        return [
            (6, self.kill_container, slot), (6, self.kill_lockstep, slot), (5, self.stop_container, slot),
            (4, self.freeze_lockstep, slot), (4, self.freeze_container, slot),
            (4, self.cut_link, link), (4, self.close_connections, server),
            (1, self.flush, server), (3, self.forget_lock, server), (2, self.flush_scripts, server),
            (1, self.pause_clients, server), (1, self.run_slow_script, server), (1, self.freeze_server, server),
            (1, self.restart_server, server), (1, self.restart_forgetting, server), (1, self.restart_with_old_memory, server),
        ]

    def pick_slot(self):
        """Half of the time the one that migrates, because the others have little to lose."""
        winners = [slot for slot in self.slots if slot.migrates()]
        slot = self.random.choice(winners if winners and self.random.random() < 0.5 else self.slots)
        return slot.breaking, (slot,)

    def pick_link(self):
        link = self.random.randrange(len(self.links))
        return self.at_links[link], (self.links[link],)

    def pick_server(self):
        return self.at_server, ()

    def break_something(self, faults):
        _, fault, pick = self.random.choices(faults, [weight for weight, _, _ in faults])[0]
        lock, arguments = pick()
        if lock.acquire(blocking=False):
            self.faults.append(threading.Thread(target=self.breaking, args=(fault, arguments, lock), daemon=True))
            self.faults[-1].start()

    def breaking(self, fault, arguments, lock):
        try:
            fault(*arguments)
        except BaseException as error:
            self.errors.append(error)
        finally:
            lock.release()

    def run(self):
        deployer = threading.Thread(target=self.deploy, daemon=True)
        for thread in (*self.slots, deployer):
            thread.start()
        eventually(lambda: all(slot.replica for slot in self.slots), what="every slot has a replica")
        faults = self.faults_of()
        while time.monotonic() - self.began < SECONDS and not self.errors:
            time.sleep(self.random.uniform(0.2, 2))
            self.break_something(faults)
        for fault in self.faults:
            fault.join(60)
        self.calm.set()
        for thread in (*self.slots, deployer):
            thread.join(ENDS + 30)
            assert not thread.is_alive(), "it does not come to an end"
        if self.errors:
            raise self.errors[0]

    def finish(self):
        """Nothing breaks any more: a last version comes, and everybody starts."""
        replicas = [self.start("last", {}, slot.url, slot.inside) for slot in self.slots]
        for replica in replicas:
            replica.expect_exit(0, ENDS)
        assert len(self.stage.journal.entries("app:last")) == len(replicas)

    def assert_promises_kept(self):
        journal = self.stage.journal
        journal.assert_no_overlap()
        tokens = [int(command.token) for command in journal.commands()]
        assert all(a < b for a, b in zip(tokens, tokens[1:])), f"tokens did not grow: {tokens}"
        there = {}
        for entry in journal.entries():
            kind, _, version = entry.key.partition(":")
            if kind == "there":
                there.setdefault(version, entry.at)
            elif kind == "app":
                assert there.get(version, entry.at) < entry.at, f"an app started before {version} was there"


@pytest.mark.parametrize("what", ["flushed", "restored"])
def test_tokens_grow_over_what_is_forgotten(redises, new_stage, what):
    """Cases 27, 29: more locks than seconds, then everything is flushed, or the server comes back as it was before them."""
    server = redises(appendonly="yes")
    stage = new_stage(server.gate())
    memory, kept = server.directory / "appendonlydir", server.directory / "kept"
    stage.start(verb="migrate", target="v0").expect_exit(0)
    shutil.copytree(memory, kept)
    for n in range(1, 12):
        stage.start(verb="migrate", target=f"v{n}").expect_exit(0)
    if what == "flushed":
        server.admin.flushall()
    else:
        server.kill()
        shutil.rmtree(memory)
        kept.rename(memory)
        server.start()
    stage.start(verb="migrate", target="last").expect_exit(0)
    tokens = [int(command.token) for command in stage.journal.commands()]
    assert len(tokens) == 13 and tokens == sorted(set(tokens)), tokens


def test_soak(redises, new_stage, made):
    """Never two commands alive at once, tokens only grow, nobody starts before a success, every replica ends."""
    links = [made.add(link, link.close) for link in (Link(), Link())]
    server = redises(listen=("127.0.0.1", *(link.near for link in links)), appendonly="yes", busy_reply_threshold=300)
    stage = new_stage(server.gate())
    soak = Soak(stage, stage.database, links)
    try:
        soak.run()
        soak.finish()
        soak.assert_promises_kept()
        assert soak.seen["takeover"] + soak.seen["lost"] and len(stage.journal.commands()) > 1, "nothing was broken that matters"
    except BaseException:
        print(f"SOAK_SEED={SEED} SOAK_SECONDS={SECONDS:g}", *soak.diary, sep="\n")
        raise
    finally:
        soak.calm.set()
        print(f"{SECONDS:g} s with seed {SEED}: broken {sum(soak.done.values())} {dict(soak.done)}; seen {dict(soak.seen)}; "
              f"{len(stage.journal.commands())} commands, {len(stage.journal.ends())} ended well, {len(stage.journal.entries('fail'))} failed; "
              f"{soak.version} versions")
