"""--user and --migrate-user: who the app and the command run as. Side by side with gosu, with the same /etc/passwd and
/etc/group (pid1.md section 3, gosu: specs x id + HOME); then what gosu has no part in: a command of another user is
still signalled, ended and recorded."""
import json
import os
import pathlib
import signal
import subprocess
import tempfile

import pytest

from pidns import (BIN, PATH, Door, Probe, actor, base_env, eventually, marked, stat, tool, wait_dead,
                   gate, spawn)  # noqa: F401 (fixtures)

PROBE = tool("probe")
APP = [tool("actor"), "exit", "0"]

PASSWD = """\
root:x:0:0:root:/root:/bin/sh
app:x:1000:1001:The App:/home/app:/bin/sh
plain:x:1003:1003::/home/plain:/usr/sbin/nologin
many:x:1004:1004::/srv/many of them:/bin/sh
lonely:x:1005:4242::/nowhere:/bin/sh

app:x:1010:1010::/home/second:/bin/sh
twin:x:1000:1020::/home/twin:/bin/sh
2000:x:3000:3001::/home/number:/bin/sh
games:x:5:60:games:/usr/games:/usr/sbin/nologin
dotted.name-x_1$:x:1030:1030::/home/dotted:/bin/sh
rooty:x:0:1031::/home/rooty:/bin/sh
last:x:1040:1040::/home/last:/bin/sh
"""
GROUP = """\
root:x:0:root
daemon:x:1:
adm:x:4:root,many
app:x:1001:
users:x:100:many,app,games
docker:x:999:app,root
app:x:1050:twin
7000:x:7001:many
same:x:999:app
games:x:60:
wheel:x:10:app,many,twin,root,
last:x:1040:last
""" + "".join(f"g{i}:x:{6000 + i}:many\n" for i in range(40))

SPECS = ["root", "0", "root:root", "0:0", "root:0", "0:root", "root:1234", "0:1234", "root:app", "app", "1000", "app:app",
         "app:1001", "app:docker", "app:999", "app:root", "app:0", "app:users", "app:54321", "01000", "1000:0100", "plain",
         "plain:users", "plain:1003", "many", "1004", "many:wheel", "many:g7", "lonely", "1005:adm", "twin", "1010", "2000",
         "3000", "2000:7000", "app:7000", "app:7001", "games", "games:daemon", "dotted.name-x_1$", "rooty", "rooty:daemon",
         "last", "4711", "4711:0", "4711:root", "4711:4712", "4711:app", "65534", "2147483647", "2147483647:2147483647"]

NO_USER = {  # spec: what the error names
    "nobody-here": '"nobody-here" is neither a user of /etc/passwd', "app:nobody-here": '"nobody-here" is neither a group of /etc/group',
    "4711:nobody-here": '"nobody-here" is neither a group', "0day": '"0day"', "app:0day": '"0day"', "-1": '"-1"', "app:-1": '"-1"',
    "2147483648": '"2147483648" is neither a user of /etc/passwd nor a number from 0 to 2147483647', "4294967295": "number from 0",
    "4294967296": "number from 0", "99999999999999999999": "number from 0", "app:4294967295": "number from 0",
    "app:99999999999999999999": "number from 0", " app": '" app"', "app ": '"app "', "1e3": '"1e3"',
    "many of them": '"many of them"',
}
STRICTER = {"app:": "lacks the group", ":app": "lacks the user", ":": "lacks the user",  # gosu takes these for "what is there now"
            "app:users:adm": '"users:adm" is neither a group'}  # ... and ignores what is behind a second colon


