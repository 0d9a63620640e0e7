"""--init: the app gets what lockstep got, the resident keeps nothing and needs next to nothing."""
import os
import signal
import subprocess
from pathlib import Path

import pytest

from inits import PID1, app_of, init, inits, resident, status_line  # noqa: F401 (fixtures)
from pidns import CHECKOUT, Gate, Probe, base_env, sanitized, tool, door, spawn  # noqa: F401 (fixtures)
from test_process_exec import ODD, STATES, sanitizer_env

PROBE = tool("probe")
SIGCONF = ["--ignore", "22", "--ignore", "11", "--ignore", "2", "--block", "21", "--block", "4", "--block", "15"]
RELEASE = CHECKOUT / "build/lockstep"
CLOSED = [(0,), (1,), (2,), (0, 1, 2)]


def env():
    """AddressSanitizer handles SEGV and its like itself, so that they cannot stay ignored."""
    settings = base_env()
    if sanitized():
        settings["ASAN_OPTIONS"] += ":handle_segv=0:handle_sigill=0"
    return settings


def closing(which):
    return [word for fd in which for word in ("--close", str(fd))]


def probe_plain(spawn, tmp_path, **spawning):
    out = tmp_path / "plain"
    assert spawn([PROBE, "-o", out], **spawning).wait() == 0
    return Probe.read(out)


def probe_under(start, tmp_path, **spawning):
    out = tmp_path / "under"
    replica = start([PROBE, "-o", out], **spawning)
    assert replica.wait() == 0, replica.log()
    return Probe.read(out)


# --- what the app gets ------------------------------------------------------------------------------------------

@pytest.mark.parametrize("launch", [*STATES.values(), SIGCONF], ids=[*STATES, "sigconf"])
def test_process_state_survives(launch, inits, spawn, tmp_path):
    """Demand B, tini's sigconf (ignored TTOU, SEGV, INT and blocked TTIN, ILL, TERM survive into the child): masks, ignored
    signals, descriptors, cwd, umask, limits: those of a plain exec, but for a process group of its own (and no session)."""
    launch = [*launch, "--fd", "7", str(tmp_path / "seven")]
    plain = probe_plain(spawn, tmp_path, launch=launch, env=env())
    under = probe_under(lambda *a, **k: inits("lockstep", *a, **k), tmp_path, launch=launch, env=env())
    different = under.same_as(plain)
    own = {"leads-group": ("1", plain.facts["leads-group"]), "leads-session": ("0", plain.facts["leads-session"])}
    assert different == {key: value for key, value in own.items() if value[0] != value[1]}
    assert set(under.fds) == {0, 1, 2, 7}
    assert under.facts["children"] == "none"


def test_same_signals_as_under_tini(inits, tmp_path):
    """sigconf side by side: what the app sees under both is the same in every fact."""
    ours = probe_under(lambda *a, **k: inits("lockstep", *a, **k), tmp_path, launch=SIGCONF, env=env())
    theirs = probe_under(lambda *a, **k: inits("tini", *a, **k), tmp_path, launch=SIGCONF, env=env())
    assert ours.same_as(theirs) == {}


@pytest.mark.parametrize("which", CLOSED, ids=["stdin", "stdout", "stderr", "all"])
def test_closed_standard_descriptors(which, inits, spawn, tmp_path):
    """Demand E, 2.13: closed at the start, closed for the app; nothing of ours lands there. (tini ends with 1 if standard
    input is closed.)"""
    plain = probe_plain(spawn, tmp_path, launch=closing(which))
    under = probe_under(lambda *a, **k: inits("lockstep", *a, **k), tmp_path, launch=closing(which))
    assert under.same_as(plain) == {"leads-group": ("1", "0")}


@pytest.mark.parametrize("way", ["fast-path", "migrated"])
def test_environment(way, inits, spawn, tmp_path):
    """Byte for byte what lockstep got, without what it consumed."""
    gate = inits.gate if way == "fast-path" else Gate(tmp_path / "fresh")
    env = [*sanitizer_env(), *ODD]
    out = tmp_path / "probe"
    assert spawn(gate.argv("true", app=[PROBE, "-o", out]), env=[*env, b"LOCKSTEP_INIT=on"]).finish() == 0
    assert Probe.read(out).env == env
    assert Probe.read(out).facts["leads-group"] == "1", "there was a resident"


