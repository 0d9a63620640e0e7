"""--init: the exit status is the app's, as with tini (pid1.md section 3: tini's own list, demand C)."""
import os
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from inits import PID1, TINI, Inits, app_of, init, inits, resident, strace, traced_env  # noqa: F401 (fixtures)
from pidns import BIN, Gate, actor, base_env, tool, door, spawn  # noqa: F401 (fixtures)

APP = [tool("actor"), "args", "app-started"]


def test_every_exit_code(inits):
    """tini's list, demand C: every exit code from 0 to 255, under both."""
    def run(code):
        app = [tool("actor"), "exit", code]
        return [inits(name, app, ns=True).finish(60) for name in ("lockstep", "tini")]

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(256)))
    assert results == [[code, code] for code in range(256)]


@PID1
@pytest.mark.parametrize("sig", [1, 2, 3, 6, 9, 11, 13, 15, 31, 34, 64])
def test_app_killed_by_a_signal(sig, ns, init):
    """Demand C: 128+n if signal n ended the app."""
    assert init([tool("actor"), "die", sig], ns=ns).finish() == 128 + sig


@pytest.mark.parametrize("app, status", [(["true"], 0), (["false"], 1), (["sh", "-c", "exit 9"], 9)], ids=str)
def test_words_behind_the_dashes(app, status, init):
    assert init(app).finish() == status


def test_second_dashes_are_the_command(init):
    """tini's list: `-- -- true` fails: the command is then `--`."""
    assert init(["--", "true"]).finish() == 127


@PID1
@pytest.mark.parametrize("app, status", [("no-such-program-anywhere", 127), ("/etc", 126)])
def test_command_that_cannot_be_executed(app, status, ns, init):
    """tini's list: 127 for a missing program, 126 for a directory."""
    assert init([app], ns=ns).finish() == status


@PID1
@pytest.mark.parametrize("change, status", [("rm {}", 127), ("chmod -x {}", 126)], ids=["vanishes", "not-executable"])
def test_command_that_breaks_during_the_migration(change, status, ns, tmp_path, spawn):
    """If only the exec itself fails, the child says so, once, and the resident passes its status on."""
    app = tmp_path / "app"
    app.write_bytes(open("/bin/true", "rb").read())
    app.chmod(0o755)
    replica = spawn(Gate(tmp_path / "gate").argv(change.format(app), "--init", app=[app]), ns=ns)
    assert replica.finish() == status
    assert [event["code"] for event in replica.events("error")] == [status]
    assert str(app) in replica.events("error")[0]["message"]


def test_no_process_for_the_app(inits):
    """fork fails: 125 and one line that says what could not be made; nothing hangs."""
    replica = inits("lockstep", APP, env=traced_env(), prefix=strace("?fork,?vfork,clone,?clone3:error=EAGAIN"))
    assert replica.finish() == 125
    assert "LOCKSTEP_INIT" in replica.events("error")[0]["message"] and not replica.out


def test_pipes_are_handed_over(init):
    """tini's list: `echo "exit 3" | init sh`: standard input and output are the app's."""
    reader, writer = os.pipe()
    os.write(writer, b"echo said; exit 3\n")
    os.close(writer)
    replica = init(["sh"], stdin=reader)
    os.close(reader)
    assert replica.finish() == 3
    assert replica.out == ["said"]


@pytest.mark.parametrize("verb, app, status", [("migrate", (), 0), ("wait", (), 0), ("check", (), 0), ("wait", APP, 0)],
                         ids=["migrate", "wait", "check", "wait-command"])
def test_other_verbs(verb, app, status, inits, spawn):
    """Without a COMMAND there is nobody to stay with: --init changes nothing. `wait COMMAND` has one."""
    migrate = "true" if verb == "migrate" else None
    replica = spawn(inits.gate.argv(migrate, "--init", verb=verb, app=app))
    assert replica.finish() == status
    assert replica.out == (["[app-started]"] if app else [])


def test_variable(inits, spawn, door):
    """LOCKSTEP_INIT=1 says the same; the app does not see it."""
    app = ["sh", "-c", "echo init=$LOCKSTEP_INIT; exec " + " ".join([tool("actor"), "hold", str(door)])]
    replica = spawn(inits.gate.argv("true", app=app), env=base_env(LOCKSTEP_INIT="1"))
    replica.wait_line("ready")
    assert replica.out[0] == "init=" and app_of(replica)
    door.open()
    assert replica.finish() == 0


def test_without_init_there_is_no_resident(inits, spawn, door):
    """The control: without --init the app is the process that was started, and nobody stays."""
    replica = spawn(inits.gate.argv("true", app=[tool("actor"), "hold", door]))
    assert replica.wait_line("ready") == f"ready {replica.pid}"
    door.open()
    assert replica.finish() == 0


@pytest.mark.parametrize("words", [[], ["x"], ["1"], ["0"], ["-1"], ["99999999999999999999"], ["1", "2"], [""], ["--help"]], ids=str)
def test_resident_started_by_hand(words):
    """`lockstep-init` is no command: without a child to stay with it says so and exits with 64."""
    done = subprocess.run(["lockstep-init", *words], executable=BIN, env=base_env(), capture_output=True, text=True, check=False,
                          timeout=20)
    assert (done.returncode, done.stdout) == (64, "")
    assert done.stderr.startswith("lockstep: error: lockstep-init ") and done.stderr.count("\n") == 1


def test_other_names_are_lockstep(tmp_path):
    """Only the exact word is the resident's: a link of that name is lockstep as ever."""
    (tmp_path / "lockstep-init").symlink_to(BIN)
    for name in (str(tmp_path / "lockstep-init"), "lockstep-ini", "lockstep-init2", ""):
        done = subprocess.run([name, "--version"], executable=BIN, env=base_env(), capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout[:9]) == (0, "lockstep "), name


@pytest.mark.parametrize("rule, becomes", [("execve:error=ENOENT:when=2", b"/lockstep"), ("close_range:error=ENOSYS", b"lockstep-init")], ids=["no-proc", "old-kernel"])
def test_without_what_the_kernel_may_lack(rule, becomes, inits, door):
    """No /proc to execute oneself from: the same loop in place. A kernel before 5.9: descriptors are closed one by one."""
    replica = inits("lockstep", [tool("actor"), "hold", door, 7], env=traced_env(), prefix=strace(rule, "-D"))
    replica.wait_line("ready")
    resident(replica)
    with open(f"/proc/{replica.pid}/cmdline", "rb") as file:
        assert file.read().split(b"\0")[0].endswith(becomes)
    assert os.listdir(f"/proc/{replica.pid}/fd") == []
    door.open()
    assert replica.finish() == 7
