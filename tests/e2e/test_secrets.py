"""No secret ever gets out: not in a log, an error, a record, or an argv of ours. (Redis: test_secrets_redis.py.)"""
import json
import os
import socket
import struct
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import pytest

from harness.secrecy import HEAD, MODES, P, TAIL, all_argv, call, leaks
from pidns import BIN, LONG, Gate, actor, base_env, descendants, marked, tool, door, gate, spawn  # noqa: F401 (fixtures)

class FakePostgres:
    """Speaks as much of the protocol as a wrong password needs: asks for it in the clear, so that we see that the URL
    was understood, looks into every argv of the machine at that moment, and refuses it."""

    def __init__(self):
        self.server = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = self.server.getsockname()[1]
        self.passwords, self.argv_leaks = [], []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.server.accept()
            except OSError:
                return
            threading.Thread(target=self._talk, args=(peer,), daemon=True).start()

    @staticmethod
    def _exactly(peer, n):
        data = b""
        while len(data) < n:
            more = peer.recv(n - len(data))
            if not more:
                raise ConnectionError
            data += more
        return data

    def _talk(self, peer):
        with peer:
            try:
                while True:
                    length, code = struct.unpack("!ii", self._exactly(peer, 8))
                    body = self._exactly(peer, length - 8)
                    if code == 3 << 16:
                        break
                    peer.sendall(b"N")  # no TLS, no GSS
                words = body.split(b"\0")
                user = dict(zip(words[::2], words[1::2])).get(b"user", b"")
                peer.sendall(b"R" + struct.pack("!ii", 8, 3))
                kind, length = struct.unpack("!ci", self._exactly(peer, 5))
                if kind == b"p":
                    self.passwords.append(self._exactly(peer, length - 4).rstrip(b"\0"))
                self.argv_leaks += leaks(*all_argv())
                text = b"SFATAL\0VFATAL\0C28P01\0Mpassword authentication failed for user \"" + user + b"\"\0\0"
                peer.sendall(b"E" + struct.pack("!i", len(text) + 4) + text)
            except (OSError, struct.error):
                pass

    def close(self):
        self.server.shutdown(socket.SHUT_RDWR)
        self.server.close()


@pytest.fixture(scope="module")
def fake():
    server = FakePostgres()
    yield server
    server.close()


