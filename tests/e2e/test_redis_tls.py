"""rediss://: who is let in and who is not, with words that say what to do; a whole migration over TLS; connections that are cut
at every step of it. Issue 3: right CA, wrong CA, wrong host name, expired certificate, client certificate."""

import operator
import shutil
import signal

import pytest

from harness.certs import openssl
from harness.proxy import DOWN, UP
from harness.redis import KINDS, Server
from harness.verdict import assert_refused, assert_says, error_of, warnings_of
from harness.waiting import eventually

@pytest.fixture
def stage(new_stage):
    return new_stage()


def paths(certs, parameters):
    """{"cacert": "ca", "cert": "client.cert"} with the paths of these certificates; other values as they are."""
    def path(word):
        try:
            return operator.attrgetter(word)(certs)
        except AttributeError:
            return word
    return {name: path(word) for name, word in parameters.items()}


# --- the server's certificate -------------------------------------------------------------------------------------

ACCEPTED = {  # name: (the server's certificate, host, parameters)
    "CA": ("right", "localhost", {"cacert": "ca"}),
    "address": ("address", "127.0.0.1", {"cacert": "ca"}),
    "encoded host": ("right", "local%68ost", {"cacert": "ca"}),
    "redis-py": ("right", "localhost", {"ssl_ca_certs": "ca", "ssl_cert_reqs": "required"}),
    "Celery": ("right", "localhost", {"ssl_ca_certs": "ca", "ssl_cert_reqs": "CERT_REQUIRED"}),
    "insecure, any CA": ("impostor", "localhost", {"insecure": "1"}),
    "insecure, any name": ("wrong_name", "127.0.0.1", {"insecure": "yes", "cacert": "ca"}),
    "insecure, expired": ("expired", "localhost", {"insecure": "true", "cacert": "ca"}),
    "insecure, redis-py": ("right", "localhost", {"ssl_cert_reqs": "none"}),
    "insecure, Celery": ("right", "localhost", {"ssl_cert_reqs": "CERT_NONE"}),
}


@pytest.mark.parametrize("case", ACCEPTED)
def test_accepted(case, redises, certs, stage):
    """Let in: the look gets its answer (1, pending)."""
    certificate, host, parameters = ACCEPTED[case]
    server = redises(tls=getattr(certs, certificate))
    stage.start(url=server.url(db=3, host=host, **paths(certs, parameters)), verb="check").expect_exit(1)


REFUSED = {
    "wrong CA": ("right", "localhost", {"cacert": "other_ca"}, ("cannot be verified", "cacert=FILE", "SSL_CERT_FILE")),
    "no CA": ("right", "localhost", {}, ("cannot be verified", "cacert=FILE", "SSL_CERT_FILE")),
    "of another CA": ("impostor", "localhost", {"cacert": "ca"}, ("cannot be verified", "cacert=FILE")),
    "wrong host name": ("wrong_name", "localhost", {"cacert": "ca"}, ("for another name", "hostname mismatch")),
    "name instead of address": ("right", "127.0.0.1", {"cacert": "ca"}, ("for another name", "IP address mismatch")),
    "address instead of name": ("address", "localhost", {"cacert": "ca"}, ("for another name", "hostname mismatch")),
    "expired": ("expired", "localhost", {"cacert": "ca"}, ("not valid now", "expired")),
    "not insecure": ("impostor", "localhost", {"cacert": "ca", "insecure": "0"}, ("cannot be verified",)),
    "not insecure, redis-py": ("impostor", "localhost", {"ssl_ca_certs": "ca", "ssl_cert_reqs": "required"}, ("cannot be verified",)),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case, redises, certs, stage):
    """Not let in by us: 125 at once, the server named, what is wrong and what to do."""
    certificate, host, parameters, words = REFUSED[case]
    server = redises(tls=getattr(certs, certificate))
    assert_refused(stage, server.url(host=host, **paths(certs, parameters)), f"{host}:{server.port}", *words)


def test_words_do_not_depend_on_who_is_quicker(redises, certs, stage):
    """The server may have answered before our first read, or not: each of many looks says the same."""
    server = redises(tls=certs.right)
    replicas = [stage.start(url=server.url(cacert=certs.other_ca), verb="check") for _ in range(25)]
    assert len({error_of(replica) for replica in replicas}) == 1


