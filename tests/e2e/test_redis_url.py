"""Every form of URL that names a Redis, connected for real: to the right server, as the right user, to the right database;
and every malformed one, which is told before anything is connected to. Issue 3, item 2; DESIGN 1 (--lock, REDIS_URL, _FILE)."""

import secrets
import socket
from urllib.parse import quote

import pytest

from harness.verdict import assert_says, error_of

SECRET = "Zq7x-Kw9v"
RIGHTS = ("on", "~lockstep:*", "&lockstep:*", "+@all")


def add_user(server, password, *rights):
    """A user of its own; returns its name."""
    name = f"app-{secrets.token_hex(4)}"
    server.admin.execute_command("ACL SETUSER", name, f">{password}", *(rights or RIGHTS))
    return name


def sessions(server):
    """Those that have sent something; one that has only just connected is nobody's and in no database yet."""
    return [session for session in server.sessions() if session["cmd"] != "NULL"]


@pytest.fixture
def gate(redis):
    """Established, and not in database 0, where whoever has not selected any would be."""
    gate = redis.gate()
    return (gate if gate.db else redis.gate()).establish()


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


# --- forms --------------------------------------------------------------------------------------------------------

FORMS = {  # name: (URL, whether the user is the one of the URL)
    "address": ("redis://127.0.0.1:{port}/{db}", False),
    "name": ("redis://localhost:{port}/{db}", False),
    "upper case": ("Redis://127.0.0.1:{port}/{db}", False),
    "db as a parameter": ("redis://127.0.0.1:{port}?db={db}", False),
    "db in both places": ("redis://127.0.0.1:{port}/{db}?db={db}", False),
    "what other clients need": ("redis://127.0.0.1:{port}/{db}?family=4&protocol=3", False),
    "encoded host": ("redis://127%2e0.0.1:{port}/{db}", False),
    "user": ("redis://{user}:{password}@127.0.0.1:{port}/{db}", True),
    "user as parameters": ("redis://127.0.0.1:{port}/{db}?username={user}&password={password}", True),
    "unix": ("unix://{socket}?db={db}", False),
    "redis+unix": ("redis+unix://{socket}?db={db}", False),
    "unix, user": ("unix://{user}:{password}@{socket}?db={db}", True),
    "unix, user as parameters": ("redis+unix://{socket}?db={db}&username={user}&password={password}", True),
    "first host is down": ("redis://{user}:{password}@127.0.0.1:{closed},127.0.0.1:{port}/{db}", True),
    "first host has no address": ("redis://no-such-host.invalid,127.0.0.1:{port}/{db}", False),
    "last of four hosts": ("redis://127.0.0.1:{closed},[::1]:{closed},localhost:{closed},127.0.0.1:{port}/{db}", False),
}


@pytest.mark.parametrize("form", FORMS)
def test_form(form, redis, gate, new_stage, closed_port):
    """Issue 3, item 2: a migration that runs now: its connections are that user's, in that database, and so is its record."""
    text, as_user = FORMS[form]
    user = add_user(redis, SECRET)
    url = text.format(port=redis.port, closed=closed_port, socket=redis.socket, db=gate.db, user=user, password=SECRET)
    stage = new_stage(gate)
    leader = stage.leader(env={"LOCKSTEP_LOCK": url})
    assert {session["user"] for session in sessions(redis)} == {user if as_user else "default"}
    assert {session["db"] for session in sessions(redis)} == {str(gate.db)}
    assert gate.states() == ["running"]
    stage.release()
    stage.expect_all_started([leader])
    assert gate.applied() == {"v1"}
    assert not leader.said(SECRET)


def test_ipv6(redises, new_stage):
    """An IPv6 address stands in brackets."""
    server = redises(listen=("127.0.0.1", "::1"))
    gate = server.gate(3).satisfy()
    stage = new_stage(url=f"redis://[::1]:{server.port}/3")
    waiter = stage.start(verb="wait", target="v2", app=None)
    waiter.wait_event("connected")
    assert {(session["addr"].rpartition(":")[0], session["db"]) for session in sessions(server)} == {("[::1]", "3")}
    gate.satisfy("v2")
    gate.client().publish(gate.key("wake"), "7")
    waiter.expect_exit(0)


def test_several_hosts_and_the_first_comes_back(redises, new_stage):
    """Each connection begins with the first host that there is: whoever starts later meets the others there all the same."""
    first, second = redises(), redises()
    hosts = f"redis://127.0.0.1:{first.port},127.0.0.1:{second.port}/2"
    second.gate(2).satisfy()
    stage = new_stage(url=hosts)
    stage.start(verb="check").expect_exit(1)
    first.stop()
    stage.start(verb="check").expect_exit(0)


