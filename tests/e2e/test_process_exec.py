"""exec transparency: the app gets exactly what lockstep got.

`probe` prints all that an exec can carry over. Each test runs it twice from the same known state: plainly, and as the
app behind lockstep, on the fast path, after a wait for another replica, and after a migration of its own.
"""
import os
import resource
import signal
import subprocess
from pathlib import Path

import pytest

from pidns import BIN, Door, Probe, actor, base_env, sanitized, tool, door, any_gate as gate, spawn  # noqa: F401 (fixtures)

PROBE = tool("probe")

# Every state that the field lost somewhere: (name, options for launch).
STATES = {
    "plain": [],
    "blocked-signals": [w for s in ("SIGTTIN", "SIGTERM", "SIGCHLD", "SIGUSR1", "SIGPIPE")
                        for w in ("--block", str(int(getattr(signal, s))))],
    "ignored-signals": [w for s in ("SIGHUP", "SIGTTOU", "SIGPIPE", "SIGQUIT", "SIGUSR2")
                        for w in ("--ignore", str(int(getattr(signal, s))))],
    "ignored-sigchld": ["--ignore", str(int(signal.SIGCHLD))],
    "realtime-signals": ["--block", "34", "--ignore", "40", "--block", "64"],
    "surroundings": ["--umask", "027", "--nice", "5", "--cwd", "/usr/share", "--nofile", "64", "--setsid"],
}
WAYS = ["fast-path", "waited", "migrated", "wait-verb"]


def run_probe(way, gate, spawn, tmp_path, launch, probe_args=(), options=(), env=None):
    """Run the probe behind lockstep in one of the ways; returns (its Probe, the replica)."""
    out = tmp_path / "behind.probe"
    app = [PROBE, "-o", out, *probe_args]
    if way == "migrated":
        replica = spawn(gate.argv(actor("exit", 0), *options, app=app), launch=launch, env=env)
    elif way == "waited":
        door = Door(tmp_path)
        holder = spawn(gate.argv(actor("hold", door), verb="migrate"))
        holder.wait_output("ready")
        replica = spawn(gate.argv("true", *options, app=app), launch=launch, env=env)
        replica.wait_event("waiting")
        door.open()
        assert holder.finish() == 0
    else:
        gate.satisfy()
        verb = "wait" if way == "wait-verb" else None
        replica = spawn(gate.argv(None if verb else "true", *options, verb=verb, app=app), launch=launch, env=env)
    assert replica.finish() == 0, replica.log()
    if way == "migrated":
        assert replica.events("migrated")
    elif way == "waited":
        assert not replica.events("migrating")
    return Probe.read(out), replica


def plain_probe(spawn, tmp_path, launch, probe_args=(), env=None):
    out = tmp_path / "plain.probe"
    replica = spawn([PROBE, "-o", out, *probe_args], launch=launch, env=env)
    assert replica.finish() == 0, replica.log()
    return Probe.read(out)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("state", STATES)
def test_process_state_survives(state, way, gate, spawn, tmp_path):
    """pid1.md demand B: SigBlk, SigIgn, SigCgt, descriptors with their flags, cwd, umask, limits, nice, session and
    group, subreaper, death signal, timers, capabilities, pending children: equal to a plain exec, on every way."""
    launch = [*STATES[state], "--fd", "7", str(tmp_path / "seven")]
    plain = plain_probe(spawn, tmp_path, launch)
    behind, replica = run_probe(way, gate, spawn, tmp_path, launch)
    assert behind.same_as(plain) == {}
    assert behind.facts["exe"] == PROBE
    assert behind.pid == replica.pid, "the same PID before and after"
    assert set(behind.fds) == {0, 1, 2, 7}


@pytest.mark.parametrize("way", ["fast-path", "migrated"])
def test_pid_1_stays_pid_1(way, gate, spawn, tmp_path):
    """pid1.md demand B: in a PID namespace the app is PID 1 and /proc/1/exe is the app: nothing of lockstep left."""
    out = tmp_path / "out"
    if way == "fast-path":
        gate.satisfy()
    script = f"readlink /proc/1/exe > {out}; echo $$ >> {out}; set -- /proc/[0-9]*; echo $# >> {out}"
    replica = spawn(gate.argv("true", app=["/bin/sh", "-c", script + "; exit 0"]), ns=True)
    assert replica.finish() == 0
    exe, pid, processes = out.read_text().split()
    assert (exe, pid) == (os.path.realpath("/bin/sh"), "1")
    assert processes == "1", "no process of lockstep is left"