@pytest.fixture(scope="module")
def etc(root):
    """Puts these files into the place of /etc/passwd and /etc/group, for what runs behind it. `root` is for
    all workers of the test run, and one must not truncate what another's commands are reading."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=root))
    folder.chmod(0o755)
    passwd, group = folder / "passwd", folder / "group"
    passwd.write_text(PASSWD)
    group.write_text(GROUP)
    return inside(f"mount --bind {passwd} /etc/passwd && mount --bind {group} /etc/group")


def inside(mounts):
    return ["/usr/bin/unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", f'{mounts} && exec "$@"', "sh"]


@pytest.fixture
def public(folder):
    """A folder that everybody may write to."""
    folder.chmod(0o777)
    return folder


@pytest.fixture
def door(public):
    """A door that everybody may stand at."""
    door = Door(public)
    os.chmod(door.path, 0o666)
    return door


@pytest.fixture
def done(gate):
    """A gate whose version is there."""
    gate.satisfy()
    return gate


def setpriv(*words):
    return ["/usr/bin/setpriv", *words]


def as_nobody(uid=1000, gid=1001):
    return setpriv(f"--reuid={uid}", f"--regid={gid}", "--clear-groups")


def identity(replica):
    """Who the probe that this has become is: ids, groups, capabilities, HOME."""
    assert replica.finish() == 0, replica.log()
    probe = Probe("\n".join(replica.out))
    homes = [entry for entry in probe.env if entry.startswith(b"HOME=")]
    return {name: probe.facts[name] for name in ("Uid", "Gid", "Groups", "CapPrm", "CapEff", "CapAmb", "CapInh", "CapBnd")}, homes


def error_of(replica, status):
    """The one error of a replica that has never begun."""
    assert replica.finish() == status, replica.log()
    assert not replica.out and not replica.events("migrating") and not replica.events("connecting")
    [error] = [event["message"] for event in replica.events() if event["level"] == "error"]
    return error


# --- as gosu ------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("spec", SPECS)
def test_as_gosu(spec, done, spawn, etc):
    """pid1.md section 3: user, group, supplementary groups, capabilities and HOME are those that gosu gives."""
    ours = identity(spawn(done.argv("true", "--user", spec, app=[PROBE]), wrap=etc))
    assert ours == identity(spawn(["/usr/sbin/gosu", spec, PROBE], wrap=etc))
    assert len(ours[1]) == 1


@pytest.mark.parametrize("spec", [*NO_USER, *STRICTER])
def test_no_such_user(spec, gate, spawn, etc):
    """64 before anything else, and the message names what is wrong. gosu refuses the same, but for a few."""
    assert (NO_USER | STRICTER)[spec] in error_of(spawn(gate.argv("true", "--user", spec, app=APP), wrap=etc), 64)
    assert (NO_USER | STRICTER)[spec] in error_of(spawn(gate.argv("true", "--migrate-user", spec, app=APP), wrap=etc), 64)
    assert (spawn(["/usr/sbin/gosu", spec, "/bin/true"], wrap=etc).finish() == 0) == (spec in STRICTER)


def test_without_files(done, spawn, root):
    """An image from scratch has no /etc/passwd: numbers do, with the group that lockstep has if none is given; names do not."""
    empty = root / "empty-etc"
    empty.mkdir()
    nothing = inside(f"mount --bind {empty} /etc")
    for spec in ("4711:4712", "4711", "0"):
        ours = identity(spawn(done.argv("true", "--user", spec, app=[PROBE]), wrap=nothing))
        assert ours == identity(spawn(["/usr/sbin/gosu", spec, PROBE], wrap=nothing))
        assert ours[1] == [b"HOME=/"]
    assert '"root" is neither a user of /etc/passwd' in error_of(
        spawn(done.argv("true", "--user", "root", app=APP), wrap=nothing), 64)


def test_group_of_root_is_warned_of(done, spawn, etc):
    """A number alone keeps the group that lockstep has: root's, mostly, which may write more than one thinks."""
    def warnings(*options):
        replica = spawn(done.argv("true", *options, app=APP), wrap=etc)
        assert replica.finish() == 0, replica.log()
        return [event["message"] for event in replica.events() if event["level"] == "warning" and "group" in event["message"]]

    [warning] = warnings("--user", "4711")
    assert "--user 4711:GROUP" in warning
    assert len(warnings("--user", "app", "--migrate-user", "4711")) == 1
    for options in (["--user", "4711:0"], ["--user", "4711:4711"], ["--user", "app"], ["--user", "0"], ["--user", "rooty:root"]):
        assert warnings(*options) == []


# --- the rest of the app's state ----------------------------------------------------------------------------------