def test_password_without_a_user(redises, new_stage):
    """requirepass: redis://:PASSWORD@, or the user default by its name."""
    server = redises(requirepass=SECRET)
    server.gate(3).satisfy()
    for url in (server.url(db=3, password=SECRET), server.url(db=3, user="default", password=SECRET),
                f"unix://:{SECRET}@{server.socket}?db=3", f"redis://127.0.0.1:{server.port}/3?password={SECRET}"):
        new_stage(url=url).start(verb="check").expect_exit(0)


ODD = ["@", "#", " ", ":", "/", "?", "%", "ä", "漢", "+", "'\"\\", "&=", "@@", "%41", "[", ",", "$x", "x" * 300]


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: repr(odd[:5]))
def test_percent_encoded_password(odd, redis, new_stage):
    """A password of any characters, percent-encoded, in each of the places where it may stand."""
    password, gate = f"{SECRET}{odd}", redis.gate().satisfy()
    user, encoded = add_user(redis, password), quote(password, safe="")
    for url in (gate.url(user=user, password=encoded), gate.url(username=user, password=encoded),
                f"unix://{user}:{encoded}@{redis.socket}?db={gate.db}"):
        replica = new_stage(url=url).start(verb="check")
        replica.expect_exit(0)
        assert SECRET not in replica.log


@pytest.mark.parametrize("odd", ["@", "#", " ", ":", "%", "ä", "+", "'\"\\", "&=", ",", "[", "@@"], ids=repr)
def test_raw_password(odd, redis, new_stage):
    """People forget to encode. What can be understood is: the last @ ends the password, and % is itself where no hex digits follow."""
    password, gate = f"{SECRET}{odd}", redis.gate().satisfy()
    user = add_user(redis, password)
    new_stage(url=gate.url(user=user, password=password)).start(verb="check").expect_exit(0)


def test_encoded_user(redis, new_stage):
    """The user is decoded like the password."""
    gate = redis.gate().satisfy()
    redis.admin.execute_command("ACL SETUSER", "ann@example.org:1", f">{SECRET}", *RIGHTS)
    new_stage(url=gate.url(user=quote("ann@example.org:1"), password=SECRET)).start(verb="check").expect_exit(0)


def test_default_port(link, new_stage):
    """Without a port it is 6379, and 26379 for sentinels; without a host this one."""
    for url, where in (("redis://", "localhost:6379"), ("redis://127.0.0.1/1", "127.0.0.1:6379"), ("rediss://[::1]", "[::1]:6379"),
                       ("redis+sentinel://127.0.0.1/m", "127.0.0.1:26379")):
        replica = new_stage(url=url).start(verb="check", inside=link.prefix)  # nobody listens there
        assert_says(error_of(replica), where)


# --- sentinels ----------------------------------------------------------------------------------------------------

def test_sentinel_url(sentinels, new_stage):
    """redis+sentinel://: users and passwords of server and sentinels, each its own; database number; a dead sentinel is passed over."""
    group = sentinels(users={"default": "off", "app": f"on >{SECRET} ~lockstep:* &lockstep:* +@all"},
                      sentinel={"users": {"default": "off", "watcher": "on >other-secret &* +@all"}})
    gate = group.gate(3).satisfy()
    group.sentinels[0].stop()
    stage = new_stage()
    words = {"sentinel_username": "watcher", "sentinel_password": "other-secret"}
    app = {"user": "app", "password": SECRET}
    as_parameters = group.url(db=3, **words) + f"&username=app&password={SECRET}"
    for url, status in ((gate.url(**app, **words), 0), (group.url(db=2, **app, **words), 1), (as_parameters, 0)):
        replica = stage.start(url=url, verb="check")
        replica.expect_exit(status)
        assert not replica.said(SECRET) and not replica.said("other-secret")
    wrong = stage.start(url=gate.url(**app, sentinel_username="watcher", sentinel_password=SECRET), verb="check")
    assert_says(error_of(wrong), "WRONGPASS", "sentinel_password")
    missing = stage.start(url=gate.url(**app), verb="check")
    assert_says(error_of(missing), "NOAUTH", "sentinel_password")
    wrong = stage.start(url=group.url(db=3, user="app", password="other-secret", **words), verb="check")
    assert_says(error_of(wrong), "WRONGPASS", f"127.0.0.1:{group.master.port}")
    unknown = stage.start(url=gate.url(**app, **words).replace("/prime/", "/nobody/"), verb="check")
    assert_says(error_of(unknown), '"nobody"')
    no_sentinel = gate.url(**app, hosts=[f"127.0.0.1:{group.master.port}"], sentinel_username="app", sentinel_password=SECRET)
    server = stage.start(url=no_sentinel, verb="check")
    assert_says(error_of(server), "no sentinel")
    sentinel = stage.start(url=group.sentinels[1].url(user="watcher", password="other-secret"), verb="check")
    assert_says(error_of(sentinel), "redis+sentinel://")