def test_inherited_children_survive(gate, spawn, tmp_path, door):
    """DESIGN 5: lockstep reaps everything, but ends nothing that is not the migration's: a child that it was exec'ed
    with is still the app's child afterwards."""
    out = tmp_path / "probe"
    replica = spawn(gate.argv("true", app=[PROBE, "-o", out]), launch=["--child", f"echo here; read x < {door}"])
    replica.wait_line("here")
    assert replica.wait() == 0
    assert Probe.read(out).facts["children"] == "some"
    door.open()


def test_arguments_reach_the_app_byte_for_byte(gate, spawn, tmp_path):
    """pid1.md 2.22: options after the command belong to the command, whatever they look like."""
    gate.satisfy()
    words = ["--name", "-h", "", "a b", "--", "\n", "$HOME", "*", "ü", "--version", "\\"]
    behind, _ = run_probe("fast-path", gate, spawn, tmp_path, [], words)
    assert [a.decode() for a in behind.args[3:]] == words


def test_options_stop_at_the_first_word(gate, spawn, tmp_path):
    """DESIGN 1: options stop at the first non-option, also without `--`."""
    gate.satisfy()
    out = tmp_path / "probe"
    argv = gate.argv("true") + [PROBE, "-o", str(out), "--name", "other", "--help"]
    assert spawn(argv).finish() == 0
    assert Probe.read(out).args[3:] == [b"--name", b"other", b"--help"]


def test_app_is_found_by_path(gate, spawn, tmp_path):
    """DESIGN 1: CMD ["bun","server.js"]: a COMMAND without a slash is looked up in PATH, argv[0] stays as given."""
    gate.satisfy()
    (tmp_path / "first").mkdir()
    (tmp_path / "first" / "my-app").mkdir()  # a directory of that name is not a program: the search goes on
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "my-app").symlink_to(PROBE)
    out = tmp_path / "probe"
    env = base_env(PATH=f"{tmp_path}/nowhere:{tmp_path}/first:{tmp_path}/bin:/usr/bin:/bin")
    assert spawn(gate.argv("true", app=["my-app", "-o", out]), env=env).finish() == 0
    assert Probe.read(out).args[0] == b"my-app"


# --- environment ------------------------------------------------------------------------------------------------

ODD = [b"PATH=/usr/bin:/bin", b"EMPTY=", b"LINES=one\ntwo\n", b"TWICE=1", b"NOEQUALS", b"TWICE=2", b"=odd", b"SPACE= x ",
       b"BYTES=\xff\xfe\x01", b"Z=last=with=equals", b"lockstep_lower=1", b"LOCKSTEPX=1", b"MY_FILE=/etc/hostname",
       b"A=" + b"a" * 40000]


def sanitizer_env():
    return [b"ASAN_OPTIONS=" + base_env()["ASAN_OPTIONS"].encode()] if sanitized() else []


@pytest.mark.parametrize("way", WAYS)
def test_environment_is_byte_for_byte_the_same(way, gate, spawn, tmp_path):
    """pid1.md demand B: odd entries (empty value, newline, duplicate name, no '=', no name, raw bytes, 40 kB) reach
    the app unchanged and in order; what is only like a LOCKSTEP_ name is not touched."""
    env = [*sanitizer_env(), *ODD]
    behind, _ = run_probe(way, gate, spawn, tmp_path, [], env=env)
    assert behind.env == env


