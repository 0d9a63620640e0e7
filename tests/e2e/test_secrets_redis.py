"""No password of a Redis ever gets out: not in a log, an error, a record, or an argv of ours. See harness.secrecy."""

import json
import re
import secrets
import socket
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.secrecy import HEAD, MODES, P, TAIL, all_argv, call, in_every_mode, leaks
from pidns import BIN, base_env, marked, tool, door, spawn  # noqa: F401 (fixtures)


class FakeRedis:
    """A server, on a TLS port too and on a socket, or a sentinel that names itself. Refuses every password, and says which, cut, as a
    server does that does not know AUTH; looks into every argv at that moment."""

    def __init__(self, directory, certificate):
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(certificate.cert, certificate.key)
        self.passwords, self.argv_leaks, self.socket = [], [], str(directory / "socket")
        self.listeners = [socket.create_server(("127.0.0.1", 0), backlog=256) for _ in range(2)]
        self.port, self.tls_port = (listener.getsockname()[1] for listener in self.listeners)
        self.listeners.append(socket.socket(socket.AF_UNIX))
        self.listeners[2].bind(self.socket)
        self.listeners[2].listen(256)
        for listener, wrap in zip(self.listeners, (None, tls, None)):
            threading.Thread(target=self._accept, args=(listener, wrap), daemon=True).start()

    def _accept(self, listener, tls):
        while True:
            try:
                peer, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer, tls), daemon=True).start()

    def _talk(self, peer, tls):
        try:
            peer = tls.wrap_socket(peer, server_side=True) if tls else peer
            with peer, peer.makefile("rb") as stream:
                while header := stream.readline():
                    words = [stream.read(int(stream.readline()[1:]) + 2)[:-2] for _ in range(int(header[1:]))]
                    peer.sendall(self._answer(words))
        except (OSError, ValueError):
            pass

    def _answer(self, words):
        if words[0] == b"AUTH":
            self.passwords.append(words[-1])
            self.argv_leaks += leaks(*all_argv())
            shown = b" ".join(b"'%b'" % re.sub(rb"[\r\n]", b" ", word[:128]) for word in words[1:])
            return b"-ERR unknown command 'AUTH', with args beginning with: " + shown + b" \r\n"
        if words[0] == b"SENTINEL":
            port = b"%d" % self.port
            return b"*2\r\n$9\r\n127.0.0.1\r\n$%d\r\n%b\r\n" % (len(port), port)
        return b"-NOAUTH Authentication required.\r\n"

    def close(self):
        for listener in self.listeners:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()


@pytest.fixture(scope="module")
def fake(tmp_path_factory, certs):
    server = FakeRedis(tmp_path_factory.mktemp("fake"), certs.right)
    yield server
    server.close()


