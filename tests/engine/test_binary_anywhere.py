"""The published binary in every kind of image and container (pid1.md, demand F): in each, replicas that start together migrate
once, and each becomes the app."""

import json
import os
import secrets
import signal

import pytest

from harness import daemon, hosts
from harness.container import Container
from harness.daemon import docker
from harness.replica import Replica
from harness.waiting import PATIENCE, eventually

QUICK = 0.5  # seconds that an idle waiter may take to end, beside what the engine itself takes
PID_MODES = ["plain", "init", "host-pids", "shared-pids"]
# What the kernel holds of a process and an exec passes on. NSpid is how many pid namespaces deep it is.
KEPT = ("Uid", "Gid", "Groups", "Umask", "SigBlk", "SigIgn", "SigCgt", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb", "NoNewPrivs",
        "Seccomp")


def new_name():
    return f"lsanywhere-{os.getpid()}-{secrets.token_hex(4)}"


@pytest.fixture(scope="module")
def pid_owner():
    """A container whose pid namespace others share: as in a pod, somebody else is PID 1."""
    name = new_name()
    docker("run", "--detach", "--name", name, "--init", "--entrypoint", "sleep", hosts.image("alpine"), "infinity")
    yield name
    docker("rm", "--force", name)


class Ground:
    """Where the replicas of one test meet, and a way to start them."""

    def __init__(self, folder, pid_owner):
        self.folder, self.pid_owner, self.started = folder, pid_owner, []
        (folder / "gate").mkdir()
        for each in (folder, folder / "gate"):
            each.chmod(0o1777)  # any user's

    def words(self, image, mode, *words, name=None, more=()):
        """docker run's words for a container named `name`."""
        name = name or new_name()
        self.started.append(name)
        options = [option.format(pid=self.pid_owner) for option in hosts.MODES[mode]]
        return ["run", "--name", name, "--volume", f"{self.folder}:/ground", "--env", "LOCKSTEP_LOG_FORMAT=json",
                "--env", "LOCKSTEP_LOCK=file:/ground/gate", "--env", "LOCKSTEP_TARGET=v1", *options, *more, image, *words]

    def attach(self, image, mode, *words, **settings):
        """A container that the test watches to its end."""
        return Replica(["/usr/bin/docker", *self.words(image, mode, *words, **settings)], daemon.client_environment(), mode)

    def detach(self, image, mode, *words, **settings):
        run, *rest = self.words(image, mode, *words, **settings)
        return Container(docker(run, "--detach", *rest).strip())

    def close(self):
        if self.started:
            docker("rm", "--force", *self.started)


@pytest.fixture
def ground(tmp_path, pid_owner):
    ground = Ground(tmp_path, pid_owner)
    yield ground
    ground.close()


@pytest.fixture(scope="module")
def held_ground(tmp_path_factory, pid_owner):
    """One where a migration goes on and on."""
    ground = Ground(tmp_path_factory.mktemp("held"), pid_owner)
    ground.detach(hosts.image("alpine"), "plain", "migrate", "--migrate", "echo ready; sleep infinity").wait_event("output", line="ready")
    yield ground
    ground.close()


# ---- migrating once, becoming the app ----------------------------------------------------------------------------------

@pytest.mark.parametrize("base, mode", [("scratch", mode) for mode in hosts.MODES] +
                         [(base, mode) for base in ("distroless", "alpine", "debian") for mode in ("plain", "locked-down")])
def test_two_replicas_migrate_once(ground, base, mode):
    """No shell, no file to write outside the gate's directory, no libc of the image: command and app are the binary itself."""
    image = hosts.image(base)
    pair = [ground.attach(image, mode, "--migrate", '["/lockstep", "schema"]', "--", "/lockstep", "--version") for _ in range(2)]
    for replica in pair:
        replica.expect_exit(0)
        assert replica.stdout.startswith("lockstep "), replica.story()
    assert sum(len(replica.saw("migrated")) for replica in pair) == 1
    assert len([replica for replica in pair if replica.saw("output")]) == 1, "the command ran in one of them"


@pytest.mark.parametrize("mode", hosts.MODES)
def test_app_is_what_it_would_be_without(ground, mode):
    """User, groups, capabilities, signals and privileges of the app, side by side with a container without lockstep."""
    image = hosts.image("debian")
    plain = ground.attach(image, mode, "/proc/self/status", more=["--entrypoint", "cat"])
    behind = ground.attach(image, mode, "--migrate", "true", "--", "cat", "/proc/self/status")
    for replica in (plain, behind):
        replica.expect_exit(0)
    status, expected = (dict(line.split(":\t", 1) for line in replica.out if ":\t" in line) for replica in (behind, plain))
    assert set(KEPT) <= set(expected)
    assert {field: status[field] for field in KEPT} == {field: expected[field] for field in KEPT}
    if mode in ("plain", "read-only"):
        assert status["Pid"] == "1"