@pytest.mark.parametrize("migrated", [False, True], ids=["fast-path", "migrated"])
def test_nothing_else_changes(migrated, gate, spawn, etc):
    """pid1.md demand B for an app of another user: the state is that after a plain change of the user, to the last flag."""
    if not migrated:
        gate.satisfy()
    launch = ["--block", "10", "--ignore", "1", "--block", "34", "--umask", "027", "--nofile", "64", "--cwd", "/usr/share"]
    plain = spawn([*setpriv("--reuid=1000", "--regid=1020", "--groups=1050,10"), PROBE], launch=launch, wrap=etc)
    assert plain.finish() == 0
    behind = spawn(gate.argv("true", "--user", "twin", app=[PROBE]), launch=launch, wrap=etc)
    assert behind.finish() == 0, behind.log()
    seen = Probe("\n".join(behind.out))
    assert seen.same_as(Probe("\n".join(plain.out))) == {}
    assert seen.pid == behind.pid and set(seen.fds) == {0, 1, 2}


def test_app_is_pid_1(gate, spawn, etc):
    """The process that becomes the app is the one that was lockstep, also as another user."""
    replica = spawn(gate.argv("true", "--user", "app", app=["/bin/sh", "-c", "echo $$; readlink /proc/1/exe; id -u"]), ns=True,
                    wrap=etc)
    assert replica.finish() == 0, replica.log()
    assert replica.out == ["1", os.path.realpath("/bin/sh"), "1000"]


REGAIN = """
import os
for regain in (lambda: os.setuid(0), lambda: os.seteuid(0), lambda: os.setresuid(0, 0, 0), lambda: os.setgid(0), lambda: os.setgroups([0])):
    try:
        regain()
        print("regained")
    except PermissionError:
        pass
print(os.getresuid(), os.getresgid())
"""


def test_root_cannot_be_regained(gate, spawn, etc):
    """Neither by the app nor by the command: real, effective and saved ids are gone for good."""
    python = ["/usr/bin/python3", "-c", REGAIN]
    replica = spawn(gate.argv(json.dumps(python), "--user", "app", app=python), wrap=etc)
    assert replica.finish() == 0, replica.log()
    gone = "(1000, 1000, 1000) (1001, 1001, 1001)"
    assert replica.out == [gone]
    assert [event["line"] for event in replica.events("output")] == [gone]


def test_variables_and_home(gate, spawn, etc):
    """LOCKSTEP_USER and LOCKSTEP_MIGRATE_USER are lockstep's own; both get the HOME of who they are, the app not if it is
    unset."""
    env = base_env(LOCKSTEP_USER="app", LOCKSTEP_MIGRATE_USER="many:daemon", HOME="/root", PGAPPNAME="x")
    show = ["/usr/bin/env"]
    replica = spawn(gate.argv(json.dumps(show), app=show), wrap=etc, env=env)
    assert replica.finish() == 0, replica.log()
    seen = [event["line"] for event in replica.events("output")]
    for lines, home in ((replica.out, "/home/app"), (seen, "/srv/many of them")):
        assert [line for line in lines if line.startswith("HOME=")] == [f"HOME={home}"]
        assert not [line for line in lines if "USER" in line.partition("=")[0]]
    replica = spawn(gate.argv("true", "--unset", "HOME", app=show), wrap=etc, env=env)
    assert replica.finish() == 0 and not [line for line in replica.out if line.startswith("HOME=")]


# --- the command --------------------------------------------------------------------------------------------------

WHO = {  # options: (the command's, the app's) id -u, -g, -G
    (): ("0 0", "0 0"),
    ("--user", "app"): ("1000 1001", "1000 1001"),
    ("--migrate-user", "many:adm"): ("1004 4", "0 0"),
    ("--user", "app", "--migrate-user", "many:adm"): ("1004 4", "1000 1001"),
    ("--user", "app", "--migrate-user", "root"): ("0 0", "1000 1001"),
    ("--user", "4711:4712", "--migrate-user", "1003"): ("1003 1003", "4711 4712"),
}


@pytest.mark.parametrize("options", WHO, ids=" ".join)
def test_who_runs_as_whom(options, gate, spawn, etc):
    """--user is for both, --migrate-user for the command alone."""
    show = "echo $(id -u) $(id -g)"
    replica = spawn(gate.argv(show, *options, app=["/bin/sh", "-c", show]), wrap=etc)
    assert replica.finish() == 0, replica.log()
    command, app = WHO[options]
    assert (replica.wait_output(""), replica.out) == (command, [app])


