"""examples/sqlite: containers that share nothing but a volume."""

from harness.examples import PATIENCE
from harness.waiting import eventually


def passed(example, times, *services):
    """Waits until these containers have passed the gate so often; answers with those that have migrated in their present life."""
    containers = example.containers(*services)
    for container in containers:
        eventually(lambda: example.log(container).count("lockstep: executing") == times, PATIENCE, example.log(container))
    return [container for container in containers if "migrating to version" in example.last_life(container)]


def test_sqlite(new_example):
    example = new_example("sqlite")
    example.compose("up", "--build", "--detach", "sensors")
    sensors, = example.containers("sensors")
    example.wait_said(sensors, "waiting")
    assert "readings written" not in example.log(sensors)

    example.up()
    assert {reading["sensor"] for reading in example.get("api")} == {"roof", "cellar"}
    example.wait_said(sensors, "readings written")
    assert passed(example, 1) == example.containers("api")
    example.wait_healthy()

    example.compose("restart")
    assert passed(example, 2) == []
    assert "waiting" not in "".join(example.last_life(container) for container in example.containers())

    (example.folder / "migrations" / "0004_place.sql").write_text("ALTER TABLE sensor ADD COLUMN place TEXT;\n")
    example.compose("up", "--build", "--detach", "--scale", "api=3")  # README: more of them is no problem
    assert len(passed(example, 1, "api")) == 1 and passed(example, 1, "sensors") == []
    assert all(example.get("api", number) for number in (1, 2, 3))