HOST, TLS, SOCKET, TAILS = "127.0.0.1:{port}", "localhost:{tls}", "{socket}", "?cacert={ca}"
URLS = [  # (name, URL, the password that must arrive; None: it is refused before or goes elsewhere)
    ("password alone", "redis://:" + P.format("") + "@" + HOST, P.format("")),
    ("user", "redis://app:" + P.format("") + "@" + HOST + "/3", P.format("")),
    ("upper case", "REDIS://app:" + P.format("") + "@" + HOST, P.format("")),
    ("parameter", "redis://" + HOST + "?password=" + P.format("%26"), P.format("&")),
    ("parameters", "redis://" + HOST + "/1?username=app&password=" + P.format("%3D") + "&db=1", P.format("=")),
    ("encoded name of a parameter", "redis://" + HOST + "?pass%77ord=" + P.format(""), P.format("")),
    ("two hosts", "redis://app:" + P.format("") + "@" + HOST + "," + HOST, P.format("")),
    ("encoded user", "redis://a%40b:" + P.format("") + "@" + HOST, P.format("")),
    ("unix", "unix://app:" + P.format("") + "@" + SOCKET, P.format("")),
    ("redis+unix", "redis+unix://:" + P.format("%40") + "@" + SOCKET + "?db=1", P.format("@")),
    ("unix, parameter", "unix://" + SOCKET + "?db=1&password=" + P.format(""), P.format("")),
    ("rediss", "rediss://app:" + P.format("%2F") + "@" + TLS + TAILS, P.format("/")),
    ("rediss, parameter", "rediss://" + TLS + TAILS + "&password=" + P.format(""), P.format("")),
    ("rediss, insecure", "rediss://:" + P.format("") + "@" + HOST.replace("port", "tls") + "?insecure=1", P.format("")),
    ("rediss, not verified", "rediss://:" + P.format("") + "@" + TLS, None),
    ("rediss, plain port", "rediss://:" + P.format("") + "@" + HOST, None),
    ("redis, TLS port", "redis://:" + P.format("") + "@" + TLS, None),
    ("rediss, no such file", "rediss://:" + P.format("") + "@" + TLS + "?cacert=/nonexistent", None),
    ("behind sentinels", "redis+sentinel://app:" + P.format("%3a") + "@" + HOST + "/main/2", P.format(":")),
    ("of sentinels", "redis+sentinel://" + HOST + "/main?sentinel_password=" + P.format("%25"), P.format("%")),
    ("of sentinels, with a user", "redis+sentinel://" + HOST + "/main/0?sentinel_username=u&sentinel_password=" + P.format(""),
     P.format("")),
    ("of both", "redis+sentinel://:" + HEAD + "@" + HOST + "/main?sentinel_password=" + P.format(""), P.format("")),
    ("sentinels, TLS", "rediss+sentinel://" + TLS + "/main" + TAILS + "&sentinel_password=" + P.format(""), P.format("")),
    *((f"encoded {odd!r}", "redis://:" + P.format(quote(odd, safe="")) + "@" + HOST, P.format(odd))
      for odd in ("@", "#", " ", ":", "/", "?", "%", "+", "'\"\\", "&=;", "\n", "pässwörd-漢", "x" * 600)),
    *((f"raw {odd!r}", "redis://:" + P.format(odd) + "@" + HOST, P.format(odd))
      for odd in ("@", "#", " ", ":", "%", "+", "'\"\\", "&=;", "\n", "漢", "%zz")),
    ("raw /", "redis://:" + P.format("/") + "@" + HOST, None),
    ("raw ?", "redis://:" + P.format("?") + "@" + HOST, None),
    ("raw ?=", "redis://:" + HEAD + "?" + TAIL + "=1@" + HOST, None),
    ("raw @/", "redis://:" + HEAD + "@a/" + TAIL + "@" + HOST, None),
    ("raw /?", "redis://app:" + HEAD + "/a?" + TAIL + "=1@" + HOST, None),
    ("raw & of a parameter", "redis://" + HOST + "?password=" + P.format("&"), None),
    ("raw &= of a parameter", "redis://" + HOST + "?password=" + HEAD + "&" + TAIL + "=", None),
    ("raw & of a sentinel's", "redis+sentinel://" + HOST + "/m?sentinel_password=" + P.format("&"), None),
    ("encoded NUL", "redis://:" + P.format("%00") + "@" + HOST, None),
    ("for sentinels, without any", "redis://" + HOST + "?sentinel_password=" + P.format(""), None),
    ("sentinels without a master", "redis+sentinel://:" + P.format("") + "@" + HOST, None),
    ("as the port", "redis://127.0.0.1:" + P.format(""), None),
    ("as the database", "redis://" + HOST + "/" + P.format(""), None),
    ("bad port", "redis://app:" + P.format("") + "@127.0.0.1:port", None),
    ("bad database", "redis://app:" + P.format("") + "@" + HOST + "/db", None),
    ("unknown parameter", "redis://app:" + P.format("") + "@" + HOST + "?timeout=5", None),
    ("open bracket", "redis://app:" + P.format("") + "@[::1", None),
    ("no address", "redis://app:" + P.format("") + "@no-such-host.invalid", None),
    ("no socket", "unix://app:" + P.format("") + "@/nonexistent", None),
    ("mistyped scheme", "rediss+unix://app:" + P.format("") + "@" + SOCKET, None),
    ("no slashes", "redis:app:" + P.format("") + "@" + HOST, None),
    ("leading space", " redis://app:" + P.format("") + "@" + HOST, None),
    ("quoted by compose", '"redis://app:' + P.format("") + "@" + HOST + '"', None),
]


