"""An example as a user has it: its folder, the command of its README, its replicas asked over HTTP."""

import json
import re
import shutil
import subprocess
import urllib.error
import urllib.request

import yaml

from harness import daemon, images, project as projects
from harness.daemon import REPOSITORY, docker
from harness.waiting import eventually

EXAMPLES = REPOSITORY / "examples"
PATIENCE = 300  # seconds; frameworks take long to start on a busy machine


class Example:
    """A copy of the folder, so that a test may add a migration, as a compose project of its own."""

    def __init__(self, example, directory, name):
        self.folder, self.name = directory / example, name
        shutil.copytree(EXAMPLES / example, self.folder)
        self.services = yaml.safe_load((self.folder / "compose.yaml").read_text())["services"]
        self.command = re.search(r"^    docker (compose .*\bup\b.*)$", (self.folder / "README.md").read_text(), re.M)[1].split()[1:]
        images.ensure(*images.sources(self.folder / "Dockerfile"),
                      *(service["image"] for name, service in self.services.items() if name not in self.built()))

    def compose(self, *words):
        return docker("compose", "--project-name", self.name, *words, why=f"docker compose {words[0]}", cwd=self.folder)

    def up(self):
        """The command of the README, but in the background."""
        self.compose(*self.command, "--detach")

    def containers(self, *services):
        """Ids; of all services that run lockstep unless some are named."""
        return self.compose("ps", "--all", "--quiet", *(services or self.built())).split()

    def built(self):
        """The services whose image is made of the folder."""
        made = {service.get("image", name) for name, service in self.services.items() if "build" in service}
        return [name for name, service in self.services.items() if service.get("image", name) in made]

    def shell(self, command, **variables):
        """A line of the README, or a step of a workflow as a runner executes it: what came of it."""
        return subprocess.run(["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", command], cwd=self.folder,
                              env={**daemon.client_environment(), "COMPOSE_PROJECT_NAME": self.name, **variables},
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    # what they say

    def log(self, container):
        """Both streams, of all lives."""
        return subprocess.run(["docker", "logs", container], env=daemon.client_environment(), stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=True).stdout

    def wait_said(self, container, words):
        eventually(lambda: words in self.log(container), PATIENCE, f"{container} says {words!r}")

    def last_life(self, container):
        return self.log(container).rpartition(" wants version ")[2]

    def get(self, service, number=1, path="/"):
        """The answer of that replica, as soon as its app answers; an error that it answers with is a failure."""
        port = self.services[service]["ports"][0].rpartition(":")[2]
        address = self.compose("port", "--index", str(number), service, port).strip()

        def ask():
            try:
                with urllib.request.urlopen(f"http://{address}{path}", timeout=10) as response:
                    return [json.load(response)]
            except urllib.error.HTTPError:
                raise
            except OSError:
                return None  # it does not listen yet
        return eventually(ask, PATIENCE, f"{service} {number} answers")[0]

    def query(self, sql):
        """Of the example's Postgres."""
        user = self.services["db"]["environment"]["POSTGRES_USER"]
        return self.compose("exec", "--no-TTY", "db", "psql", "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--username", user,
                            "--command", sql).strip()

    def runs(self):
        return self.query("SELECT token || ' ' || state FROM lockstep.run ORDER BY token").splitlines()

    def wait_healthy(self):
        for container in self.containers():
            eventually(lambda: docker("inspect", "--format", "{{.State.Health.Status}}", container).strip() == "healthy",
                       PATIENCE, f"health of {container}", every=0.2)

    def assert_nobody_was_too_early(self):
        """An app that starts before its tables are there ends, and is started again."""
        for container in self.containers():
            assert docker("inspect", "--format", "{{.RestartCount}}", container).strip() == "0", self.log(container)

    # how it ends

    def story(self):
        return "\n".join(f"{container}:\n{self.log(container)}" for container in self.containers())

    def close(self):
        projects.remove_project(self.name)


def assert_migrates_once(example, good, worker_says):
    """The story that every README tells: a worker waits, three replicas start, one migrates, all answer; `up` again runs nothing."""
    example.compose("build")
    example.compose("up", "--detach", "db", "worker")
    worker, = example.containers("worker")
    example.wait_said(worker, "wants version")

    example.up()
    replicas = example.containers("api")
    assert len(replicas) == 3
    for number in range(1, 4):
        answer = example.get("api", number)
        assert good(answer), answer
    example.wait_said(worker, worker_says)
    assert example.runs() == ["1 succeeded"]
    migrated = [container for container in example.containers() if "migrating to version" in example.log(container)]
    assert len(migrated) == 1 and migrated[0] in replicas
    example.wait_healthy()
    example.assert_nobody_was_too_early()

    example.compose("stop", *example.built())
    example.up()
    for container in example.containers():
        eventually(lambda: example.log(container).count("lockstep: executing") == 2, PATIENCE, f"{container} passes the gate again")
        life = example.last_life(container)
        assert "is applied" in life and "waiting" not in life and "migrating" not in life, life
    assert example.runs() == ["1 succeeded"]
