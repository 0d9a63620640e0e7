"""What the server refuses: exit 125, the server's own words, a remedy, and never the password.

Final refusals end at once, whatever --connect-timeout says; what may pass is retried until it is over."""
import json
import secrets
import socket
import subprocess
import threading
import time

import pytest

from pidns import BIN, LONG, base_env

SECRET = "Zq7x-Kw9v"


def call(url, *words, verb="migrate", log="text", level="debug", target=True):
    """lockstep against this URL; the URL goes in by a variable, so that no argv has the password."""
    argv = [BIN, verb, *(["--target", "v1"] if target else []), "--log-format", log, "--log-level", level, *words]
    env = base_env(LOCKSTEP_LOCK=url, LOCKSTEP_MIGRATE="echo this-must-not-run; exit 77")
    start = time.monotonic()
    done = subprocess.run(argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    done.seconds = time.monotonic() - start
    assert SECRET not in done.stdout + done.stderr
    assert "this-must-not-run" not in done.stdout + done.stderr
    return done


def error_of(done):
    """The one error line of a run that could not go on."""
    assert done.returncode == 125, (done.returncode, done.stderr)
    errors = [line for line in done.stderr.splitlines() if line.startswith("lockstep: error: ")]
    assert errors and errors[-1] == done.stderr.splitlines()[-1], done.stderr
    return errors[-1]


@pytest.fixture
def closed_port():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
def role(cluster):
    """A role of its own, with the password that no output may have, and no right but to connect."""
    name = f"r_{secrets.token_hex(4)}"
    cluster.make_role(name, SECRET)
    return name


def test_unreachable_is_retried_until_the_connect_timeout(closed_port):
    """Server errors: refused: retried for --connect-timeout at a stretch, then 125 with the system's words."""
    done = call(f"postgres://app:{SECRET}@127.0.0.1:{closed_port}/app", "--connect-timeout", "700ms")
    assert "refused" in error_of(done)
    assert 0.6 < done.seconds < 10


@pytest.mark.parametrize("verb", ["check"])
def test_check_is_one_look(verb, closed_port):
    """Server errors: `check` is one look: unreachable is 125 at once, whatever --connect-timeout says."""
    done = call(f"postgres://app:{SECRET}@127.0.0.1:{closed_port}/app", "--connect-timeout", "60s", verb=verb)
    assert "refused" in error_of(done)
    assert done.seconds < 5


def test_name_that_does_not_resolve():
    """Server errors: a host that does not resolve (yet) is retried, then 125; the message names the host."""
    done = call(f"postgres://app:{SECRET}@no-such-host.invalid/app", "--connect-timeout", "300ms")
    assert "no-such-host.invalid" in error_of(done)


def test_silent_server():
    """Server errors: a server that accepts and says nothing: --connect-timeout ends it."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        done = call(f"postgres://app:{SECRET}@127.0.0.1:{server.getsockname()[1]}/app", "--connect-timeout", "500ms")
    error_of(done)
    assert done.seconds < 10


@pytest.mark.parametrize("words", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n", b"", b"\x00" * 64,
                                   b"E\xff\xff\xff\xff"],
                         ids=["http", "ssh", "closes", "zeros", "huge-length"])
def test_server_that_is_no_postgres(words):
    """Server errors: whatever listens there is no Postgres: 125, one error line, no crash."""
    def answer(server):
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            with peer:
                peer.recv(4096)
                peer.sendall(words)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        done = call(f"postgres://app:{SECRET}@127.0.0.1:{server.getsockname()[1]}/app", "--connect-timeout", "500ms")
        server.shutdown(socket.SHUT_RDWR)
    error_of(done)


def test_wrong_password(database, role):
    """Server errors: 28P01 ends at once: the server's words, and what to set."""
    done = call(database.url(role=role, password=SECRET + "x"), "--connect-timeout", "60s")
    said = error_of(done)
    assert f'password authentication failed for user "{role}"' in said
    assert len(said.partition(f'for user "{role}"')[2]) > 20, "and a remedy behind them"
    assert done.seconds < 10


def test_no_password(database, role):
    """Server errors: no password at all: at once, and the remedy names the place."""
    url = database.url(role=role).replace(":e2e-app@", "@")
    done = call(url, "--connect-timeout", "60s")
    assert "password" in error_of(done)
    assert done.seconds < 10


def test_no_such_database(cluster, role):
    """Server errors: 3D000 ends at once; the remedy: create it, or let --lock name a maintenance database."""
    done = call(cluster.url("no_such_db", role=role, password=SECRET), "--connect-timeout", "60s")
    said = error_of(done)
    assert 'database "no_such_db" does not exist' in said
    assert "create" in said.lower() and "--lock" in said
    assert done.seconds < 10


@pytest.mark.parametrize("auth, says", [("md5", "password authentication failed"), ("scram-sha-256", "SASL authentication failed")])
def test_wrong_password_at_a_pooler(auth, says, database, bouncer):
    """Server errors: PgBouncer says 08P01 to a wrong password: at once as well, with the same remedy."""
    url = bouncer(database, "transaction", auth_type=auth).url(database).replace(":e2e-app@", f":{SECRET}@")
    done = call(url, "--connect-timeout", "60s")
    said = error_of(done)
    assert says in said and "check user and password" in said
    assert done.seconds < 10


def test_no_such_database_at_a_pooler(database, bouncer):
    """Server errors: PgBouncer's 08P01 for a database that it does not have: at once."""
    url = bouncer(database, "transaction").url(database).replace(database.name, "no_such_db")
    done = call(url, "--connect-timeout", "60s")
    said = error_of(done)
    assert "no such database" in said and "among its databases" in said
    assert done.seconds < 10


def test_no_permission_to_connect(database, role):
    """Server errors: 42501 at connect: at once, with the server's words and the GRANT that is missing."""
    database.query(f'REVOKE CONNECT ON DATABASE "{database.name}" FROM PUBLIC')
    done = call(database.url(role=role, password=SECRET), "--connect-timeout", "60s")
    said = error_of(done)
    assert "permission denied for database" in said
    assert f'GRANT CONNECT ON DATABASE "{database.name}" TO "{role}"' in said
    assert done.seconds < 10


def test_no_permission_to_create(database, role):
    """Server errors: the records cannot be created: the message names the GRANT and `lockstep schema`."""
    done = call(database.url(role=role, password=SECRET), "--connect-timeout", "60s")
    said = error_of(done)
    assert "permission denied for database" in said
    assert "GRANT" in said and "lockstep schema" in said
    assert done.seconds < 10


def test_remedy_of_the_missing_permission_works(database, role):
    """DESIGN 1 (schema): what `lockstep schema` prints, applied by a DBA, and the plain rights on it: the migration
    is run by a role that may create nothing itself."""
    ddl = subprocess.run([BIN, "schema"], env=base_env(), capture_output=True, text=True, timeout=LONG, check=True).stdout
    database.query(ddl)
    database.query(f'GRANT USAGE ON SCHEMA lockstep TO "{role}"; '
                   f'GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA lockstep TO "{role}"')
    env = base_env(LOCKSTEP_LOCK=database.url(role=role, password=SECRET))
    done = subprocess.run([BIN, "migrate", "--target", "v1", "--migrate", "true"], env=env, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr
    assert database.states() == ["succeeded"]


def test_records_that_may_not_be_read(database, role):
    """Server errors: the tables are there but this role may not read them: 42501, the GRANT is named."""
    ddl = subprocess.run([BIN, "schema"], env=base_env(), capture_output=True, text=True, timeout=LONG, check=True).stdout
    database.query(ddl)
    done = call(database.url(role=role, password=SECRET), "--connect-timeout", "60s")
    said = error_of(done)
    assert "permission denied for" in said and "GRANT" in said
    assert done.seconds < 10


def test_hot_standby(clusters):
    """Server errors: a hot standby is refused as a meeting place (it may be promoted yet, so it is retried first)."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary).start()
    done = call(standby.url(database.name).replace("e2e-app", SECRET), "--connect-timeout", "1s")
    assert "password" in error_of(done)
    done = call(database.at(standby).url(), "--connect-timeout", "1s")
    said = error_of(done)
    assert "standby" in said and "primary" in said


@pytest.mark.parametrize("query", ["", "?target_session_attrs=any", "?targetServerType=preferSecondary"])
def test_several_hosts_a_standby_first(query, clusters):
    """Of several hosts it is the primary where replicas meet, whatever the app wishes for itself."""
    primary = clusters()
    database = primary.database()
    standby = clusters.standby(primary).start()
    url = database.url().replace(f"127.0.0.1:{primary.port}", f"127.0.0.1:{standby.port},127.0.0.1:{primary.port}") + query
    assert str(standby.port) in url
    done = subprocess.run([BIN, "migrate", "--target", "v1", "--migrate", "true"], env=base_env(LOCKSTEP_LOCK=url), stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=LONG, check=False)
    assert done.returncode == 0, done.stderr
    assert database.states() == ["succeeded"]


def test_ssl_is_required_and_not_there(database, role):
    """Server errors: sslmode=require against a server without TLS: 125 in libpq's words, never in the clear."""
    done = call(database.url(role=role, password=SECRET) + "?sslmode=require", "--connect-timeout", "500ms")
    assert "SSL" in error_of(done)


def test_json_error_of_the_server(database, role):
    """Server errors in JSON: an object with event error, code 125 and the words."""
    done = call(database.url(role=role, password=SECRET + "x"), log="json")
    last = json.loads(done.stderr.splitlines()[-1])
    assert (done.returncode, last["event"], last["level"], last["code"]) == (125, "error", "error", 125)
    assert "password authentication failed" in last["message"]