def test_migrate_verb(gate, spawn, etc):
    """A CI job has a command and no app."""
    replica = spawn(gate.argv("id -u", "--user", "app", verb="migrate"), wrap=etc)
    assert replica.finish() == 0 and replica.wait_output("") == "1000"


def test_command_opens_its_output_by_name(gate, spawn, etc):
    """Tools write to /dev/stdout; the pipes are lockstep's, and belong to the command's user."""
    replica = spawn(gate.argv("echo one > /dev/stdout; echo two > /dev/stderr", "--user", "app", app=APP), wrap=etc)
    assert replica.finish() == 0, replica.log()
    assert sorted((event["stream"], event["line"]) for event in replica.events("output")) == [("stderr", "two"), ("stdout", "one")]


def said(replica, start):
    return sorted(event["line"] for event in replica.events("output") if event["line"].startswith(start))


@pytest.mark.parametrize("ns", [False, True], ids=["child", "pid1"])
@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], ids=lambda sig: sig.name)
def test_signals_reach_the_command(sig, ns, gate, spawn, etc, door):
    """The whole group of another user's command is signalled."""
    replica = spawn(gate.argv(actor("signals", door, 3), "--user", "app", app=APP), wrap=etc, ns=ns)
    replica.wait_output("ready")
    replica.kill(sig)
    name = sig.name[3:]
    if sig == signal.SIGUSR1:
        eventually(lambda: len(said(replica, "got")) == 3, "all three have got it")
        door.open()
    assert replica.finish() == (0 if sig == signal.SIGUSR1 else 128 + sig), replica.log()
    assert said(replica, "got") == [f"got {name} leader", *[f"got {name} member"] * 2]


def test_command_that_obeys_nothing_is_killed(gate, spawn, etc):
    """After the grace, with its daemonised grandchildren, all of another user."""
    replica = spawn(gate.argv(actor("stubborn", 3), "--user", "app", "--stop-grace", "200ms", app=APP), wrap=etc, ns=True)
    replica.wait_output("ready")
    replica.kill(signal.SIGTERM)
    assert replica.finish() == 143, replica.log()
    assert not replica.survivors() and gate.last()["state"] == "interrupted"


def test_left_over_of_another_user_is_ended(gate, spawn, etc, public):
    """DESIGN 2 rule 0: what it leaves behind gets TERM, and the app starts when it is gone."""
    log = public / "log"
    replica = spawn(gate.argv(actor("leave", log, "obey"), "--user", "app", app=APP), wrap=etc)
    assert replica.finish() == 0, replica.log()
    assert log.read_text().startswith("TERM ") and log.stat().st_uid == 1000
    assert not replica.survivors()


@pytest.mark.parametrize("victim", ["lockstep", "leash", "both"])
def test_nobody_is_left_when_its_keepers_are_killed(victim, gate, spawn, etc, door):
    """The death signal of the command outlives its change of user (setuid clears it), and the leash ends what is another's."""
    replica = spawn(gate.argv(actor("hold", door), "--user", "app", app=APP), wrap=etc)
    command = int(replica.wait_output("ready").split()[1])
    assert os.stat(f"/proc/{command}").st_uid == 1000
    leash = stat(command)[1]
    if victim != "leash":
        os.kill(replica.pid, signal.SIGSTOP)
    if victim != "lockstep":
        os.kill(leash, signal.SIGKILL)
        wait_dead(command)
    if victim != "leash":
        os.kill(replica.pid, signal.SIGKILL)
    wait_dead(command)
    replica.wait(30)
    eventually(lambda: not marked(replica.mark), "nothing is left")
    assert not replica.out


def test_failing_command_has_its_own_status(gate, spawn, etc):
    replica = spawn(gate.argv("exit 7", "--user", "app", app=APP), wrap=etc)
    assert replica.finish() == 7 and gate.last()["state"] == "failed"


# --- what the user may not do -------------------------------------------------------------------------------------

