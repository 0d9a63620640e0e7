"""Fixtures of the end-to-end suite: lockstep against real servers, with real faults. Run from the checkout, as root:

    /usr/bin/python3 -m pytest tests/e2e            (with python3-pytest-xdist: -n 4)

LOCKSTEP_BIN names the binary under test (build/lockstep). Nothing is skipped: what is missing is an error.
Debian packages: python3-pytest python3-psycopg2 postgresql-15 pgbouncer python3-redis redis-server openssl iproute2 nftables
util-linux gcc libc6-dev (and python3-pytest-xdist to run in parallel)."""

import atexit
import fcntl
import os
import pathlib
import secrets
import shutil
import subprocess
import tempfile

import pytest

from harness.certs import Certificates, make_certificates
from harness.folder import Folder
from harness.freezer import Freezer
from harness.netns import Link
from harness.pgbouncer import PgBouncer
from harness.postgres import PSQL, Cluster
from harness.proxy import Proxy
from harness.redis import NEWER, Server
from harness.redis_cluster import RedisCluster
from harness.sentinel import Sentinels
from harness.stage import Stage
from harness.talker import Talker

HERE = pathlib.Path(__file__).parent
ROOT_VARIABLE = "LSE2E_ROOT"


def pytest_configure(config):
    """One folder for the whole run, shared by the workers; readable for the users that servers run as."""
    if not hasattr(config, "workerinput"):
        root = tempfile.mkdtemp(prefix="lse2e-")
        os.chmod(root, 0o755)
        os.environ[ROOT_VARIABLE] = root


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ.pop(ROOT_VARIABLE), ignore_errors=True)