@pytest.mark.parametrize("name, url, password", URLS, ids=[u[0][:30] for u in URLS])
def test_url_never_gets_out(name, url, password, fake, certs):
    """Secrets: one odd URL, every log level, text and JSON: the password arrives as it was meant (where the URL can be
    understood), the server's error has it, and nothing of it is in stdout, stderr or an argv; the end is 125 or 64, no crash."""
    url = url.replace("{port}", str(fake.port)).replace("{tls}", str(fake.tls_port)).replace("{socket}", fake.socket) \
        .replace("{ca}", str(certs.ca))
    before = len(fake.passwords)
    with ThreadPoolExecutor(len(MODES)) as pool:
        results = list(pool.map(lambda mode: call(url, "check", "--target", "v1", "--log-level", mode[0], "--log-format", mode[1],
                                                  "--connect-timeout", "300ms"), MODES))
    assert leaks(*[text for done in results for text in (done.stdout, done.stderr)]) == []
    assert fake.argv_leaks == []
    assert {done.returncode for done in results} <= ({125} if password is not None else {64, 125}), results
    for (_, log), done in zip(MODES, results):
        assert done.stderr, "it said why"
        if log == "json":
            assert all(json.loads(line) for line in done.stderr.splitlines())
    if password is not None:
        assert set(fake.passwords[before:]) == {password.encode()}


@pytest.mark.parametrize("variable", ["LOCKSTEP_LOCK", "REDIS_URL"])
def test_url_from_a_file(variable, fake, tmp_path):
    """Secrets: in _FILE: understood (the trailing newlines cut), and neither said nor put into an argv."""
    (tmp_path / "url").write_text(f"redis://app:{HEAD}%40{TAIL}@127.0.0.1:{fake.port}\n\n")
    before = len(fake.passwords)
    env = base_env(LOCKSTEP_NAME="x", **{f"{variable}_FILE": str(tmp_path / "url")})
    said, statuses = in_every_mode(None, "check", "--target", "v1", env=env)
    assert (leaks(*said), statuses, fake.argv_leaks) == ([], {125}, [])
    assert set(fake.passwords[before:]) == {f"{HEAD}@{TAIL}".encode()}


@pytest.mark.parametrize("variable", ["LOCKSTEP_LOCK", "REDIS_URL"])
def test_file_with_rubbish(variable, tmp_path):
    """Secrets: a _FILE that holds the bare password, or a URL with a line break in it: none of it is said."""
    for rubbish in (f"{HEAD}{TAIL}\n", f"redis://:{HEAD}\n{TAIL}@h:1/0\n", f"default:{HEAD}{TAIL}@h\n",
                    f"REDIS_URL=redis://:{HEAD}{TAIL}@h\n"):
        (tmp_path / "url").write_text(rubbish)
        env = base_env(LOCKSTEP_NAME="x", **{f"{variable}_FILE": str(tmp_path / "url")})
        said, statuses = in_every_mode(None, "check", "--target", "v1", "--connect-timeout", "200ms", env=env)
        assert leaks(*said) == [] and statuses <= {64, 125}


@pytest.mark.parametrize("words", [["--lock", "{}"], ["--lokc={}"], ["{}"], ["--name", "{}"], ["--lease", "{}"], ["--allow-eviction={}"],
                                   ["--target-files", "{}"]], ids=repr)
def test_url_as_a_word(words, fake):
    """Secrets: the user has put the URL into argv himself, in its place or not: no line of ours repeats its password."""
    for odd in ("", "x" * 80, "'", "@", "%40"):
        url = f"redis://:{HEAD}{odd}{TAIL}@127.0.0.1:{fake.port}"
        lock = [] if words[0] == "--lock" else ["--lock", "redis://127.0.0.1:1"]
        said, statuses = in_every_mode(None, "check", "--target", "v1", *lock, *[w.format(url) for w in words],
                                       env=base_env(LOCKSTEP_NAME="x"))
        assert leaks(*said) == [] and statuses <= {64, 125}


