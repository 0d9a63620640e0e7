"""sslmode=verify-full without sslrootcert, and rediss:// without cacert: the CA certificates of the image are found where its
distribution has them, or SSL_CERT_FILE names them; without any the error says so. Issue 4, point 2."""

import shutil

import pytest

from harness.certs import openssl
from harness.postgres import Cluster
from harness.redis import Server
from harness.verdict import assert_refused, assert_says, error_of

BUNDLES = {
    "Debian, Alpine, distroless": "ssl/certs/ca-certificates.crt",
    "Red Hat": "pki/tls/certs/ca-bundle.crt",
    "Red Hat, without the link": "pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "SUSE": "ssl/ca-bundle.pem",
    "Alpine without the package": "ssl/cert.pem",
}
DEBIAN = BUNDLES["Debian, Alpine, distroless"]
NONE = ("this image has no CA certificates", "install the package ca-certificates", "COPY", "SSL_CERT_FILE")


@pytest.fixture(scope="module")
def postgres(root, certs):
    """A PostgreSQL that can do TLS; it takes a key from its own user only."""
    key = root / "postgres.key"
    shutil.copy(certs.right.key, key)
    shutil.chown(key, "postgres", "postgres")
    key.chmod(0o600)
    cluster = Cluster.create(root, ssl="on", ssl_cert_file=certs.right.cert, ssl_key_file=key)
    try:
        yield cluster.start()
    finally:
        cluster.stop("immediate")


@pytest.fixture(scope="module")
def redis_server(root, certs):
    server = Server(root, tls=certs.right)
    try:
        yield server.start()
    finally:
        server.kill()


class Postgres:
    ca, remedy = "sslrootcert", "sslrootcert=FILE"

    def __init__(self, server):
        self.database = server.database()

    def url(self, host="localhost", **parameters):
        query = "&".join(f"{name}={value}" for name, value in {"sslmode": "verify-full", **parameters}.items() if value)
        return f"{self.database.url(host=host)}?{query}"


class Redis:
    ca, remedy = "cacert", "cacert=FILE"

    def __init__(self, server):
        self.server = server

    def url(self, **parameters):
        return self.server.url(db=3, **parameters)


@pytest.fixture(params=["postgres", "redis"])
def place(request):
    """A server that asks for TLS to be verified, of either kind."""
    return Postgres(request.getfixturevalue("postgres")) if request.param == "postgres" else Redis(request.getfixturevalue("redis_server"))


@pytest.fixture
def stage(new_stage):
    return new_stage()


