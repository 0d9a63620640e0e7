"""examples/redis-mysql: replicas of a MariaDB app that meet in a Redis; knex itself says whether something is pending."""

from harness.daemon import docker
from harness.examples import PATIENCE
from harness.waiting import eventually

FIRST = ["a hammer", "some nails"]
MIGRATION = "migrations/20260401090000_add_price.js"
ADD_PRICE = """\
export const up = (knex) => knex.schema.alterTable("orders", (table) => table.integer("price").notNullable().defaultTo(5));
export const down = (knex) => knex.schema.alterTable("orders", (table) => table.dropColumn("price"));
"""


def sql(example, statement):
    return example.compose("exec", "--no-TTY", "mariadb", "mariadb", "--user=root", "--batch", "--skip-column-names", "orders",
                           "--execute", statement).split("\n")[:-1]


def runs(example):
    """How many of them Redis has recorded."""
    return int(example.compose("exec", "--no-TTY", "redis", "redis-cli", "LLEN", "lockstep:{orders}:tokens"))


def passed(example, times):
    """Waits until all have passed the gate so often; answers with those that migrated in their present life."""
    containers = example.containers()
    for container in containers:
        eventually(lambda: example.log(container).count("lockstep: executing node") == times, PATIENCE, f"{container} passes")
    return [container for container in containers if "migrating to version" in example.last_life(container)]


def test_redis_mysql(new_example):
    example = new_example("redis-mysql")
    for secret in (example.folder / "secrets").iterdir():
        secret.chmod(0o600)  # README: root alone may read it
    example.compose("build")
    example.compose("up", "--detach", "redis", "worker")
    worker, = example.containers("worker")
    example.wait_said(worker, "wants version")

    example.up()
    assert len(example.containers("api")) == 3
    for number in (1, 2, 3):
        assert [order["item"] for order in example.get("api", number)] == FIRST
    example.wait_said(worker, "shipped: 2")
    leader, = passed(example, 1)
    assert leader in example.containers("api") and runs(example) == 1
    assert sql(example, "SELECT count(*) FROM knex_migrations") == ["3"]
    for container in example.containers():
        assert docker("exec", container, "stat", "--format", "%U", "/proc/1").strip() == "node"
    example.wait_healthy()
    example.assert_nobody_was_too_early()

    example.compose("restart", *example.built())
    assert passed(example, 2) == []
    assert "waiting" not in "".join(example.last_life(container) for container in example.containers())
    for number in (1, 2, 3):
        assert [order["status"] for order in example.get("api", number)] == ["shipped", "shipped"]

    sql(example, "UPDATE knex_migrations_lock SET is_locked = 1")  # as a knex leaves it that was killed
    (example.folder / MIGRATION).write_text(ADD_PRICE)
    example.compose("up", "--build", "--detach")
    assert [order["price"] for order in example.get("api", 3)] == [5, 5]
    assert len(passed(example, 1)) == 1 and runs(example) == 2