def test_listen_pid_follows_the_app(inits, tmp_path):
    """2.26: LISTEN_PID names the process that the descriptors are for. If that was lockstep (PID 1 here), it is the app
    now; another's is not touched."""
    for given, expected in ((b"1", None), (b"77", b"77"), (b"11", b"11")):
        env = [*sanitizer_env(), b"PATH=/bin", b"LISTEN_PID=" + given, b"LISTEN_FDS=1", b"Z=1"]
        under = probe_under(lambda *a, **k: inits("lockstep", *a, **k), tmp_path, ns=True, env=env)
        assert under.env == [e if not e.startswith(b"LISTEN_PID=") else b"LISTEN_PID=" + (expected or str(under.pid).encode())
                             for e in env]
        assert under.pid != 1


# --- what the resident keeps ------------------------------------------------------------------------------------

@PID1
def test_resident_keeps_nothing(ns, inits, tmp_path):
    """2.26: no descriptor (not even a standard one: whoever waits for the end of the app's output is not kept waiting), the
    root as its directory. The app keeps what it was given."""
    replica = inits("lockstep", ["/bin/sleep", "60"], ns=ns, launch=["--fd", "7", str(tmp_path / "seven"), "--cwd", str(tmp_path)])
    pid, app = resident(replica), app_of(replica)
    assert os.listdir(f"/proc/{pid}/fd") == []
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert status_line(pid, "Threads") == "1" and status_line(pid, "Name") == "lockstep-init"
    assert Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[0] == b"lockstep-init"
    assert "7" in os.listdir(f"/proc/{app}/fd") and os.readlink(f"/proc/{app}/cwd") == str(tmp_path)


def test_end_of_the_output_is_the_apps(inits, door, tmp_path):
    """An app that closes its output: the reader sees the end, though app and resident live on."""
    app = ["sh", "-c", f"exec >&- 2>&-; read x < {door}"]
    replica = inits("lockstep", app)
    for stream in replica.streams:
        stream.join(20)
        assert not stream.is_alive()
    assert replica.alive()
    os.write(door.fd, b"\n")
    assert replica.finish() == 0


def test_environment_of_the_resident(inits):
    """People read /proc/1/environ: it is the app's, without what lockstep consumed."""
    env = base_env(LOCKSTEP_DATABASE="postgres://owner:s3cret@127.0.0.1:1/app", OTHER="kept")
    replica = inits("lockstep", ["/bin/sleep", "60"], ns=True, env=env)
    pid, app = resident(replica), app_of(replica)
    shown = Path(f"/proc/{pid}/environ").read_bytes()
    assert b"OTHER=kept" in shown and b"s3cret" not in shown and b"LOCKSTEP" not in shown
    assert shown == Path(f"/proc/{app}/environ").read_bytes()


# --- what it costs ----------------------------------------------------------------------------------------------

def resident_kb(pid):
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Rss:"))


def test_resident_memory(inits, spawn):
    """The issue: resident memory under 300 kB, of the release binary (whichever is under test), and less than tini's and
    tini-static's. RSS counts the pages of the file that are shared, too."""
    app = ["/bin/sleep", "60"]
    argv = {"lockstep": [RELEASE, *inits.argv("lockstep", app)[1:]], "tini": inits.argv("tini", app),
            "tini-static": ["/usr/bin/tini-static", "-s", "--", *app]}
    used = {}
    for name, words in argv.items():
        replica = spawn(words)
        app_of(replica)
        used[name] = resident_kb(resident(replica) if name == "lockstep" else replica.pid)
    assert used["lockstep"] < 300
    assert used["lockstep"] < min(used["tini"], used["tini-static"]), used


def test_what_runs_before_the_c_library_needs_none():
    """The release's resident calls nobody: a function of the C library might want what is not relocated yet."""
    shown = subprocess.run(["nm", "-u", CHECKOUT / "build/release/entrypoint/resident.o"], capture_output=True, text=True, check=True)
    assert shown.stdout == ""


def test_terminal_signals_of_others_do_not_stop_the_resident(inits, door):
    """TSTP is the app's as well; the resident itself is never stopped by what is forwarded."""
    replica = inits("lockstep", ["/bin/sleep", "60"])
    resident(replica)
    for sig in (signal.SIGTTIN, signal.SIGTTOU, signal.SIGTERM):
        replica.kill(sig)
    assert replica.wait() == 143