def private(public):
    """A program that only root may execute."""
    program = public / "program"
    program.write_text("#!/bin/sh\necho here\n")
    program.chmod(0o700)
    return program


def test_app_that_its_user_may_not_execute(gate, spawn, etc, public):
    """126, found before anything is migrated, as for any other app; also where its folder is closed."""
    program = private(public)
    for path in (program, private_folder(public)):
        error = error_of(spawn(gate.argv("true", "--user", "app", app=[path]), wrap=etc), 126)
        assert f"{path} cannot be executed as app (uid 1000, gid 1001): Permission denied" == error
    assert not gate.runs()
    replica = spawn(gate.argv("true", "--migrate-user", "app", app=[program]), wrap=etc)
    assert replica.finish() == 0 and replica.out == ["here"]


def private_folder(public):
    folder = public / "closed"
    folder.mkdir(mode=0o700)
    (folder / "true").symlink_to("/bin/true")
    return folder / "true"


def test_app_that_its_user_may_not_execute_any_more(gate, spawn, etc, public):
    """126 with a line also if the exec itself fails; the migration stays recorded as what it was."""
    program = private(public)
    program.chmod(0o755)
    replica = spawn(gate.argv(f"chmod 700 {program}", "--user", "app", "--migrate-user", "root", app=[program]), wrap=etc)
    assert replica.finish() == 126 and gate.last()["state"] == "succeeded"
    assert "as app (uid 1000, gid 1001): Permission denied" in replica.events("error")[0]["message"]


def test_command_that_its_user_may_not_execute(gate, spawn, etc, public):
    replica = spawn(gate.argv(json.dumps([str(private(public))]), "--user", "app", app=APP), wrap=etc)
    assert replica.finish() == 126 and not replica.out
    assert "cannot be executed as app: Permission denied" in replica.events("error")[0]["message"]
    assert gate.last()["state"] == "failed"


# --- what lockstep may not do -------------------------------------------------------------------------------------

@pytest.fixture
def anybodys(public, gate):
    """A gate that every user may meet at."""
    gate.dir = public
    return gate