def test_consumed_variables_are_removed(gate, spawn, tmp_path):
    """DESIGN 1 (The app sees its own environment): LOCKSTEP_* and *_FILE helpers that lockstep consumed are removed,
    --unset ones too; DATABASE_URL is set from its file; everything else stays, in order."""
    gate.satisfy()
    url = b"postgres://app:t0ps3cret@127.0.0.1:1/app"
    secret = tmp_path / "url"
    secret.write_bytes(url + b"\n\n")
    lock = tmp_path / "lock"
    lock.write_text(gate.url + "\n")
    out = tmp_path / "probe"
    keep = [*sanitizer_env(), *ODD]
    settings = [f"LOCKSTEP_LOCK_FILE={lock}", f"DATABASE_URL_FILE={secret}", "LOCKSTEP_NAME=g", "LOCKSTEP_TARGET=v1",
                "LOCKSTEP_MIGRATE=true", "LOCKSTEP_WAIT_TIMEOUT=1m", "LOCKSTEP_LOG_FORMAT=json",
                "LOCKSTEP_UNSET=MIGRATION_PASSWORD\nADMIN", "MIGRATION_PASSWORD=x", "ADMIN=y", "GONE=z"]
    env = []
    for i, setting in enumerate(settings):  # interleaved, so that a removal that disturbs the order shows
        env += [setting.encode(), *keep[2 * i:2 * i + 2]]
    env += keep[2 * len(settings):]
    replica = spawn([BIN, "--unset", "GONE", "--unset", "MIGRATION_PASSWORD", "--unset", "ADMIN", "--", PROBE, "-o", out],
                    env=env)
    assert replica.finish() == 0, replica.log()
    behind = Probe.read(out)
    assert b"DATABASE_URL=" + url in behind.env
    assert [e for e in behind.env if not e.startswith(b"DATABASE_URL=")] == keep


def test_unset_variable_as_a_list(gate, spawn, tmp_path):
    """DESIGN 1 (Lists): LOCKSTEP_UNSET holds one name a line; the migration still sees them, the app does not."""
    out, seen = tmp_path / "probe", tmp_path / "seen"
    env = base_env(LOCKSTEP_UNSET="ONE\nTWO\n", ONE="1", TWO="2", THREE="3")
    replica = spawn(gate.argv(f"echo $ONE$TWO$THREE > {seen}", app=[PROBE, "-o", out]), env=env)
    assert replica.finish() == 0, replica.log()
    names = {e.partition(b"=")[0] for e in Probe.read(out).env}
    assert seen.read_text() == "123\n"
    assert b"THREE" in names and not names & {b"ONE", b"TWO", b"LOCKSTEP_UNSET"}


def test_database_url_of_the_caller_is_passed_on(gate, spawn, tmp_path):
    """DESIGN 1: DATABASE_URL is passed on, in place and untouched, also in a dialect that is not libpq's."""
    gate.satisfy()
    env = [*sanitizer_env(), b"A=1", b"DATABASE_URL=postgresql://u:p%40@127.0.0.1:1/x?schema=public", b"PATH=/bin"]
    behind, _ = run_probe("fast-path", gate, spawn, tmp_path, [], env=env)
    assert behind.env == env


@pytest.mark.parametrize("name", ["DATABASE_URL_FILE", "REDIS_URL_FILE"])
def test_file_that_was_not_needed_is_not_taken_away(name, gate, spawn, tmp_path):
    """DESIGN 1: helpers "that lockstep consumed" are removed. With LOCKSTEP_DATABASE set (the migration's credentials)
    the app's own NAME_FILE is not read: the app must get it, or its value; else it has lost its database."""
    gate.satisfy()
    url = "postgres://app:t0ps3cret@127.0.0.1:1/app"
    (tmp_path / "url").write_text(url + "\n")
    out = tmp_path / "probe"
    env = base_env(LOCKSTEP_DATABASE="postgres://owner:0ther@127.0.0.1:1/app", **{name: str(tmp_path / "url")})
    assert spawn(gate.argv("true", app=[PROBE, "-o", out]), env=env).finish() == 0
    got = Probe.read(out).env
    assert f"{name}={tmp_path}/url".encode() in got or f"{name[:-5]}={url}".encode() in got