# (name, URL with {p} for the port, the password that must arrive; None: it is refused before or goes elsewhere)
URLS = [
    ("plain", "postgres://app:" + P.format("") + "@127.0.0.1:{p}/db", P.format("")),
    ("scheme-long", "postgresql://app:" + P.format("") + "@127.0.0.1:{p}/db", P.format("")),
    ("encoded-at", "postgres://app:" + P.format("%40") + "@127.0.0.1:{p}/db", P.format("@")),
    ("raw-at", "postgres://app:" + P.format("@") + "@127.0.0.1:{p}/db", P.format("@")),
    ("raw-hash", "postgres://app:" + P.format("#") + "@127.0.0.1:{p}/db", P.format("#")),
    ("encoded-hash", "postgres://app:" + P.format("%23") + "@127.0.0.1:{p}/db", P.format("#")),
    ("encoded-space", "postgres://app:" + P.format("%20") + "@127.0.0.1:{p}/db", P.format(" ")),
    ("raw-colon", "postgres://app:" + P.format(":") + "@127.0.0.1:{p}/db", P.format(":")),
    ("encoded-colon", "postgres://app:" + P.format("%3a") + "@127.0.0.1:{p}/db", P.format(":")),
    ("encoded-slash", "postgres://app:" + P.format("%2F") + "@127.0.0.1:{p}/db", P.format("/")),
    ("encoded-question", "postgres://app:" + P.format("%3F") + "@127.0.0.1:{p}/db", P.format("?")),
    ("encoded-percent", "postgres://app:" + P.format("%25") + "@127.0.0.1:{p}/db", P.format("%")),
    ("raw-unicode", "postgres://app:" + P.format("pässwörd-漢") + "@127.0.0.1:{p}/db", P.format("pässwörd-漢")),
    ("encoded-unicode", "postgres://app:" + P.format("%C3%A4") + "@127.0.0.1:{p}/db", P.format("ä")),
    ("plus-is-a-plus", "postgres://app:" + P.format("+") + "@127.0.0.1:{p}/db", P.format("+")),
    ("quotes", "postgres://app:" + P.format("%27%22%5C") + "@127.0.0.1:{p}/db", P.format("'\"\\")),
    ("raw-quotes", "postgres://app:" + P.format("'\"\\") + "@127.0.0.1:{p}/db", P.format("'\"\\")),
    ("newline", "postgres://app:" + P.format("%0A") + "@127.0.0.1:{p}/db", P.format("\n")),
    ("ampersand", "postgres://app:" + P.format("&=;") + "@127.0.0.1:{p}/db", P.format("&=;")),
    ("long", "postgres://app:" + P.format("x" * 600) + "@127.0.0.1:{p}/db", P.format("x" * 600)),
    ("query", "postgres://app@127.0.0.1:{p}/db?password=" + P.format("%26"), P.format("&")),
    ("query-among-others", "postgres://app@127.0.0.1:{p}/db?sslmode=disable&password=" + P.format("") + "&connect_timeout=9",
     P.format("")),
    ("everything-in-the-query", "postgresql:///?host=127.0.0.1&port={p}&user=app&dbname=db&password=" + P.format("%3D"),
     P.format("=")),
    ("two-hosts", "postgres://app:" + P.format("") + "@127.0.0.1:{p},127.0.0.1:{p}/db", P.format("")),
    ("no-database", "postgres://app:" + P.format("") + "@127.0.0.1:{p}", P.format("")),
    ("encoded-user", "postgres://a%40b:" + P.format("") + "@127.0.0.1:{p}/db", P.format("")),
    ("upper-case-scheme", "Postgres://app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("raw-percent", "postgres://app:" + P.format("%") + "@127.0.0.1:{p}/db", None),
    ("broken-escape", "postgres://app:" + P.format("%zz") + "@127.0.0.1:{p}/db", None),
    ("encoded-nul", "postgres://app:" + P.format("%00") + "@127.0.0.1:{p}/db", None),
    ("raw-slash", "postgres://app:" + P.format("/") + "@127.0.0.1:{p}/db", None),
    ("raw-question", "postgres://app:" + P.format("?") + "@127.0.0.1:{p}/db", None),
    ("raw-at-and-slash", "postgres://app:" + HEAD + "@a/" + TAIL + "@127.0.0.1:{p}/db", None),
    ("raw-slash-and-question", "postgres://app:" + HEAD + "/a?" + TAIL + "=1@127.0.0.1:{p}/db", None),
    ("raw-space", "postgres://app:" + P.format(" ") + "@127.0.0.1:{p}/db", None),
    ("raw-newline", "postgres://app:" + P.format("\n") + "@127.0.0.1:{p}/db", None),
    ("query-raw-ampersand", "postgres://app@127.0.0.1:{p}/db?password=" + P.format("&"), None),
    ("query-raw-ampersand-equals", "postgres://app@127.0.0.1:{p}/db?password=" + HEAD + "&" + TAIL + "=", None),
    ("sslpassword", "postgres://app@127.0.0.1:{p}/db?sslpassword=" + P.format("") + "&sslmode=verify-full", None),
    ("bad-port", "postgres://app:" + P.format("") + "@127.0.0.1:port/db", None),
    ("port-out-of-range", "postgres://app:" + P.format("") + "@127.0.0.1:99999999/db", None),
    ("password-as-port", "postgres://127.0.0.1:" + P.format("") + "/db", None),
    ("open-bracket", "postgres://app:" + P.format("") + "@[::1/db", None),
    ("unknown-parameter", "postgres://app:" + P.format("") + "@127.0.0.1:{p}/db?schema_=x", None),
    ("key-value", "host=127.0.0.1 port={p} user=app password=" + P.format(""), None),
    ("key-value-quoted", "host=127.0.0.1 port={p} password='" + P.format(" ") + "' user=app", None),
    ("mysql", "mysql://app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("mistyped-scheme", "postgre://app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("no-slashes", "postgres:app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("no-scheme", "app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("leading-space", " postgres://app:" + P.format("") + "@127.0.0.1:{p}/db", None),
    ("quoted-by-compose", '"postgres://app:' + P.format("") + '@127.0.0.1:{p}/db"', None),
]


@pytest.mark.parametrize("name, url, password", URLS, ids=[u[0] for u in URLS])
def test_url_never_gets_out(name, url, password, fake):
    """Secrets: one odd URL, every log level, text and JSON: the password arrives at the server as it was meant (where
    the URL can be understood), and nothing of it is in stdout, stderr or an argv; the end is 125 or 64, no crash."""
    url = url.replace("{p}", str(fake.port))

    def one(mode):
        level, log = mode
        return call(url, "check", "--target", "v1", "--log-level", level, "--log-format", log, "--connect-timeout", "1s")

    before = len(fake.passwords)
    with ThreadPoolExecutor(len(MODES)) as pool:
        results = list(pool.map(one, MODES))
    assert leaks(*[text for done in results for text in (done.stdout, done.stderr)]) == []
    assert fake.argv_leaks == []
    assert {done.returncode for done in results} <= ({125} if password is not None else {64, 125}), results
    for (_, log), done in zip(MODES, results):
        assert done.stderr, "it said why"
        if log == "json":
            assert all(json.loads(line) for line in done.stderr.splitlines())
    if password is not None:
        assert set(fake.passwords[before:]) == {password.encode()}


@pytest.mark.parametrize("variable", ["LOCKSTEP_LOCK", "LOCKSTEP_DATABASE", "DATABASE_URL"])
def test_url_from_a_file(variable, fake, tmp_path):
    """Secrets: in _FILE: the value is understood (the trailing newlines cut) and neither said nor put into an argv."""
    secret = tmp_path / "url"
    secret.write_text(f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:{fake.port}/db\n\n")
    before = len(fake.passwords)
    for level, log in MODES:
        env = base_env(**{f"{variable}_FILE": str(secret)})
        done = call(None, "check", "--target", "v1", "--log-level", level, "--log-format", log, env=env)
        assert done.returncode == 125, done.stderr
        assert leaks(done.stdout, done.stderr) == []
    assert fake.argv_leaks == []
    assert set(fake.passwords[before:]) == {f"{HEAD}@{TAIL}".encode()}


@pytest.mark.parametrize("log", ["text", "json"])
def test_file_with_rubbish(log, tmp_path):
    """Secrets: a _FILE that holds something that is no URL (the bare password, a private key): none of it is said."""
    secret = tmp_path / "secret"
    for rubbish in (f"{HEAD}{TAIL}\n", f"-----BEGIN KEY-----\n{HEAD}\n{TAIL}\n", f"postgres://app:{HEAD}\n{TAIL}@h/d\n"):
        secret.write_text(rubbish)
        env = base_env(LOCKSTEP_LOCK_FILE=str(secret))
        done = call(None, "check", "--target", "v1", "--log-level", "debug", "--log-format", log, "--connect-timeout",
                    "200ms", env=env)
        assert done.returncode in (64, 125)
        assert leaks(done.stdout, done.stderr) == []


def test_url_as_a_flag_is_masked_in_errors(fake):
    """Secrets: the user put the URL into --lock himself: the argv has it, but no line of ours repeats it."""
    for bad in (f"postgres://app:{HEAD}{TAIL}@127.0.0.1:{fake.port}/db", f"postgre://app:{HEAD}{TAIL}@h/db",
                f"--lock=postgres://app:{HEAD}{TAIL}@h:x/db"):
        words = [bad] if bad.startswith("--") else ["--lock", bad]
        done = subprocess.run([BIN, "check", "--target", "v1", "--log-level", "debug", *words], env=base_env(), check=False,
                              stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG)
        assert done.returncode in (64, 125)
        assert leaks(done.stdout, done.stderr) == []


@pytest.mark.parametrize("odd", ["", "x" * 80, " ", "'", "/", "@", "%40"], ids=["plain", "long", "space", "quote", "slash",
                                                                              "at", "encoded"])
@pytest.mark.parametrize("words", [["--lokc", "{}"], ["--lokc={}"], ["{}"], ["--{}"], ["--name", "{}"], ["--lease", "{}"],
                                   ["--log-level", "{}"], ["--target-files", "{}"]], ids=repr)
def test_url_in_the_wrong_place(words, odd):
    """Secrets: the URL behind a mistyped option, as a surplus word, as another option's value: usage errors quote what
    was wrong, but not a URL's password, also when the quotation is cut in the middle of it."""
    url = f"postgres://app:{HEAD}{odd}{TAIL}@127.0.0.1:1/db"
    done = subprocess.run([BIN, "check", "--target", "v1", "--lock", "file:/nowhere", *[w.format(url) for w in words]],
                          env=base_env(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, check=False)
    assert done.returncode == 64
    assert leaks(done.stdout, done.stderr) == []


def test_url_as_the_command():
    """Secrets: --lock=URL in the place of the COMMAND is executed as a program: not found, and not said."""
    done = subprocess.run([BIN, "run", "--target", "v1", "--migrate", "true", "--lock", "file:/nowhere", "--",
                           f"postgres://app:{HEAD}{TAIL}@127.0.0.1:1/db"],
                          env=base_env(), stdin=subprocess.DEVNULL, capture_output=True, timeout=LONG, check=False)
    assert done.returncode in (126, 127)
    assert leaks(done.stdout, done.stderr) == []


@pytest.mark.parametrize("log", ["text", "json"])
def test_no_secret_in_any_argv_or_record_while_migrating(log, gate, door, spawn):
    """Secrets: while a migration runs: no argv and no thread name of lockstep, leash or command has it, no line of the
    log, and no file of the gate; the command's environment does, since it needs it."""
    url = f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:1/db"
    env = base_env(DATABASE_URL=url, REDIS_URL=f"redis://:{HEAD}{TAIL}@127.0.0.1:1/0")
    app = [tool("actor"), "args", "up"]
    replica = spawn(gate.argv(actor("hold", door), "--log-level", "debug", app=app, log=log), env=env)
    replica.wait_line("ready")
    processes = marked(replica.mark)
    assert len(processes) >= 3 and set(descendants(replica.pid)) <= set(processes)
    for pid in processes:
        assert leaks(Path(f"/proc/{pid}/cmdline").read_bytes(), Path(f"/proc/{pid}/comm").read_bytes()) == []
        assert url.encode() in Path(f"/proc/{pid}/environ").read_bytes()
    waiter = spawn(gate.argv("true", "--log-level", "debug", app=["/bin/true"], log=log), env=env)
    waiter.wait_line("wait")
    door.open()
    assert (replica.finish(), waiter.finish()) == (0, 0)
    assert leaks(*replica.err, *replica.out, *waiter.err, *waiter.out) == []
    assert leaks(*[file.read_bytes() for file in gate.dir.iterdir()]) == []


@pytest.mark.parametrize("form", ["shell", "exec"])
def test_url_in_the_command_is_masked_in_log_and_record(form, gate, spawn):
    """Secrets: "a URL never appears in a log, an error or a recorded run without its password masked": also one that
    the user wrote into --migrate. (The argv of the command itself is his.)"""
    url = f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:1/db"
    migrate = f"true {url} --x" if form == "shell" else json.dumps(["/bin/true", url])
    replica = spawn(gate.argv(migrate, "--log-level", "debug", app=["/bin/true"]))
    assert replica.finish() == 0
    failing = spawn(Gate(gate.dir, "other").argv("exit 3 # " + url, "--log-level", "debug", app=["/bin/true"]))
    assert failing.finish() == 3
    assert leaks(*replica.err, *failing.err) == []
    assert leaks(*[file.read_bytes() for file in gate.dir.iterdir()]) == []


@pytest.mark.parametrize("log", ["text", "json"])
@pytest.mark.parametrize("what", ["url", "other-url", "password", "encoded-password", "key-value", "prisma-key"])
def test_output_of_the_migration_is_masked(what, log, gate, spawn, tmp_path):
    """Secrets: a tool that prints the URL it connects to (most do, at some log level): masked in our log, which a
    collector keeps, in the record, and in what a waiting or later replica shows of it. The rest of the line stays."""
    env = base_env(DATABASE_URL=f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:1/db")
    say = {"url": "$DATABASE_URL", "other-url": f"mysql://root:{HEAD}{TAIL}@h/d", "password": f"{HEAD}@{TAIL}",
           "encoded-password": f"{HEAD}%40{TAIL}", "key-value": f"host=h password={HEAD}@{TAIL} user=app",
           "prisma-key": f"prisma://accelerate.example/?api_key={HEAD}@{TAIL}"}[what]
    migrate = f'echo "before {say} after"; echo "before {say} after" >&2; exit 3'
    replica = spawn(gate.argv(migrate, "--log-level", "debug", app=["/bin/true"], log=log), env=env)
    assert replica.finish() == 3
    assert "before " in "".join(replica.err + replica.out) and " after" in "".join(replica.err + replica.out)
    assert leaks(*replica.err, *replica.out) == []
    assert leaks(*[file.read_bytes() for file in gate.dir.iterdir()]) == []


def test_waiter_does_not_show_the_secret_of_the_run_it_waits_for(gate, door, spawn):
    """Secrets: the last output line of another replica's run, and its tail when it failed, as a waiter prints them."""
    env = base_env(DATABASE_URL=f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:1/db")
    migrate = f"echo connecting to $DATABASE_URL; {tool('actor')} hold {door} 5"
    holder = spawn(gate.argv(migrate, app=["/bin/true"]), env=env)
    holder.wait_output("ready")
    waiter = spawn(gate.argv("true", "--log-level", "debug", app=["/bin/true"]))  # does not know the secret
    waiter.wait_event("waiting")
    door.open()
    assert (holder.finish(), waiter.finish()) == (5, 5)
    assert any("connecting to" in line for line in waiter.err), "the tail of the failed run"
    assert leaks(*waiter.err) == []


def test_url_in_the_app_is_masked_in_the_log(gate, spawn):
    """Secrets: the exec event and exec's errors name the COMMAND, not a URL among its words."""
    url = f"postgres://app:{HEAD}{TAIL}@127.0.0.1:1/db"
    replica = spawn(gate.argv("true", "--log-level", "debug", app=["/bin/true", url]))
    assert replica.finish() == 0
    assert leaks(*replica.err) == []


# --- a real server ----------------------------------------------------------------------------------------------

ODD_PASSWORDS = ["@", "#", " ", ":", "/", "?", "%", "ä", "+", "'\"\\", "&="]


@pytest.mark.parametrize("odd, log", [(odd, ("text", "json")[i % 2]) for i, odd in enumerate(ODD_PASSWORDS)], ids=repr)
def test_real_connection_with_an_odd_password(odd, log, cluster, database):
    """Secrets: real connects: the encoded password opens the door of a real server, a migration is recorded there, and
    neither log nor record nor the server's own session list has it."""
    password = HEAD + odd + TAIL
    role = f"s_{os.urandom(5).hex()}"
    cluster.query(f"CREATE ROLE {role} LOGIN PASSWORD %s", password)
    database.query(f'GRANT CREATE ON DATABASE "{database.name}" TO {role}')
    url = f"postgres://{role}:{quote(password, safe='')}@127.0.0.1:{cluster.port}/{database.name}"
    query_url = f"postgres://127.0.0.1:{cluster.port}/{database.name}?user={role}&password={quote(password, safe='')}"
    options = ["--target", "v1", "--log-level", "debug", "--log-format", log]
    try:
        done = call(url, "migrate", *options, LOCKSTEP_MIGRATE="echo migrated")
        assert done.returncode == 0, done.stderr
        assert call(query_url, "check", *options).returncode == 0
        assert leaks(done.stdout, done.stderr) == []
        records = database.query("SELECT r::text, encode(output, 'escape') AS o FROM lockstep.run r") \
            + database.query("SELECT g::text FROM lockstep.gate g") \
            + database.query("SELECT a::text FROM lockstep.applied a")
        assert records and leaks(*[str(value) for row in records for value in row.values()]) == []
    finally:
        database.query(f"DROP OWNED BY {role} CASCADE")
        cluster.query(f"DROP ROLE {role}")


def test_command_with_a_url_is_masked_in_the_database(database):
    """Secrets: lockstep.run.command and the recorded output's frame: a URL inside --migrate is masked there, too."""
    url = f"postgres://app:{HEAD}%40{TAIL}@127.0.0.1:1/db"
    done = call(database.url(), "migrate", "--target", "v1", "--log-level", "debug", LOCKSTEP_MIGRATE=f"true {url}")
    assert done.returncode == 0, done.stderr
    assert leaks(done.stdout, done.stderr) == []
    (row,) = database.query("SELECT r::text FROM lockstep.run r")
    assert leaks(row["r"]) == []
