"""A compose project of one test: a meeting place, replicas of the witness image, a journal on a volume that all of them share.

The compose file is what a user would write: `docker compose` does everything that it can do."""

import json

from harness import app, checker
from harness.container import Container
from harness.daemon import docker
from harness.waiting import eventually

PATIENCE = 120
STAMP = "/usr/local/bin/stamp"
JOURNAL = "/journal/journal"
RELEASED = "/journal/released"

# Where replicas may meet: the variables that say so, and the service that it needs.
PLACES = {
    "postgres": {
        "environment": {"DATABASE_URL": "postgres://app:secret@db/app"},
        "service": {"image": "postgres:17", "command": ["-c", "fsync=off"],
                    "environment": {"POSTGRES_USER": "app", "POSTGRES_PASSWORD": "secret"}},
    },
    "redis": {
        "environment": {"LOCKSTEP_LOCK": "redis://db:6379", "LOCKSTEP_NAME": "app"},
        "service": {"image": "redis:8", "command": ["--appendonly", "yes"]},
    },
    "file": {"environment": {"LOCKSTEP_LOCK": "file:/journal/gate"}, "service": None},
}


class Project:
    def __init__(self, directory, name, place="postgres"):
        self.directory, self.name, self.place = directory, name, place
        self.journal_folder = directory / "journal"
        self.journal_folder.mkdir()
        self.journal = checker.Journal(self.journal_folder / "journal")
        self.released = self.journal_folder / "released"
        self.environment = {"LOCKSTEP_LEASE": "3s", "LOCKSTEP_LOG_FORMAT": "json", "LOCKSTEP_LOG_LEVEL": "debug",
                            "LOCKSTEP_MIGRATE": self.migration(), **PLACES[place]["environment"]}
        self.image, self.entrypoint = app.ensure("v1"), None
        self.known = {}             # containers by id
        self.checks_overlap = True  # a test of a whole-container pause says why it cannot promise that

    # the things that replicas are given

    @staticmethod
    def migration(**options):
        """A pretend migration; see tests/e2e/tools/stamp.c for its options. Its lines in the journal name its container."""
        return f"export STAMP_ROOT=$HOSTNAME; exec {STAMP} {JOURNAL} run " + " ".join(f"{name}={value}" for name, value in options.items())

    def hold(self):
        """From now on migrations run until release()."""
        self.environment["LOCKSTEP_MIGRATE"] = self.migration(until=RELEASED)
        self.released.unlink(missing_ok=True)

    def release(self):
        self.released.touch()

    # compose

    def write(self):
        service = PLACES[self.place]["service"]
        replica = {"image": self.image, "environment": self.environment, "volumes": [f"{self.journal_folder}:/journal"],
                   **({"entrypoint": self.entrypoint} if self.entrypoint else {})}
        services = {"app": replica, **({"db": service} if service else {})}
        text = json.dumps({"services": services}, indent=1)  # JSON is YAML
        (self.directory / "compose.yaml").write_text(text.replace("$", "$$"))

    def compose(self, *words):
        return docker("compose", "--project-name", self.name, "--project-directory", self.directory, *words, why=f"docker compose {words[0]}")

    def up(self, replicas=1, *options, version=None):
        """docker compose up, as a user does it; answers with the replicas, oldest first."""
        if version:
            self.image = app.ensure(version)
        self.write()
        self.compose("up", "--detach", "--scale", f"app={replicas}", *options)
        return self.replicas()

    def containers(self, service):
        ids = self.compose("ps", "--all", "--quiet", service).split()
        for identity in ids:
            if identity not in self.known:
                self.known[identity] = Container(identity)
        return [self.known[identity] for identity in ids]

    def replicas(self):
        """Those that exist, in the order of their numbers."""
        return sorted(self.containers("app"), key=lambda replica: int(replica.name.rpartition("-")[2]))

    @property
    def server(self):
        return self.containers("db")[0]

    def leader(self, replicas):
        """The one among them that migrates, and the others; its migration has begun."""
        start = eventually(self.journal.starts, what="a migration begins")[-1]
        leader = next(replica for replica in replicas if replica.id.startswith(start.root))
        leader.wait_event("migrating", token=int(start.token))
        return leader, [replica for replica in replicas if replica is not leader]

    def expect_app(self, *replicas):
        for replica in replicas:
            replica.wait_app()
        hosts = [replica.id[:12] for replica in replicas]
        eventually(lambda: set(hosts) <= {entry.root for entry in self.journal.apps()}, what="every replica has become the app")

    # the records

    def query(self, sql):
        return docker("exec", self.server.id, "psql", "-XqAt", "-U", "app", "-c", sql).strip()

    def runs(self):
        return json.loads(self.query("SELECT coalesce(json_agg(r ORDER BY token), '[]') FROM "
                                     "(SELECT token, state, exit_status, finished_at, target, host FROM lockstep.run) r"))

    def states(self):
        return [run["state"] for run in self.runs()]

    # the end

    def assert_promises_kept(self):
        if self.checks_overlap:
            self.journal.assert_no_overlap()
            self.journal.assert_tokens_grow()
        self.journal.assert_apps_after_success()
        if self.place == "postgres":
            checker.assert_records_agree(self.runs(), self.journal)

    def close(self):
        """Everything of it is gone, however the test went."""
        for container in self.known.values():
            container.close()
        self.release()
        remove_project(self.name)

    def story(self):
        return "\n".join(container.story() for container in self.known.values())


def remove_project(name):
    """Containers (also paused ones), networks, volumes, and the images that compose built for it. Needs no compose file."""
    label = f"label=com.docker.compose.project={name}"
    for kind, listing, removing in (("container", ("ps", "--all", "--quiet"), ("rm", "--force", "--volumes")),
                                    ("network", ("network", "ls", "--quiet"), ("network", "rm")),
                                    ("volume", ("volume", "ls", "--quiet"), ("volume", "rm", "--force")),
                                    ("image", ("images", "--quiet"), ("rmi", "--force"))):
        found = set(docker(*listing, "--filter", label, why=f"listing each {kind} of {name}").split())
        if found:
            docker(*removing, *found, why=f"removing each {kind} of {name}")


def projects_left_over(prefix):
    """Names of projects of that prefix which containers or networks still belong to."""
    template = '{{.Label "com.docker.compose.project"}}'
    names = docker("ps", "--all", "--format", template).split() + docker("network", "ls", "--format", template).split()
    return sorted({name for name in names if name.startswith(prefix)})