# --- where the URL comes from -------------------------------------------------------------------------------------

SHOW = ["/bin/sh", "-c", 'echo "REDIS_URL=[$REDIS_URL] FILE=[$REDIS_URL_FILE] LOCK=[$LOCKSTEP_LOCK$LOCKSTEP_LOCK_FILE]"']


@pytest.mark.parametrize("form", ["variable", "file", "lock", "lock file", "flag", "database"])
def test_source(form, redis, gate, new_stage, tmp_path, database):
    """DESIGN 1: REDIS_URL is the default place, REDIS_URL_FILE too, LOCKSTEP_LOCK(_FILE) and --lock come before it, and a Postgres
    database as well. The command and the app get REDIS_URL in any case, and no helper."""
    user = add_user(redis, SECRET)
    url, elsewhere = gate.url(user=user, password=SECRET), "redis://:other@127.0.0.1:1/9"
    file = tmp_path / "url"
    file.write_text(url + "\n\n")
    env, options = {"variable": ({"REDIS_URL": url}, ()),
                    "file": ({"REDIS_URL_FILE": str(file)}, ()),
                    "lock": ({"LOCKSTEP_LOCK": url, "REDIS_URL": elsewhere}, ()),
                    "lock file": ({"LOCKSTEP_LOCK_FILE": str(file), "REDIS_URL": elsewhere}, ()),
                    "flag": ({"LOCKSTEP_LOCK": elsewhere, "REDIS_URL_FILE": str(file)}, ("--lock", gate.unix_url())),
                    "database": ({"DATABASE_URL": database.url(), "REDIS_URL_FILE": str(file)}, ())}[form]
    place = database if form == "database" else gate
    expected = url if form in ("variable", "file", "flag", "database") else elsewhere
    stage = new_stage(place)
    stage.url = None
    migrate = stage.script(f"[ \"$REDIS_URL\" = '{expected}' ]; [ -z \"${{REDIS_URL_FILE-}}${{LOCKSTEP_LOCK_FILE-}}\" ]; "
                           "$STAMP start; $STAMP end")
    replica = stage.start(*options, env={"LOCKSTEP_NAME": "default", **env}, migrate=migrate, app=SHOW)
    replica.expect_exit(0)
    assert replica.stdout == f"REDIS_URL=[{expected}] FILE=[] LOCK=[]"
    assert place.states() == ["succeeded"] and place.applied() == {"v1"}
    assert SECRET not in replica.log


def test_redis_url_beside_a_database_of_another_kind(gate, new_stage):
    """The replicas of an app on MySQL meet in its Redis without a word about it."""
    stage = new_stage(gate)
    stage.url = None
    replica = stage.start(env={"DATABASE_URL": "mysql://app:x@127.0.0.1:1/shop", "REDIS_URL": gate.url(), "LOCKSTEP_NAME": "default"})
    stage.expect_all_started([replica])
    assert gate.states() == ["succeeded"]


@pytest.mark.parametrize("env, says", [
    ({"REDIS_URL": "redis://h"}, "REDIS_URL"), ({"LOCKSTEP_LOCK": "redis+sentinel://h/m"}, "LOCKSTEP_LOCK"),
    ({"LOCKSTEP_LOCK": "unix:///s", "LOCKSTEP_NAME": ""}, "LOCKSTEP_LOCK"),
], ids=["REDIS_URL", "LOCKSTEP_LOCK", "empty name"])
def test_name_is_required(env, says, new_stage):
    """DESIGN 1 (--name): other apps may meet in the same Redis, so 64 without one, and the line says what to add."""
    replica = new_stage().start(env=env)
    assert_says(error_of(replica, 64), "--name", "LOCKSTEP_NAME", f"({says})")
    assert replica.names() == ["error"]


# --- malformed ----------------------------------------------------------------------------------------------------