NO_CAPS = setpriv("--bounding-set=-all", "--inh-caps=-all")
REFUSED = {  # name: (how lockstep is started, options, what the error says)
    "another": (as_nobody(), ["--user", "plain"], ("--user: cannot become plain (uid 1003, gid 1003): Operation not permitted",
                                                   "start the container as root", "leave --user out")),
    "root": (as_nobody(), ["--user", "root"], ("cannot become root (uid 0, gid 0)",)),
    "another group": (as_nobody(), ["--user", "app:users"], ("cannot become app:users (uid 1000, gid 100)",)),
    "another for the command": (as_nobody(), ["--user", "app", "--migrate-user", "plain"], ("--migrate-user: cannot become plain",)),
    "another for the command alone": (as_nobody(), ["--migrate-user", "0"], ("--migrate-user: cannot become 0",)),
    "root without capabilities": (NO_CAPS, ["--user", "app"], ("cannot become app", "capabilities SETUID and SETGID")),
    "root without SETUID": (setpriv("--bounding-set=-setuid"), ["--user", "app"], ("cannot become app",)),
    "root without SETGID": (setpriv("--bounding-set=-setgid"), ["--user", "app"], ("cannot become app",)),
    "root without KILL": (setpriv("--bounding-set=-kill"), ["--user", "app"], ("could not stop what runs as app", "capability KILL")),
    "a capability that stays": ([*setpriv("--inh-caps=+setuid,+setgid,+kill", "--ambient-caps=+setuid,+setgid,+kill"), *as_nobody(1003, 1003)[1:]],
                                ["--user", "app"], ("app could become root again", "start the container as root")),
    "a user that the namespace lacks": (["/usr/bin/unshare", "--user", "--map-root-user"], ["--user", "app"], ("cannot become app",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, anybodys, spawn, etc):
    """125 before anything is connected: who, why, what to do."""
    how, options, words = REFUSED[case]
    error = error_of(spawn(anybodys.argv("true", *options, app=APP), wrap=[*etc, *how]), 125)
    for word in words:
        assert word in error
    assert not anybodys.runs()


ALLOWED = {  # name: (how lockstep is started, options, the app's ids)
    "already that user": (as_nobody(), ["--user", "app"], "1000 1001"),
    "... by number": (as_nobody(), ["--user", "1000:1001"], "1000 1001"),
    "... with nothing in the files": (as_nobody(4711, 4712), ["--user", "4711"], "4711 4712"),
    "... both": (as_nobody(), ["--user", "app", "--migrate-user", "app:app"], "1000 1001"),
    "root without capabilities as root": (NO_CAPS, ["--user", "root"], "0 0"),
    "no new privileges": (setpriv("--no-new-privs"), ["--user", "app"], "1000 1001"),
    "only what it takes": (setpriv("--bounding-set=-all,+setuid,+setgid,+kill"), ["--user", "app"], "1000 1001"),
}


@pytest.mark.parametrize("case", ALLOWED)
def test_allowed(case, anybodys, spawn, etc):
    how, options, ids = ALLOWED[case]
    show = "echo $(id -u) $(id -g)"
    replica = spawn(anybodys.argv(show, *options, app=["/bin/sh", "-c", f"{show} $HOME"]), wrap=[*etc, *how])
    assert replica.finish() == 0, replica.log()
    home = {"1000": "/home/app", "0": "/root", "4711": "/"}[ids.split()[0]]
    assert (replica.wait_output(""), replica.out) == (ids, [f"{ids} {home}"])


def test_app_needs_no_right_to_signal(done, spawn, etc):
    """Where nothing is migrated nobody is signalled: wait, as another user, without the capability KILL."""
    replica = spawn(done.argv(None, "--user", "app", verb="wait", app=["/usr/bin/id", "-u"]), wrap=[*etc, *setpriv("--bounding-set=-kill")])
    assert replica.finish() == 0 and replica.out == ["1000"]


def test_app_with_a_resident(done, spawn, etc):
    """--init: lockstep stays what it was, its app is another's, and is signalled; without the capability KILL it could not be."""
    env = base_env(HOME="/root")
    script = "trap 'echo got; exit 7' USR1; echo $$ $(id -u) $(id -G) $HOME; while :; do sleep 0.05; done"
    replica = spawn(done.argv("true", "--user", "many:adm", "--init", app=["/bin/sh", "-c", script]), wrap=etc, ns=True, env=env)
    line = replica.wait_line("1004")
    assert line.split(" ", 1)[1] == "1004 4 /srv/many of them" and line.split()[0] != "1"
    assert os.stat(f"/proc/{replica.pid}").st_uid == 0
    replica.kill(signal.SIGUSR1)
    assert replica.finish() == 7 and replica.out[-1] == "got", replica.log()
    words = done.argv("true", "--user", "app", "--init", verb="wait", app=APP)
    assert "capability KILL" in error_of(spawn([w for w in words if w not in ("--migrate", "true")],
                                               wrap=[*etc, *setpriv("--bounding-set=-kill")]), 125)


def test_all_commands_are_of_the_command_user(gate, spawn, etc, public):
    """--before, --after and --applied-if run as the migration does."""
    log = public / "log"
    who = "echo $(id -u) $HOME"
    show = f"{who} >> {log}"
    words = gate.argv(show, "--before", show, "--after", show, "--applied-if", f"{show}; exit 1", "--user", "plain", "--migrate-user", "app",
                      app=["/bin/sh", "-c", who])
    at = words.index("--target")
    replica = spawn(words[:at] + words[at + 2:], wrap=etc)
    assert replica.finish() == 0, replica.log()
    commands = log.read_text().splitlines()
    assert replica.out == ["1003 /home/plain"] and len(commands) >= 5 and set(commands) == {"1000 /home/app"}


def test_check_by_anybody(public, etc):
    """docker exec -u: a look runs nothing as anybody, so whoever may look may look, whatever LOCKSTEP_USER says."""
    env = base_env(LOCKSTEP_USER="app", LOCKSTEP_MIGRATE_USER="root", LOCKSTEP_MIGRATE="true")
    words = [*etc, *as_nobody(1003, 1003), BIN, "check", "--lock", f"file:{public}", "--target", "v1"]
    looked = subprocess.run(words, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20, check=False)
    assert looked.returncode == 1, looked.stderr
