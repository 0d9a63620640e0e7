"""One private dockerd: its own data, socket, bridge and addresses, so that it meets no other daemon of the machine.

It outlives whoever started it; the next one finds it running. Its data stays in the cache, so that the next start is warm."""

import contextlib
import fcntl
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

REPOSITORY = pathlib.Path(__file__).parents[3]
CACHE = pathlib.Path(os.environ.get("LOCKSTEP_CACHE") or
                     pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "lockstep").absolute()
HOME = CACHE / "engine"
RUN = pathlib.Path("/run/lockstep-engine")
SOCKET = RUN / "docker.sock"
PIDFILE = RUN / "docker.pid"
LOG = HOME / "dockerd.log"
BRIDGE, BRIDGE_ADDRESS, POOL = "lockstep0", "10.213.0.1/24", "10.214.0.0/16"
DOCKERD = "/usr/sbin/dockerd"
PACKAGES = ("docker.io", "iptables", "iproute2", "debootstrap")
PLUGINS = ("docker-compose", "docker-buildx")
START_TIMEOUT = STOP_TIMEOUT = 60


class EngineError(Exception):
    """One line for people: what failed, and why."""


def say(text):
    print(f"lockstep engine: {text}", file=sys.stderr, flush=True)


def run(*command, why, **settings):
    """Runs a command to its end; answers with its output. `why` says in an error what it was for."""
    try:
        done = subprocess.run([str(word) for word in command], stdin=subprocess.DEVNULL if "input" not in settings else None,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **settings)
    except OSError as error:
        raise EngineError(f"{why}: {error}") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or f"exit status {done.returncode}").splitlines()[-1]
        raise EngineError(f"{why}: {last}")
    return done.stdout


@contextlib.contextmanager
def locked(name):
    """Callers side by side take turns."""
    HOME.mkdir(parents=True, exist_ok=True)
    with open(HOME / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def environment():
    """What the docker client needs to reach this daemon, with Debian's client first in PATH: there may be others."""
    return {
        "DOCKER_HOST": f"unix://{SOCKET}",
        "DOCKER_CONFIG": str(HOME / "config"),
        "DOCKER_BUILDKIT": "1",
        "BUILDKIT_PROGRESS": "plain",
        "PATH": f"{HOME / 'bin'}:{os.environ.get('PATH', '/usr/sbin:/usr/bin:/sbin:/bin')}",
    }


def client_environment():
    """The whole environment of a docker client: what this process has may not lead it to another daemon."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_", "BUILDX_"))}
    return {**inherited, **environment()}


def answers():
    """Its version, if it runs and answers."""
    with contextlib.suppress(EngineError):
        return run("/usr/bin/docker", "version", "--format", "{{.Server.Version}}", why="docker version", env=client_environment()).strip()
    return None


def pid():
    """The running daemon's, or None. A pid file may be left over from before a reboot, and its number be another's now."""
    with contextlib.suppress(OSError, ValueError):
        number = int(PIDFILE.read_text())
        if os.readlink(f"/proc/{number}/exe") == DOCKERD:
            return number
    return None


def install():
    run(REPOSITORY / "docker" / "need.sh", *PACKAGES, why="installing the engine")
    plugins = run(REPOSITORY / "docker" / "trixie.sh", *PLUGINS, why="fetching compose and buildx").strip()
    for folder in ("bin", "config"):
        (HOME / folder).mkdir(parents=True, exist_ok=True)
    write(HOME / "config" / "config.json", json.dumps({"cliPluginsExtraDirs": [f"{plugins}/bin"]}))
    if not (HOME / "bin" / "docker").is_symlink():
        (HOME / "bin" / "docker").symlink_to("/usr/bin/docker")


def write(path, text):
    """Replaces a file at once: others may be reading it."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


def uplink_mtu():
    """What the way out carries; a larger packet of a container would vanish on some networks."""
    for line in pathlib.Path("/proc/net/route").read_text().splitlines()[1:]:
        device, destination = line.split()[:2]
        if destination == "00000000":
            return int(pathlib.Path(f"/sys/class/net/{device}/mtu").read_text())
    return 1500


def make_bridge(mtu):
    if not pathlib.Path(f"/sys/class/net/{BRIDGE}").exists():
        run("ip", "link", "add", BRIDGE, "mtu", mtu, "type", "bridge", why=f"making the bridge {BRIDGE}")
        run("ip", "address", "add", BRIDGE_ADDRESS, "dev", BRIDGE, why=f"giving {BRIDGE} its address")
    run("ip", "link", "set", BRIDGE, "up", why=f"raising {BRIDGE}")


def settings(mtu):
    return {
        "data-root": str(HOME / "data"),
        "exec-root": str(RUN / "exec"),
        "pidfile": str(PIDFILE),
        "hosts": [f"unix://{SOCKET}"],
        "bridge": BRIDGE,
        "mtu": mtu,
        "default-address-pools": [{"base": POOL, "size": 24}],
        "shutdown-timeout": 5,
    }


def last_words():
    """The line that says why it ended: dockerd's own is not one of its log lines."""
    lines = LOG.read_text(errors="replace").strip().splitlines()
    own = [line for line in lines if not line.startswith("time=")]
    return (own or lines or ["it said nothing"])[-1]


def start():
    """Starts the daemon unless it runs; answers with its DOCKER_HOST."""
    if os.geteuid() != 0:
        raise EngineError("dockerd needs root")
    with locked("start"):
        if not (pid() and answers()):
            install()
            wait_answer(None if pid() else launch())
    return environment()["DOCKER_HOST"]


def launch():
    """Answers with the process."""
    mtu = uplink_mtu()
    RUN.mkdir(mode=0o755, exist_ok=True)  # what is in it may belong to a containerd that outlived a killed dockerd, and be taken over
    PIDFILE.unlink(missing_ok=True)
    make_bridge(mtu)
    write(HOME / "daemon.json", json.dumps(settings(mtu), indent=1))
    with open(LOG, "w") as log:
        # A session of its own, and every descriptor but the log closed: it shall live on when its starter is gone.
        return subprocess.Popen([DOCKERD, "--config-file", str(HOME / "daemon.json")], cwd="/", start_new_session=True,
                                stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def wait_answer(process):
    """`process` is what we have started, if we have."""
    deadline = time.monotonic() + START_TIMEOUT
    while not answers():
        if process and process.poll() is not None or time.monotonic() > deadline:
            raise EngineError(f"dockerd did not start: {last_words()} (log: {LOG})")
        time.sleep(0.1)


def stop():
    with locked("start"):
        number = pid()
        if number:
            os.kill(number, signal.SIGTERM)
            deadline = time.monotonic() + STOP_TIMEOUT
            while pid() == number:
                if time.monotonic() > deadline:
                    raise EngineError(f"dockerd (pid {number}) does not end; log: {LOG}")
                time.sleep(0.1)
        if pathlib.Path(f"/sys/class/net/{BRIDGE}").exists():
            run("ip", "link", "delete", BRIDGE, why=f"removing {BRIDGE}")


def docker(*words, why=None, **settings):
    return run("/usr/bin/docker", *words, why=why or f"docker {words[0]}", env=client_environment(), **settings)