MALFORMED = {  # URL: what the error says besides the name of the option or variable
    "redis://h:port": "port", "redis://h:0": "port", "redis://h:70000": "port", "redis://h:6379 ": "port", "redis://h:63:79": "port",
    "redis://[::1": "bracket", "redis://[::1]x": "bracket", "redis://[::1/0": "bracket",
    "redis://h/x": "database", "redis://h/-1": "database", "redis://h/1x": "database", "redis://h/ 1": "database",
    "redis://h/99999999999": "database", "redis://h?db=": "database", "redis://h?db=x": "database", "redis://h/0#x": "database",
    "redis://h/0/1": "behind its database", "redis://h/1?db=2": "two databases", "redis://h?db=1&db=2": "two databases",
    "redis://a,,b": "empty item", "redis://,a": "empty item", f"redis://:{SECRET}@a,": "empty item",
    "redis://" + "h," * 20 + "h": "16 hosts",
    "redis://user@h": "user without a password", "redis://h?username=ann": "user without a password",
    f"redis://:{SECRET}%00@h": "%00", "redis://h%00/0": "%00",
    f"redis://:{SECRET}/x@h": "%2F", f"redis://:a/{SECRET}@h": "%2F", f"redis://:a?{SECRET}@h": "%3F", f"redis://:{SECRET}?x@h": "%3F",
    f"redis://:1?{SECRET}=1@h": "%3F", f"redis://ann:{SECRET}@h:x": "port", f"redis://h:{SECRET}": "port",
    f"redis://h/{SECRET}": "database",
    f"redis://h?password={SECRET}&{SECRET}=": "%26", f"redis://h?password={SECRET}&{SECRET}": "parameter",
    "redis://h?db": "without a value", "redis://h?timeout=5": '"timeout"', "redis://h?name=shop": '"name"',
    "redis://h?cacert=/x": "rediss://", "redis://h?insecure=1": "rediss://", "unix:///s?insecure=1": "rediss://",
    "rediss://h?insecure=maybe": "insecure", "rediss://h?ssl_cert_reqs=optional": "ssl_cert_reqs",
    "rediss://h?cert=/x": "cert and key", "rediss://h?key=/x": "cert and key", "rediss://h?ssl_certfile=/x": "cert and key",
    f"redis://h?sentinel_password={SECRET}": "redis+sentinel://", "redis+sentinel://h/m?sentinel_username=ann": "sentinel_password",
    "redis+sentinel://h": "mymaster", "redis+sentinel://h/": "mymaster", "redis+sentinel://h//0": "mymaster",
    "redis+sentinel://h/m/x": "database", "redis+sentinel://h/m/0/1": "behind its database",
    "redis+unix://x/y": "absolute path", "redis+unix:///": "absolute path", "unix://": "absolute path",
    f"unix://ann:{SECRET}@s": "absolute path",
    "unix:/x": "redis+unix", "redis:/h": "redis://", "redis:h": "redis://", "redis": "redis://", f"redis+foo://:{SECRET}@h": "redis://",
    f"rediss+unix://:{SECRET}@/s": "redis+unix", f"valkey://:{SECRET}@h": "redis://", f'"redis://:{SECRET}@h"': "redis://",
    f" redis://:{SECRET}@h": "redis://", f"redis//:{SECRET}@h": "redis://",
}
NEVER = {  # as hopeless, though every part of it is in its place
    "redis://h#0": "host", "redis://h ost/0": "host", "redis://h\nost": "host", f"redis://{'h' * 300}": "host",
    "unix:///" + "s" * 200: "path",
}


def assert_malformed(replica, what, says):
    message = error_of(replica, 64)
    assert replica.names() == ["error"], "one line"
    assert_says(message, what, says)
    for part in (SECRET, *SECRET.split("-")):
        assert part not in message


@pytest.mark.parametrize("url", [*MALFORMED, *NEVER], ids=lambda url: repr(url)[:40])
def test_malformed(url, new_stage):
    """Bad input: 64 before anything is connected to, one line that names the variable and what is wrong, never a part of a secret."""
    stage = new_stage()
    assert_malformed(stage.start("--connect-timeout", "1s", env={"LOCKSTEP_LOCK": url, "LOCKSTEP_NAME": "default"}),
                     "LOCKSTEP_LOCK", {**MALFORMED, **NEVER}[url])


@pytest.mark.parametrize("url", ["redis://h:port", f"redis://:{SECRET}/x@h", f"redis+foo://:{SECRET}@h", f"redis://h:{SECRET}"],
                         ids=["port", "slash", "scheme", "password as port"])
@pytest.mark.parametrize("what", ["--lock", "REDIS_URL", "REDIS_URL from a file", "LOCKSTEP_LOCK from a file"])
def test_malformed_elsewhere(url, what, new_stage, tmp_path):
    """The same, named by what the user has set."""
    (tmp_path / "url").write_text(url + "\n")
    name = what.partition(" ")[0]
    env = {} if what == "--lock" else {name: url} if name == what else {f"{name}_FILE": str(tmp_path / "url")}
    options = ("--lock", url) if what == "--lock" else ()
    assert_malformed(new_stage().start("--connect-timeout", "1s", *options, env={**env, "LOCKSTEP_NAME": "default"}), name, "")
