"""Exit statuses: the migration's own, those of signals, and those of programs that cannot be executed."""
import os
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest

from pidns import Gate, actor, base_env, tool, door, gate, spawn  # noqa: F401 (fixtures)

APP = [tool("actor"), "args", "app-started"]
STARTED = ["[app-started]"]


def test_every_exit_code_of_the_migration(tmp_path, spawn):
    """pid1.md demand C: 0 to 255, one run each at a gate of its own name: the status is the migration's own, it is
    what is recorded, and the app starts after 0 only."""
    def run(code):
        gate = Gate(tmp_path / "gate", name=f"g{code}")
        replica = spawn(gate.argv(actor("exit", code), app=APP))
        return code, replica.finish(60), replica.out, gate.last()

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(run, range(256)))
    wrong = [(code, status) for code, status, _, _ in results if status != code]
    assert not wrong
    assert [code for code, _, out, _ in results if out] == [0]
    assert results[0][2] == STARTED
    assert [code for code, _, _, run in results if run["state"] != ("failed" if code else "succeeded")] == []
    assert [code for code, _, _, run in results if code and run["exit_status"] != code] == []


@pytest.mark.parametrize("sig", [1, 2, 3, 6, 9, 11, 15])
@pytest.mark.parametrize("ns", [True, False], ids=["pid1", "not-pid1"])
def test_migration_killed_by_a_signal(sig, ns, gate, spawn):
    """pid1.md demand C: 128+n when a signal ended the migration. Nobody asked lockstep to stop: it failed, and was
    not interrupted."""
    replica = spawn(gate.argv(actor("die", sig), app=APP), ns=ns)
    assert replica.finish() == 128 + sig
    assert not replica.out
    assert (gate.last()["state"], gate.last()["exit_status"]) == ("failed", 128 + sig)


def test_waiter_exits_with_the_status_of_the_run_it_watched(gate, door, spawn):
    """DESIGN 1 (Exit status): replicas that waited for a failing run exit with that run's status."""
    holder = spawn(gate.argv(actor("hold", door, 37), app=APP))
    holder.wait_output("ready")
    waiter = spawn(gate.argv(actor("exit", 0), app=APP))
    waiter.wait_event("waiting")
    door.open()
    assert (holder.finish(), waiter.finish()) == (37, 37)
    assert not holder.out and not waiter.out


@pytest.mark.parametrize("verb", ["migrate", "run"])
def test_shell_form_and_exec_form_agree(verb, tmp_path, spawn):
    """DESIGN 1: a failing shell form has the shell's status, a failing exec form the program's."""
    app = APP if verb == "run" else ()
    for form in ("exit 42", '["/bin/sh", "-c", "exit 42"]'):
        gate = Gate(tmp_path / "gate", name=f"g{len(form)}")
        assert spawn(gate.argv(form, verb=verb, app=app)).finish() == 42


# --- COMMAND ----------------------------------------------------------------------------------------------------

def not_executable(where):
    path = where / "app"
    path.write_text("#!/bin/sh\necho started\n")
    path.chmod(0o644)
    return path


def missing_interpreter(where):
    path = where / "app"
    path.write_text("#!/no/such/interpreter -x\necho started\n")
    path.chmod(0o755)
    return path


def no_magic(where):
    path = where / "app"
    path.write_text("echo started\n")
    path.chmod(0o755)
    return path


def empty_file(where):
    path = where / "app"
    path.write_text("")
    path.chmod(0o755)
    return path


def directory(where):
    path = where / "app"
    path.mkdir()
    return path


def dangling_link(where):
    path = where / "app"
    path.symlink_to(where / "nothing")
    return path


def below_a_file(where):
    (where / "file").write_text("")
    return where / "file" / "app"


# A path below a plain file (ENOTDIR) is 126 for bash and 127 for dash; the contract allows both readings.
BAD = [(not_executable, {126}), (directory, {126}), (no_magic, {126}), (empty_file, {126}), (missing_interpreter, {127}),
       (dangling_link, {127}), (below_a_file, {126, 127}), (lambda where: where / "missing", {127}),
       (lambda where: "no-such-program-anywhere", {127})]


@pytest.mark.parametrize("make, status", BAD, ids=["not-executable", "directory", "no-magic", "empty",
                                                   "missing-interpreter", "dangling-link", "not-a-directory",
                                                   "missing", "not-in-path"])