# --- a real server ------------------------------------------------------------------------------------------------

@pytest.fixture
def login(redis):
    """login(password) makes a user; returns its gate, its URL, and a way to see all that the server has of it."""
    def make(password):
        gate, user = redis.gate().establish(), f"s-{secrets.token_hex(5)}"
        redis.admin.execute_command("ACL SETUSER", user, "on", f">{password}", "~lockstep:*", "&lockstep:*", "+@all")
        return gate, gate.url(user=user, password=quote(password, safe=""))
    return make


def everything(gate):
    """All keys of the gate's database, with all that is in them."""
    client = gate.client()
    found = []
    for key in client.keys():
        kind = client.type(key)
        found += [key, str(client.hgetall(key) if kind == "hash" else client.lrange(key, 0, -1) if kind == "list" else client.get(key))]
    return found


@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize("odd", ["", "@", " ", "/", "%", "ä", "'\"\\", "&="], ids=repr)
def test_migration(odd, log, login, redis):
    """Secrets: a migration that prints URLs and the passwords that are in them: masked in our log and in every key of the
    record; the rest of the line stays. Nothing of it is in what the server tells of its clients."""
    password = HEAD + odd + TAIL
    gate, url = login(password)
    watched, others = TAIL + odd + HEAD, f"redis+sentinel://h/m?sentinel_password={quote(TAIL + odd + HEAD, safe='')}"
    say = 'echo "before $REDIS_URL between $THE_PASSWORD after"; echo "before $REDIS_URL $OTHERS $WATCHED after" >&2'
    options = ["--log-level", "debug", "--log-format", log]
    for target, status in (("v1", 0), ("v2", 3)):
        done = call(None, "migrate", "--target", target, *options, env=base_env(
            REDIS_URL=url, LOCKSTEP_NAME="default", LOCKSTEP_LEASE="3s", THE_PASSWORD=password, WATCHED=watched, OTHERS=others,
            LOCKSTEP_MIGRATE=f"{say}; exit {status} # {url}"))
        assert done.returncode == status, done.stderr
        assert re.search(rb"before .* between .* after", done.stdout + done.stderr)
        assert leaks(done.stdout, done.stderr) == []
    assert [run["state"] for run in gate.runs()] == ["succeeded", "failed"]
    assert all(b"between" in run["output"] for run in gate.runs())
    assert leaks(*everything(gate), str(redis.sessions())) == []


@pytest.mark.parametrize("log", ["text", "json"])
def test_while_migrating(log, login, door, spawn, tmp_path):
    """Secrets: while a migration runs: no argv and no thread name of lockstep, leash or command has it; their environment does,
    since the app needs REDIS_URL. A waiter prints the run's last line and, in the end, its tail."""
    gate, url = login(f"{HEAD}@{TAIL}")
    words = ["--name", "default", "--target", "v1", "--lease", "3s", "--log-format", log, "--log-level", "debug", "--", "/bin/true"]
    migrate = f"echo connecting to $REDIS_URL; {tool('actor')} hold {door} 5"
    replica = spawn([BIN, "--migrate", migrate, *words], env=base_env(REDIS_URL=url))
    replica.wait_line("ready")
    for pid in marked(replica.mark):
        assert leaks(Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/comm").read_bytes()) == []
        assert url.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    (tmp_path / "url").write_text(url)
    waiter = spawn([BIN, "--migrate", "true", *words], env=base_env(LOCKSTEP_LOCK_FILE=str(tmp_path / "url")))
    waiter.wait_line("waiting for run")
    door.open()
    assert (replica.finish(), waiter.finish()) == (5, 5)
    assert any("connecting to" in line for line in waiter.err), "the tail of the failed run"
    assert leaks(*replica.err, *replica.out, *waiter.err, *waiter.out, *everything(gate)) == []
