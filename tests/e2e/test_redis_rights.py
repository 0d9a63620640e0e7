"""Users of a Redis that may not do all that lockstep needs: the line of rights that they are told is right, whole and minimal.
Issue 3, item 6: the error prints the exact ACL SETUSER line."""

import re
import subprocess

import pytest

from harness.redis import HARNESS, HARNESS_PASSWORD, KINDS
from harness.verdict import assert_refused, assert_says, error_of

SECRET = "Zq7x-Kw9v"


@pytest.fixture
def stage(new_stage):
    return new_stage()


def printed_line(message):
    """The command as it stands in the message, from its name to the last right."""
    [line] = re.findall(r"ACL SETUSER \S+(?: [~&+]\S+)+", message)
    return line


def type_into_redis_cli(server, line):
    """What an administrator does with it."""
    done = subprocess.run(["redis-cli", "-s", server.socket, "--user", HARNESS, "--pass", HARNESS_PASSWORD, "--no-auth-warning"],
                          input=line + "\n", capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.strip() == "OK", done


def live_through(stage, gate, url, line):
    """All that a gate ever needs: to wait, to fail, to succeed; with no script known yet, and more old runs than are kept.
    Says whether `line` was printed on the way; without, everything ended as it should."""
    gate.client().script_flush()
    gate.client().rpush(gate.key("tokens"), *range(1000))
    for verb, options, status in (("wait", ("--wait-timeout", "200ms"), 124), ("migrate", (), 3), ("migrate", (), 0)):
        replica = stage.start(*options, url=url, verb=verb, app=None, target=f"v{status}", migrate=f"echo output; exit {status}")
        replica.wait_exit()
        if line in replica.log:
            return True
        replica.expect_exit(status)
    return False


@pytest.mark.parametrize("kind", KINDS)
def test_missing_rights(kind, redises, new_stage, stage):
    """A user that may do nothing yet: the line that is printed, typed into redis-cli as it is, makes the very same start work."""
    server = redises(kind, users={"app": f"on >{SECRET}"})
    gate = server.gate(0).establish()
    url = gate.url(user="app", password=SECRET)
    name_stage = new_stage(gate, url=url)
    assert_refused(stage, url, f"127.0.0.1:{server.port}", "NOPERM", "no permission", "ACL SETUSER app ")
    line = printed_line(error_of(stage.start(url=url, verb="migrate")))
    assert "~lockstep:{default}:*" in line and "&lockstep:{default}:*" in line
    type_into_redis_cli(server, line)
    replica, restart = name_stage.start(), name_stage.start()
    name_stage.expect_all_started([replica, restart])
    assert gate.states() == ["succeeded"]
    other = stage.start(url=url, verb="check", env={"LOCKSTEP_NAME": "other"})
    assert_says(error_of(other), "~lockstep:{other}:*")


def test_line_is_whole(redis, stage):
    """The longest name, a long user, a database number, a long path: nothing of the line is cut off."""
    name, user = "n" * 40, "someone-with-a-long-name"
    redis.admin.execute_command("ACL SETUSER", user, "reset", "on", f">{SECRET}")
    url = f"unix://{user}:{SECRET}@{redis.socket}?db=3"
    message = error_of(stage.start(url=url, verb="check", env={"LOCKSTEP_NAME": name}))
    type_into_redis_cli(redis, printed_line(message))
    stage.start(url=url, verb="check", env={"LOCKSTEP_NAME": name}).expect_exit(1)
    redis.admin.execute_command("ACL DELUSER", user)


def test_rights_in_the_database_0(redises, stage):
    """Whoever selects no database and asks no sentinel needs no right to."""
    server = redises(users={"app": f"on >{SECRET}"})
    line = printed_line(error_of(stage.start(url=server.url(user="app", password=SECRET), verb="check")))
    assert "+select" not in line and "+role" not in line


def test_rights_behind_sentinels(sentinels, stage):
    """The server's user needs +role there; the sentinels' user has a line of its own."""
    group = sentinels(users={"app": f"on >{SECRET}"}, sentinel={"users": {"watcher": f"on >{SECRET}"}})
    group.gate(3).satisfy()
    url = group.url(db=3, user="app", password=SECRET, sentinel_username="watcher", sentinel_password=SECRET)
    message = error_of(stage.start(url=url, verb="check"))
    assert_says(message, "sentinel", "NOPERM", "ACL SETUSER")
    for sentinel in group.sentinels:
        type_into_redis_cli(sentinel, printed_line(message).replace(" USER ", " watcher "))
    line = printed_line(error_of(stage.start(url=url, verb="check")))
    assert "+role" in line and "+select" in line
    type_into_redis_cli(group.master, line)
    stage.start(url=url, verb="check").expect_exit(0)
    group.master.admin.execute_command("ACL SETUSER app -role")
    assert_says(error_of(stage.start(url=url, verb="check")), "NOPERM", "'role'")


def test_line_is_minimal(redis, stage):
    """With the line everything works; without any one of its rights something is refused, and the line printed again."""
    gates = [redis.gate().establish() for _ in range(40)]
    redis.admin.execute_command("ACL SETUSER", "minimal", "reset", "on", f">{SECRET}")
    line = printed_line(error_of(stage.start(url=gates[-1].url(user="minimal", password=SECRET), verb="check")))
    rights = line.split()[3:]
    assert len(rights) > 20 and len(set(rights)) == len(rights)
    for missing in (None, *rights):
        left = [right for right in rights if right != missing]
        redis.admin.execute_command("ACL SETUSER", "minimal", "reset", "on", f">{SECRET}", *left)
        gate = gates.pop()
        refused = live_through(stage, gate, gate.url(user="minimal", password=SECRET), line)
        assert refused == (missing is not None), f"{missing}: refused {refused}"
    redis.admin.execute_command("ACL DELUSER", "minimal")