def test_ssl_cert_file(redises, certs, stage):
    """SSL_CERT_FILE names the CA where the URL names none."""
    server = redises(tls=certs.right)
    for parameters, file, status in (({}, certs.ca, 1), ({}, certs.other_ca, 125), ({"cacert": certs.ca}, certs.other_ca, 1),
                                     ({"cacert": certs.other_ca}, certs.ca, 125)):
        stage.start(url=server.url(**parameters), verb="check", env={"SSL_CERT_FILE": str(file)}).expect_exit(status)


def test_the_systems_authorities(redises, certs, stage, tmp_path):
    """Without a word about it: those in /etc/ssl/certs, where most images have them."""
    server = redises(tls=certs.right)
    store = tmp_path / "certs"
    store.mkdir()
    inside = ("unshare", "--mount", "sh", "-c", f'mount --bind {store} /etc/ssl/certs && exec "$@"', "sh")
    assert_says(error_of(stage.start(url=server.url(), verb="check", inside=inside)), "cannot be verified")
    shutil.copy(certs.ca, store)
    openssl(store, "rehash", ".")
    stage.start(url=server.url(), verb="check", inside=inside).expect_exit(1)


def test_several_authorities_in_one_file(redises, certs, stage, tmp_path):
    """A bundle, as clouds hand out."""
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certs.other_ca.read_bytes() + certs.ca.read_bytes())
    for certificate in (certs.right, certs.impostor):
        stage.start(url=redises(tls=certificate).url(cacert=bundle), verb="check").expect_exit(1)


# --- our certificate ----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("kind, protocol", [("redis", "TLSv1.2"), *((kind, "TLSv1.3") for kind in KINDS)])
def test_client_certificate(kind, protocol, redises, certs, stage):
    """Demanded by the server: given under either name, missing, and of an authority that it does not know. With TLS 1.3 we
    learn of it only after the handshake, when the first command is on its way."""
    server = redises(kind, tls=certs.right, client_ca=certs.ca, tls_protocols=f'"{protocol}"')
    ours = {"cacert": certs.ca, "cert": certs.client.cert, "key": certs.client.key}
    stage.start(url=server.url(**ours), verb="check").expect_exit(1)
    other_names = {"ssl_ca_certs": certs.ca, "ssl_certfile": certs.client.cert, "ssl_keyfile": certs.client.key}
    stage.start(url=server.url(**other_names), verb="check").expect_exit(1)
    assert_refused(stage, server.url(cacert=certs.ca), f"localhost:{server.port}", "demands a client certificate", "cert=FILE&key=FILE")
    assert_refused(stage, server.url(**ours | {"cert": certs.stranger.cert, "key": certs.stranger.key}), f"localhost:{server.port}",
                   "client certificate", "CA")


def test_client_certificate_words_do_not_depend_on_who_is_quicker(redises, certs, stage):
    """The server's alert and the end of the connection race with our first command; the alert is told in any case."""
    server = redises(tls=certs.right, client_ca=certs.ca)
    replicas = [stage.start(url=server.url(cacert=certs.ca), verb="check") for _ in range(25)]
    assert len({error_of(replica) for replica in replicas}) == 1


def test_old_protocol(redises, certs, stage):
    """A server that has nothing newer than TLS 1.1."""
    server = redises(tls=certs.right, tls_protocols='"TLSv1.1"', tls_ciphers='"DEFAULT:@SECLEVEL=0"')
    assert_refused(stage, server.url(cacert=certs.ca), "TLS 1.2", "tls-protocols")


# --- plain ports --------------------------------------------------------------------------------------------------

def test_tls_to_a_plain_port(redises, stage):
    """A plain Redis waits for the end of what it takes for a command, so there is nothing but silence."""
    server = redises()
    for verb in ("check", "migrate"):
        replica = stage.start("--connect-timeout", "1s", url=server.url(scheme="rediss"), verb=verb)
        assert_says(error_of(replica), "does not answer", "speak TLS")


@pytest.mark.parametrize("answer", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"-ERR what\r\n", b"\x15\x03\x01\x00\x02\x02\x46"],
                         ids=["http", "resp", "alert"])
def test_tls_to_something_else(answer, stage, talker):
    """Whatever answers there does not speak TLS, or not with us."""
    assert_refused(stage, f"rediss://127.0.0.1:{talker(answer)}", "TLS")