def test_what_the_migration_sees(gate, spawn, tmp_path, door):
    """DESIGN 1 and 5: the command's environment (LOCKSTEP_TOKEN, TARGET, ATTEMPT, PREVIOUS, PGAPPNAME, DATABASE_URL
    from its file), its descriptors (/dev/null, two pipes, none of ours), no blocked signal, and a process group of its
    own. One descriptor may be there with a file gate: the lock's, so that it is free "only when every process of the
    migration is gone" (DESIGN 4), even if lockstep and leash were killed. Variables of an outer lockstep do not win."""
    url = "postgres://app:t0ps3cret@127.0.0.1:1/app"
    (tmp_path / "url").write_text(url + "\n")
    env = base_env(DATABASE_URL_FILE=str(tmp_path / "url"), OTHER="kept", LOCKSTEP_TOKEN="999", LOCKSTEP_ATTEMPT="999",
                   LOCKSTEP_PREVIOUS="outer")
    out = tmp_path / "migration.probe"
    assert spawn(gate.argv(actor("exit", 4), app=["true"]), env=env).finish() == 4
    migrate = f'["{PROBE}", "-o", "{out}", "a b"]'
    replica = spawn(gate.argv(migrate, app=["true"]), env=env)
    assert replica.finish() == 0, replica.log()
    seen = Probe.read(out)
    token = gate.last()["token"]
    values = dict(e.decode().split("=", 1) for e in reversed(seen.env))  # the first one counts, as in getenv
    assert values["LOCKSTEP_TOKEN"] == str(token)
    assert values["LOCKSTEP_TARGET"] == "v1"
    assert values["LOCKSTEP_ATTEMPT"] == "2"
    assert values["LOCKSTEP_PREVIOUS"] == "failed"
    assert values["PGAPPNAME"] == f"lockstep:g:{token}"
    assert values["DATABASE_URL"] == url
    assert values["OTHER"] == "kept"
    assert seen.args[3] == b"a b"
    assert [target for fd, (_, _, target) in seen.fds.items() if fd > 2 and target != f"{gate.dir}/g.lock"] == []
    assert seen.fds[0][2] == "/dev/null"
    assert seen.fds[1][2].startswith("pipe:") and seen.fds[2][2].startswith("pipe:")
    assert int(seen.facts["SigBlk"], 16) == 0 and seen.ignored() == 0
    assert seen.facts["leads-group"] == "1"


def test_pgappname_of_the_user_is_kept(gate, spawn, tmp_path):
    """DESIGN 1: PGAPPNAME=lockstep:NAME:TOKEN unless the user set PGAPPNAME."""
    out = tmp_path / "migration.probe"
    env = base_env(PGAPPNAME="mine")
    assert spawn(gate.argv(f'["{PROBE}", "-o", "{out}"]', app=["true"]), env=env).finish() == 0
    assert [e for e in Probe.read(out).env if e.startswith(b"PGAPPNAME=")] == [b"PGAPPNAME=mine"]


def test_previous_and_attempt_of_the_first_run(gate, spawn, tmp_path):
    """DESIGN 1: LOCKSTEP_PREVIOUS=none and LOCKSTEP_ATTEMPT=1 for the first run of a gate."""
    out = tmp_path / "migration.probe"
    assert spawn(gate.argv(f'["{PROBE}", "-o", "{out}"]', app=["true"])).finish() == 0
    assert {b"LOCKSTEP_PREVIOUS=none", b"LOCKSTEP_ATTEMPT=1"} <= set(Probe.read(out).env)


def test_few_descriptors_are_enough(gate, spawn, tmp_path):
    """pid1.md demand B (RLIMIT_NOFILE 64): a whole migration under a limit of 24 descriptors."""
    replica = spawn(gate.argv(actor("exit", 0), app=[tool("actor"), "args", "up"]), launch=["--nofile", "24"])
    assert replica.finish() == 0, replica.log()
    assert replica.out == ["[up]"]


def test_high_limit_of_descriptors_costs_nothing(gate, spawn):
    """A container with RLIMIT_NOFILE of a million or more: nobody closes them one by one. The bound is generous: a
    loop over them takes seconds under a sanitizer, close_range takes none."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    limit = min(1 << 20, int(Path("/proc/sys/fs/nr_open").read_text()), soft if soft > 0 else 1 << 20)
    replica = spawn(gate.argv(actor("exit", 0), app=["true"]), launch=["--nofile", str(limit)])
    assert replica.finish(10) == 0


def test_no_descriptor_of_ours_behind_a_shell(gate):
    """DESIGN 5 (ours are all CLOEXEC), with a migration in shell form that execs on: but for the lock's (see above)."""
    done = subprocess.run(gate.argv("for fd in /proc/$$/fd/*; do readlink $fd; done; true", verb="migrate", log="text"),
                          env=base_env(), check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0
    said = [line.split("| ", 1)[1] for line in done.stdout.splitlines() if line.startswith("migrate | ")]
    kinds = sorted(line.partition(":")[0] for line in said if line != f"{gate.dir}/g.lock")
    assert kinds == ["/dev/null", "pipe", "pipe"]