def pytest_collection_modifyitems(items):
    """Spreads the modules that wait longest evenly among the others: together they would keep one worker long after the rest."""
    longest = ("test_redis_soak", "test_redis_sentinel", "test_redis_cluster", "test_redis_faults", "test_faults", "test_pooler")

    def rank(item):
        return next((n for n, name in enumerate(longest) if item.path.name.startswith(name)), None)
    slow = sorted((item for item in items if rank(item) is not None), key=rank)
    items[:] = [item for item in items if rank(item) is None]
    for n, item in enumerate(slow):
        items.insert(n * (len(items) // len(slow)), item)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Tells fixtures whether the test passed, and a failed test's report what the replicas had said."""
    report = (yield).get_result()
    setattr(item, f"report_{report.when}", report)
    if report.failed:
        for stage in getattr(item, "stages", []):
            for replica in stage.replicas:
                report.sections.append((f"replica {replica.label}", replica.story()))


def once(root, name, make):
    """Makes root/name a single time for all workers."""
    made = root / name
    with open(root / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            make(made.with_suffix(".new"))
            made.with_suffix(".new").rename(made)
    return made


@pytest.fixture(scope="session")
def root():
    return pathlib.Path(os.environ[ROOT_VARIABLE])


@pytest.fixture(scope="session")
def lockstep(root):
    """The binary under test: a copy, so that a build going on does not disturb and every user may execute it."""
    original = pathlib.Path(os.environ.get("LOCKSTEP_BIN") or HERE.parents[1] / "build" / "lockstep").absolute()
    if not original.exists():
        pytest.fail(f"{original} does not exist: build it first, or name it in LOCKSTEP_BIN", pytrace=False)

    def copy(new):
        shutil.copyfile(original, new)
        new.chmod(0o755)
    return once(root, "lockstep", copy)


@pytest.fixture(scope="session")
def stamp(root):
    return once(root, "stamp", lambda new: subprocess.run(
        ["cc", "-O1", "-Wall", "-Wextra", "-Werror", "-o", new, HERE / "tools" / "stamp.c"], check=True))


class Made:
    """What a fixture has made, closed in reverse order, also when the interpreter ends without teardown."""

    def __init__(self):
        self.closers = []
        atexit.register(self.close)

    def add(self, thing, closer):
        self.closers.append(closer)
        return thing

    def close(self):
        while self.closers:
            self.closers.pop()()


@pytest.fixture
def made():
    made = Made()
    yield made
    made.close()
    atexit.unregister(made.close)


@pytest.fixture(scope="session")
def cluster(root):
    """The server that most tests share; each has a database of its own in it."""
    made = Made()
    cluster = Cluster.create(root)
    made.add(cluster, lambda: cluster.stop("immediate"))
    yield cluster.start()
    made.close()


@pytest.fixture
def database(cluster):
    return cluster.database()


@pytest.fixture
def folder(root):
    """An empty folder that replicas may share as their meeting place."""
    folder = root / f"folder-{secrets.token_hex(5)}"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def clusters(root, made):
    """clusters(max_connections=20, ...) starts a server of one's own; clusters.standby(of) copies one, not started."""
    def add(cluster):
        return made.add(cluster, lambda: cluster.stop("immediate"))

    def create(**settings):
        return add(Cluster.create(root, **settings)).start()
    create.standby = lambda of, **settings: add(of.standby(root, **settings))
    return create


@pytest.fixture(scope="session")
def redis(root):
    """The Redis server that most tests share (one a worker); each has a database of its own in it."""
    made = Made()
    server = Server(root)
    made.add(server, server.kill)
    yield server.start()
    made.close()


@pytest.fixture
def redis_gate(redis):
    """An empty gate that needs no quarantine."""
    return redis.gate().establish()


@pytest.fixture
def redises(root, made):
    """redises(kind="redis", appendonly="yes", ...) starts a server of one's own; its gates are not established."""
    def create(kind="redis", **settings):
        server = Server(root, kind, **settings)
        made.add(server, server.kill)
        return server.start()
    return create


@pytest.fixture
def sentinels(root, made):
    """sentinels(kind="redis", sentinel={...}, **settings) starts a master, its replica and three sentinels."""
    def create(*args, **settings):
        sentinels = Sentinels(root, *args, **settings)
        made.add(sentinels, sentinels.close)
        return sentinels.start()
    return create


@pytest.fixture
def redis_cluster(root, made):
    """redis_cluster(kind="redis", **settings) starts three masters of a Redis Cluster."""
    def create(*args, **settings):
        cluster = RedisCluster(root, *args, **settings)
        made.add(cluster, cluster.close)
        return cluster.start()
    return create


@pytest.fixture(scope="session")
def certs(root):
    return Certificates(once(root, "certs", make_certificates))


@pytest.fixture
def bouncer(root, made):
    """bouncer(database, mode) starts a PgBouncer in front of the database's server."""
    def create(database, mode, **settings):
        pool = PgBouncer(root, database, mode, **settings)
        made.add(pool, pool.stop)
        return pool.start()
    return create


@pytest.fixture
def proxy(made):
    """proxy(server) starts a fault proxy in front of a PostgreSQL or Redis server."""
    def create(server, port=0):
        proxy = Proxy(("127.0.0.1", server.port), port)
        return made.add(proxy, proxy.close)
    return create


@pytest.fixture
def talker(made):
    """talker(words) is a port where something listens that is no Redis, and says that; None: nothing."""
    def create(words):
        talker = Talker(words)
        made.add(talker, talker.close)
        return talker.port
    return create


@pytest.fixture
def link(made):
    """A network namespace that can be cut off silently."""
    link = Link()
    return made.add(link, link.close)


@pytest.fixture
def freezer(made):
    freezer = Freezer()
    return made.add(freezer, freezer.close)


@pytest.fixture(scope="module")
def newer(root):
    """A server of each newer kind. They start together, because a young one is dirty and has to be waited for."""
    servers = {kind: Server(root, kind) for kind in NEWER}
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.kill()


@pytest.fixture
def place(request):
    """Where replicas meet; a test names the kind by request.param."""
    if request.param == "postgres":
        return request.getfixturevalue("database")
    if request.param == "file":
        return Folder(request.getfixturevalue("folder"))
    server = request.getfixturevalue("redis") if request.param == "redis" else request.getfixturevalue("newer")[request.param]
    gate = server.gate()
    for name in ("default", "orders", "billing"):
        gate.establish(name)
    return gate


@pytest.fixture
def new_stage(request, made, root, lockstep, stamp):
    """new_stage(place, url=...): a gate in a Database, a Folder or a Redis. After a test that passed, the promises are checked."""
    stages = request.node.stages = []

    def create(database=None, url=None):
        directory = root / f"stage-{secrets.token_hex(5)}"
        directory.mkdir(mode=0o755)
        stage = Stage(directory, lockstep, stamp, PSQL, url or (database and database.url()), database)
        stages.append(stage)
        return made.add(stage, stage.close)
    yield create
    try:
        for stage in stages:
            stage.close()
        if getattr(request.node, "report_call", None) and request.node.report_call.passed:
            for stage in stages:
                stage.assert_promises_kept()
    finally:
        made.close()


@pytest.fixture
def stage(new_stage, database):
    """A gate in a fresh database of the shared server."""
    return new_stage(database)