def test_plain_to_a_tls_port(redises, certs, stage):
    """The server hangs up; it may be one that restarts, so that is tried again, with the likely remedy."""
    server = redises(tls=certs.right)
    url = server.url(scheme="redis")
    assert_says(error_of(stage.start(url=url, verb="check")), "rediss://")
    replica = stage.start("--connect-timeout", "1s", url=url, verb="migrate")
    assert_says(error_of(replica), "rediss://")
    assert replica.saw("unavailable")


# --- files of the URL ---------------------------------------------------------------------------------------------

FILES = {  # name: (parameters, what the error names and says)
    "CA missing": ({"cacert": "/nonexistent/ca.pem"}, ("cacert=/nonexistent/ca.pem", "No such file")),
    "CA garbled": ({"cacert": "garbled"}, ("cacert=", "/garbled", "PEM")),
    "CA empty": ({"cacert": "empty"}, ("cacert=", "/empty", "PEM")),
    "CA is a folder": ({"cacert": "folder"}, ("cacert=", "/folder", "PEM")),
    "CA is a key": ({"cacert": "client.key"}, ("cacert=", "PEM")),
    "redis-py": ({"ssl_ca_certs": "/nonexistent/ca.pem"}, ("/nonexistent/ca.pem", "No such file")),
    "certificate missing": ({"cert": "/nonexistent/crt", "key": "client.key"}, ("cert=/nonexistent/crt", "No such file")),
    "certificate garbled": ({"cert": "garbled", "key": "client.key"}, ("cert=", "/garbled", "PEM")),
    "key missing": ({"cert": "client.cert", "key": "/nonexistent/key"}, ("key=/nonexistent/key", "No such file")),
    "key garbled": ({"cert": "client.cert", "key": "garbled"}, ("key=", "/garbled", "PEM")),
    "key of another": ({"cert": "client.cert", "key": "stranger.key"}, ("key=", "stranger.key", "mismatch", "key of cert")),
    "key with a passphrase": ({"cert": "client.cert", "key": "locked"}, ("key=", "/locked", "passphrase")),
}


@pytest.mark.parametrize("case", FILES)
def test_file_of_the_url(case, certs, stage, tmp_path):
    """Bad input: 64 before anything is connected to: the parameter, the file, what is wrong with it."""
    parameters, words = FILES[case]
    (tmp_path / "garbled").write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    (tmp_path / "empty").write_text("")
    (tmp_path / "folder").mkdir()
    openssl(tmp_path, "pkey", "-in", str(certs.client.key), "-aes256", "-passout", "pass:x", "-out", "locked")
    files = {name: tmp_path / path for name, path in paths(certs, parameters).items()}  # an absolute one stays
    query = "&".join(f"{name}={path}" for name, path in {"cacert": certs.ca, **files}.items())
    replica = stage.start(url=f"rediss://127.0.0.1:1?{query}", verb="migrate")
    assert_says(error_of(replica, 64), *words)
    assert not replica.saw("connecting") and not replica.saw("unavailable")


def test_file_that_may_not_be_read(certs, stage, tmp_path):
    """A key that belongs to root, in an image with another user."""
    key = tmp_path / "key"
    shutil.copy(certs.client.key, key)
    tmp_path.chmod(0o755)
    key.chmod(0o600)
    replica = stage.start(url=f"rediss://127.0.0.1:1?cacert={certs.ca}&cert={certs.client.cert}&key={key}", verb="check",
                          inside=("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"))
    assert_says(error_of(replica, 64), f"key={key}", "Permission denied")


# --- all of it ----------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def tls_server(root, certs):
    """Demands client certificates. One for all, because an established gate is older than Q."""
    server = Server(root, tls=certs.right, client_ca=certs.ca)
    try:
        yield server.start()
    finally:
        server.kill()


@pytest.fixture
def tls_gate(tls_server):
    return tls_server.gate().establish()


@pytest.fixture
def tls_url(tls_gate, certs):
    return lambda **kwargs: tls_gate.url(cacert=certs.ca, cert=certs.client.cert, key=certs.client.key, **kwargs)


@pytest.fixture
def tls_stage(new_stage, tls_gate, tls_url):
    return new_stage(tls_gate, url=tls_url())


def test_migration_with_waiters(tls_stage, tls_gate):
    """Cases 1 and 30: one runs, ten wait and hear of the end over TLS; everybody starts."""
    leader = tls_stage.leader()
    waiters = [tls_stage.waiter() for _ in range(10)]
    eventually(lambda: tls_gate.client().pubsub_numsub(tls_gate.key("wake"))[0][1] == 10, what="all waiters listen")
    tls_stage.release()
    tls_stage.expect_all_started([leader, *waiters])
    tls_stage.journal.assert_applied_once()
    assert tls_gate.states() == ["succeeded"]