@pytest.mark.parametrize("mode", PID_MODES)
def test_nothing_of_the_migration_is_left(ground, mode):
    """PID 1 or not, what the command leaves behind is gone before the app starts."""
    container = ground.attach(hosts.image("alpine"), mode, "--migrate", "sleep 1000 & echo $! >/ground/left",
                              "--", "sh", "-c", "! kill -0 $(cat /ground/left)")
    container.expect_exit(0)
    assert (ground.folder / "left").read_text().strip().isdigit()


# ---- stopping ----------------------------------------------------------------------------------------------------------

def end_of(container):
    """Seconds from the engine's signal to the end of the container, by the engine's own clock, and the exit status."""
    now = docker("info", "--format", "{{.SystemTime}}").strip()
    told = docker("events", "--since", "0", "--until", now, "--filter", f"container={container.id}", "--format", "{{json .}}")
    moments = {event["Action"]: event["timeNano"] for event in map(json.loads, told.splitlines())}
    return (moments["die"] - moments["kill"]) / 1e9, container.state()["ExitCode"]


@pytest.mark.parametrize("mode, stop_signal", [(mode, "SIGTERM") for mode in PID_MODES + ["locked-down"]] + [("plain", "SIGQUIT")])
def test_stop_of_an_idle_waiter(held_ground, mode, stop_signal):
    obedient = "trap 'exit 0' TERM; echo ready; sleep infinity & wait"
    trivial = held_ground.detach(hosts.image("alpine"), mode, "-c", obedient, more=["--entrypoint", "sh"])
    eventually(lambda: "ready" in trivial.log.stdout, what="its handler is set")
    docker("stop", trivial.id)
    engine_itself, _ = end_of(trivial)
    waiter = held_ground.detach(hosts.image("scratch", f"STOPSIGNAL {stop_signal}"), mode, "wait")
    waiter.wait_event("waiting")
    docker("stop", waiter.id)
    took, status = end_of(waiter)
    assert status == 128 + signal.Signals[stop_signal]
    assert took < engine_itself + QUICK


@pytest.mark.parametrize("mode", PID_MODES)
def test_stopsignal_reaches_the_migration(ground, mode):
    """STOPSIGNAL SIGQUIT: the command gets a QUIT, ends in order, the run counts as interrupted, and the next one needs no quarantine."""
    image = hosts.image("alpine", "STOPSIGNAL SIGQUIT")
    command = "trap 'echo cleaning; exit 3' QUIT; echo ready; while :; do sleep 0.1; done"
    migrating = ground.detach(image, mode, "migrate", "--migrate", command)
    migrating.wait_event("output", line="ready")
    docker("stop", migrating.id)
    assert migrating.wait_end() == 128 + signal.SIGQUIT
    assert migrating.saw("output", line="cleaning") and migrating.saw("interrupted")

    following = ground.attach(image, mode, "migrate", "--migrate", "true")
    following.expect_exit(0)
    assert following.saw("migrated") and not following.saw("quarantine")


@pytest.mark.parametrize("mode", ["host-pids", "shared-pids"])
def test_death_of_lockstep_where_it_is_not_pid_1(ground, mode):
    """No pid namespace ends with it; all the same nothing of the migration outlives it."""
    container = ground.detach(hosts.image("alpine"), mode, "migrate", "--migrate", "trap '' TERM; echo ready; while :; do sleep 0.1; done")
    container.wait_event("output", line="ready")
    lockstep = container.state()["Pid"]
    everybody = [int(pid) for pid in docker("top", container.id, "-eo", "pid").split()[1:]]
    assert lockstep in everybody and len(everybody) >= 3, "lockstep, the leash, the command"
    os.kill(lockstep, signal.SIGKILL)
    eventually(lambda: not [pid for pid in everybody if os.path.exists(f"/proc/{pid}")], what="every process is gone")


# ---- restarting --------------------------------------------------------------------------------------------------------

def test_restart_on_failure(ground):
    """The engine starts it again after a failed migration and after a failed app; what was applied is not applied again."""
    once = "echo $(($(cat /ground/{0} 2>/dev/null || echo 0) + 1)) >/ground/{0}; "
    migration = once.format("migrations") + "test $(cat /ground/migrations) = 2 || exit 9"
    app = once.format("apps") + "test $(cat /ground/apps) = 2 || exit 5"
    container = ground.detach(hosts.image("alpine"), "plain", "--migrate", migration, "--", "sh", "-c", app, more=["--restart", "on-failure:5"])
    eventually(lambda: container.state()["Status"] == "exited", PATIENCE, "the app has ended well")
    assert (container.inspect("{{.RestartCount}}"), container.state()["ExitCode"]) == ("2", 0)
    assert [(ground.folder / name).read_text() for name in ("migrations", "apps")] == ["2\n", "2\n"]