def test_bad_command_is_found_before_anything_is_migrated(make, status, gate, tmp_path, spawn):
    """pid1.md demand C: 126 (EACCES, directory, ENOEXEC) and 127 (ENOENT, missing interpreter), before the migration:
    otherwise a typo in CMD would migrate production and then crash for ever."""
    marker = tmp_path / "migrated"
    command = make(tmp_path)
    replica = spawn(gate.argv(f"touch {marker}", app=[command]))
    assert replica.finish() in status
    assert not marker.exists()
    assert os.path.basename(command) in replica.events("error")[0]["message"]


def test_bad_command_leaves_no_record(gate, spawn, tmp_path):
    """The same, seen from the record: no run was marked for a COMMAND that cannot be executed."""
    assert spawn(gate.argv("true", app=[tmp_path / "missing"])).finish() == 127
    assert gate.runs() == []


def test_not_in_path_but_not_executable_there(gate, spawn, tmp_path):
    """execvp's rule: found in PATH but not executable is 126, not 127."""
    app = not_executable(tmp_path)
    app.rename(tmp_path / "my-app")
    replica = spawn(gate.argv("true", app=["my-app"]), env=base_env(PATH=f"{tmp_path}:/usr/bin:/bin"))
    assert replica.finish() == 126


def test_command_that_vanishes_during_the_migration(gate, spawn, tmp_path):
    """DESIGN 1: 127 also if the exec itself fails; the migration stays recorded as what it was."""
    app = tmp_path / "app"
    app.symlink_to("/bin/true")
    assert spawn(gate.argv(f"rm {app}", app=[app])).finish() == 127
    assert gate.last()["state"] == "succeeded"


# --- the migration's command ------------------------------------------------------------------------------------

@pytest.mark.parametrize("make, status", BAD, ids=["not-executable", "directory", "no-magic", "empty",
                                                   "missing-interpreter", "dangling-link", "not-a-directory",
                                                   "missing", "not-in-path"])
def test_bad_migrate_command(make, status, gate, tmp_path, spawn):
    """pid1.md demand C, for the migration itself: its command is missing or not executable: 126/127, a message that
    names it, and no app."""
    command = make(tmp_path)
    replica = spawn(gate.argv(f'["{command}"]', app=APP))
    assert replica.finish() in status
    assert not replica.out
    assert os.path.basename(command) in "\n".join(replica.err)


def test_shell_form_of_a_missing_program(gate, spawn):
    """DESIGN 1: the shell's own 127."""
    replica = spawn(gate.argv("no-such-program-anywhere", app=APP))
    assert replica.finish() == 127
    assert not replica.out


def test_failing_migration_never_starts_the_app(gate, spawn, tmp_path):
    """pid1.md demand C: migration fails => app never starts, also with retries in place."""
    count = tmp_path / "count"
    replica = spawn(gate.argv(f"echo x >> {count}; exit 5", "--retries", "2", "--retry-delay", "10ms", app=APP))
    assert replica.finish() == 5
    assert count.read_text() == "x\n" * 3
    assert not replica.out


def test_on_failure_start(gate, spawn):
    """DESIGN 1, --on-failure start: the app is exec'ed although the migration failed; its status counts."""
    replica = spawn(gate.argv("exit 5", "--on-failure", "start", app=[*APP]))
    assert replica.finish() == 0
    assert replica.out == STARTED
    assert gate.last()["state"] == "failed"


def test_migrate_timeout(gate, door, spawn):
    """Exit status 124: the command is stopped after --migrate-timeout, recorded failed with 124; no app."""
    replica = spawn(gate.argv(actor("hold", door), "--migrate-timeout", "200ms", app=APP))
    assert replica.finish() == 124
    assert (gate.last()["state"], gate.last()["exit_status"]) == ("failed", 124)
    assert not replica.out


def test_wait_timeout(gate, door, spawn):
    """Exit status 124: the time at the gate is over while another replica migrates."""
    holder = spawn(gate.argv(actor("hold", door), app=APP))
    holder.wait_output("ready")
    waiter = spawn(gate.argv("true", "--wait-timeout", "300ms", app=APP))
    assert waiter.finish() == 124
    assert not waiter.out and holder.alive()


def test_check_pending_and_there(gate, spawn):
    """Exit status 1 and 0 of `check`."""
    assert spawn(gate.argv(verb="check")).finish() == 1
    gate.satisfy()
    assert spawn(gate.argv(verb="check")).finish() == 0


def test_app_killed_by_a_signal_is_not_our_business(gate, spawn):
    """After exec the status is the app's own: a signal shows as a signal."""
    replica = spawn(gate.argv("true", app=[tool("actor"), "die", int(signal.SIGTERM)]))
    assert replica.finish() == -signal.SIGTERM