def test_much_output(tls_stage, tls_gate):
    """Records larger than TLS's own, in both directions: 64 KiB of output are recorded, whoever waits shows the tail of them."""
    lines = "".join(f"line {i} {'x' * 80}\n" for i in range(2000))
    output = tls_stage.directory / "output"
    output.write_text(lines)
    leader = tls_stage.leader(migrate=tls_stage.script(f"$STAMP start; hold; cat {output}; $STAMP fail; exit 3"))
    waiter = tls_stage.waiter()
    tls_stage.release()
    leader.expect_exit(3)
    waiter.expect_exit(3)
    [run] = tls_gate.runs()
    assert len(run["output"]) > 60000 and lines.encode().endswith(run["output"])
    assert "line 1999 " in waiter.log


ENCRYPTED = rb"\x17\x03\x03"
STEPS = {"our hello": (UP, rb"\A\x16\x03"), "its hello": (DOWN, rb"\A\x16\x03"), "our first words": (UP, ENCRYPTED),
         "its first words": (DOWN, ENCRYPTED, "cut", lambda connection: connection.said(ENCRYPTED))}


@pytest.mark.parametrize("step", STEPS)
def test_cut_while_it_begins(step, tls_stage, tls_gate, tls_url, proxy):
    """Case 32 over TLS: a connection that ends at any step, without a goodbye, is no refusal: tried again."""
    way = proxy(tls_gate.server)
    trap = way.trap(*STEPS[step])
    replica = tls_stage.start(url=tls_url(port=way.port))
    trap.wait()
    tls_stage.expect_all_started([replica])
    assert replica.saw("unavailable") and tls_gate.states() == ["succeeded"]


@pytest.mark.parametrize("direction", [UP, DOWN])
def test_cut_with_a_heartbeat_in_flight(direction, tls_stage, tls_gate, tls_url, proxy):
    """The lease does not hang on the connection, over TLS as little as without: the holder connects again, the command goes on."""
    way = proxy(tls_gate.server)
    leader = tls_stage.leader(url=tls_url(port=way.port))
    for _ in range(3):
        way.trap(direction, ENCRYPTED).wait()
    tls_stage.release()
    tls_stage.expect_all_started([leader])
    assert tls_gate.states() == ["succeeded"] and not leader.saw("lost")
    assert any("could not be renewed" in warning for warning in warnings_of(leader))


def test_insecure_connection_that_is_cut(tls_stage, tls_gate, certs, proxy):
    """insecure=1: that the certificate is not verified is not taken for the reason of a later break."""
    way = proxy(tls_gate.server)
    leader = tls_stage.leader(url=tls_gate.url(port=way.port, insecure=1, cert=certs.client.cert, key=certs.client.key))
    way.trap(UP, ENCRYPTED).wait()
    tls_stage.release()
    tls_stage.expect_all_started([leader])
    assert tls_gate.states() == ["succeeded"]


@pytest.mark.parametrize("sig", [signal.SIGTERM, signal.SIGKILL])
def test_server_restarts(sig, redises, certs, stage):
    """Case 13 over TLS: whoever waits goes on when the server is back."""
    gate = redises(tls=certs.right).gate(3)
    waiter = stage.start(url=gate.url(cacert=certs.ca), verb="wait", app=None)
    waiter.wait_event("connected")
    gate.server.stop(sig)
    waiter.wait_event("unavailable")
    gate.server.start()
    gate.satisfy()
    waiter.expect_exit(0)


def test_sentinels(sentinels, certs, new_stage):
    """rediss+sentinel://: sentinels and servers by TLS; a migration with waiters goes on over a failover."""
    group = sentinels(tls=certs.address)
    stage = new_stage(group.gate(3), url=group.url(db=3, cacert=certs.ca))
    leader, waiter = stage.leader(), stage.waiter()
    stage.release()
    stage.expect_all_started([leader, waiter])
    assert_says(error_of(stage.start(url=group.url(), verb="check", target="v2")), "cannot be verified")
    plain = stage.start("--connect-timeout", "1s", url=group.url(scheme="redis+sentinel"), verb="check", target="v2")
    assert_says(error_of(plain), "rediss")