@pytest.fixture
def image(folder):
    """image({path: file}): an /etc that has these files, and no other certificate; to be given as `inside`."""
    def make(files=()):
        etc = folder / f"etc-{len(list(folder.iterdir()))}"
        etc.mkdir()
        (etc / "hosts").write_text("127.0.0.1 localhost\n")
        for path, content in dict(files).items():
            (etc / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(content, etc / path)
        return ("unshare", "--mount", "--propagation", "private", "sh", "-c", f'mount --bind {etc} /etc && exec "$@"', "sh")
    return make


def expect_in(stage, url, inside, env=None):
    """Let in: the look gets its answer (1, pending)."""
    stage.start(url=url, verb="check", inside=inside, env=env).expect_exit(1)


# --- where it is --------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("system", BUNDLES)
def test_bundle_of_the_image(system, place, stage, image, certs):
    expect_in(stage, place.url(), image({BUNDLES[system]: certs.ca}))


def test_no_bundle(place, stage, image):
    """The error says what the image lacks and all that helps."""
    assert_refused(stage, place.url(), *NONE, place.remedy, "localhost", inside=image())


def test_empty_bundle_counts_for_none(place, stage, image, certs, tmp_path):
    """Some images have an empty file in the first place and the certificates in another."""
    (tmp_path / "empty").touch()
    expect_in(stage, place.url(), image({DEBIAN: tmp_path / "empty", "ssl/cert.pem": certs.ca}))


def test_another_authority(place, stage, image, certs):
    assert_refused(stage, place.url(), "cannot be verified", place.remedy, "SSL_CERT_FILE", inside=image({DEBIAN: certs.other_ca}))


def test_several_authorities(place, stage, image, certs, tmp_path):
    both = tmp_path / "both"
    both.write_bytes(certs.other_ca.read_bytes() + certs.ca.read_bytes())
    expect_in(stage, place.url(), image({DEBIAN: both}))


def test_named_in_the_url(place, stage, image, certs):
    """Whoever names a CA means that one, whatever the image has."""
    assert_refused(stage, place.url(**{place.ca: certs.other_ca}), "cannot be verified", str(certs.other_ca) if place.ca == "sslrootcert" else "",
                   inside=image({DEBIAN: certs.ca}))
    expect_in(stage, place.url(**{place.ca: certs.ca}), image({DEBIAN: certs.other_ca}))


# --- variables ----------------------------------------------------------------------------------------------------

def test_ssl_cert_file(place, stage, image, certs):
    """SSL_CERT_FILE stands before the image's; an empty one is none."""
    expect_in(stage, place.url(), image(), {"SSL_CERT_FILE": str(certs.ca)})
    inside = image({DEBIAN: certs.other_ca})
    expect_in(stage, place.url(), inside, {"SSL_CERT_FILE": str(certs.ca)})
    inside = image({DEBIAN: certs.ca})
    expect_in(stage, place.url(), inside, {"SSL_CERT_FILE": ""})
    assert_refused(stage, place.url(), "cannot be verified", inside=inside, env={"SSL_CERT_FILE": str(certs.other_ca)})


def test_ssl_cert_file_is_wrong(place, stage, image, certs, tmp_path):
    """64, the variable, the file, what is wrong; and no silent use of the image's."""
    inside = image({DEBIAN: certs.ca})
    for verb in ("check", "migrate"):
        replica = stage.start(url=place.url(), verb=verb, inside=inside, env={"SSL_CERT_FILE": "/nonexistent/ca.pem"})
        assert_says(error_of(replica, 64), "SSL_CERT_FILE: /nonexistent/ca.pem cannot be read: No such file")
    garbled = tmp_path / "garbled"
    garbled.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    replica = stage.start(url=place.url(), verb="check", inside=inside, env={"SSL_CERT_FILE": str(garbled)})
    replica.wait_exit()
    assert replica.process.returncode in (64, 125) and str(garbled) in replica.log, replica.story()


def test_ssl_cert_file_that_nobody_asks(stage, image, postgres, redis_server, certs):
    """It may be wrong as long as nothing is verified with it."""
    env = {"SSL_CERT_FILE": "/nonexistent/ca.pem"}
    for url in (Postgres(postgres).url(sslmode="require"), Postgres(postgres).url(sslrootcert=certs.ca),
                redis_server.url(db=3, insecure=1), redis_server.url(db=3, cacert=certs.ca)):
        expect_in(stage, url, image(), env)


def test_ssl_cert_dir(redis_server, stage, image, certs, tmp_path):
    """A folder with hashes, as OpenSSL has it, for Redis: libpq can be given none."""
    shutil.copy(certs.ca, tmp_path)
    openssl(tmp_path, "rehash", ".")
    url = redis_server.url(db=3)
    expect_in(stage, url, image(), {"SSL_CERT_DIR": str(tmp_path)})
    expect_in(stage, url, image({DEBIAN: certs.other_ca}), {"SSL_CERT_DIR": f"/nonexistent:{tmp_path}"})
    assert_refused(stage, url, "cannot be verified", inside=image({DEBIAN: certs.other_ca}), env={"SSL_CERT_DIR": "/nonexistent"})


# --- Postgres alone -----------------------------------------------------------------------------------------------

@pytest.fixture
def pg(postgres):
    return Postgres(postgres)


def test_libpqs_own_file(pg, stage, image, certs, tmp_path):
    """~/.postgresql/root.crt is what libpq takes; who has one means it."""
    (tmp_path / ".postgresql").mkdir()
    home = {"HOME": str(tmp_path)}
    shutil.copy(certs.ca, tmp_path / ".postgresql/root.crt")
    expect_in(stage, pg.url(), image({DEBIAN: certs.other_ca}), home)
    shutil.copy(certs.other_ca, tmp_path / ".postgresql/root.crt")
    assert_refused(stage, pg.url(), "cannot be verified with ~/.postgresql/root.crt", inside=image({DEBIAN: certs.ca}), env=home)


def test_libpqs_own_variables(pg, stage, image, certs):
    """PGSSLMODE asks as the URL does, PGSSLROOTCERT names as the URL does."""
    inside = image({DEBIAN: certs.ca})
    expect_in(stage, pg.url(sslmode=None), inside, {"PGSSLMODE": "verify-full"})
    assert_refused(stage, pg.url(), "cannot be verified", inside=inside, env={"PGSSLROOTCERT": str(certs.other_ca)})
    assert_refused(stage, pg.url(sslmode=None), *NONE, inside=image(), env={"PGSSLMODE": "verify-full"})


def test_libpqs_own_services(pg, stage, image, certs, tmp_path):
    """A service that the URL names may name the CA."""
    services, inside = tmp_path / "services", image({DEBIAN: certs.ca})
    env = {"PGSERVICEFILE": str(services)}
    services.write_text(f"[ours]\nsslrootcert={certs.ca}\n")
    expect_in(stage, pg.url(service="ours"), image(), env)
    services.write_text(f"[ours]\nsslrootcert={certs.other_ca}\n")
    assert_refused(stage, pg.url(service="ours"), "cannot be verified", inside=inside, env=env)


@pytest.mark.parametrize("mode", [None, "verify-full"])
def test_system(mode, pg, stage, image, certs):
    """sslrootcert=system asks for the same; libpq's own idea of it is OpenSSL's, which knows two places."""
    url = pg.url(sslmode=mode, sslrootcert="system")
    expect_in(stage, url, image({BUNDLES["Red Hat"]: certs.ca}))
    expect_in(stage, url, image(), {"SSL_CERT_FILE": str(certs.ca)})
    assert_refused(stage, url, "cannot be verified", inside=image({BUNDLES["Red Hat"]: certs.other_ca}))


def test_verify_ca_takes_no_public_authority(pg, stage, image, certs):
    """verify-ca looks at no name: whoever has a certificate of any authority could pose as the server. It needs the server's own."""
    assert_refused(stage, pg.url(sslmode="verify-ca"), "sslrootcert=FILE", "verify-full", inside=image({DEBIAN: certs.ca}))
    expect_in(stage, pg.url(sslmode="verify-ca", sslrootcert=certs.ca, host="127.0.0.1"), image())


def test_name_is_verified(pg, stage, image, certs):
    assert_refused(stage, pg.url(host="127.0.0.1"), "does not match host name", inside=image({DEBIAN: certs.ca}))


@pytest.mark.parametrize("mode", ["require", "prefer", "allow", "disable", None])
def test_weaker_modes_are_left_alone(mode, pg, stage, image, certs):
    expect_in(stage, pg.url(sslmode=mode, host="127.0.0.1"), image({DEBIAN: certs.other_ca}))


def test_migration_with_a_waiter(pg, new_stage, image, certs):
    """Both of the holder's connections and the waiter's are verified."""
    stage = new_stage(pg.database, url=pg.url())
    inside = image({DEBIAN: certs.ca})
    leader, waiter = stage.leader(inside=inside), stage.waiter(inside=inside)
    assert {row["ssl"] for row in pg.database.query("SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE usename = 'app'"
                                                    " AND datname = current_database()")} == {True}
    stage.release()
    stage.expect_all_started([leader, waiter])


def test_records_of_a_split_place(pg, redis_server, stage, image, certs):
    """The lock in Redis, the records in Postgres: each is verified, one bundle does for both."""
    env = {"DATABASE_URL": pg.url()}
    expect_in(stage, redis_server.url(db=3), image({DEBIAN: certs.ca}), env)
    replica = stage.start(url=redis_server.url(db=3, cacert=certs.ca), verb="check", env=env, inside=image())
    assert_says(error_of(replica), *NONE, "sslrootcert=FILE")
