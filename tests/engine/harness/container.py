"""One container: what it says (by event, as a Replica of the end-to-end suite), how it ends, what the engine knows of it."""

import datetime
import json

from harness import daemon
from harness.daemon import EngineError, docker
from harness.replica import Replica
from harness.waiting import PATIENCE, eventually


class Container:
    def __init__(self, identity):
        self.id = identity
        self.name = self.inspect("{{.Name}}").lstrip("/")
        self.followers = []

    def inspect(self, template):
        return docker("inspect", "--type", "container", "--format", template, self.id).strip()

    def state(self):
        return json.loads(self.inspect("{{json .State}}"))

    # what it says

    @property
    def log(self):
        """Follows what the present life says."""
        if not self.followers:
            self.follow_life()
        return self.followers[-1]

    def follow_life(self):
        # A container's log begins with its former lives. StartedAt is too late: its first words may be older.
        since = self.inspect("{{.State.FinishedAt}}")
        follower = Replica(["/usr/bin/docker", "logs", "--follow", "--since", since, self.id], daemon.client_environment(), self.name)
        self.followers.append(follower)
        return follower

    def wait_event(self, name, **fields):
        return self.log.wait_event(name, **fields)

    def saw(self, name, **fields):
        return self.log.saw(name, **fields)

    def names(self):
        return [name for name in self.log.names() if name != "output"]

    def wait_app(self):
        """Until it has become the app."""
        self.wait_event("exec")

    # how it lives and ends

    def start_again(self, verb="start"):
        """docker start, docker restart: the same container, another life."""
        docker(verb, self.id)
        self.follow_life()

    def kill(self):
        """docker kill: everything in it dies at once."""
        docker("kill", self.id)
        self.wait_end()

    def pause(self):
        """docker pause. The first version of control groups may need more than one try to catch every process of it."""
        def caught():
            try:
                return docker("pause", self.id)
            except EngineError as error:
                if "unable to freeze" not in str(error):
                    raise
        eventually(caught, what=f"{self.name} is paused")

    def unpause(self):
        docker("unpause", self.id)

    def wait_end(self):
        """Its exit status, once it has ended."""
        status = int(docker("wait", self.id, timeout=PATIENCE))
        for follower in self.followers:
            eventually(lambda: not any(reader.is_alive() for reader in follower.readers), what=f"the whole log of {self.name}")
        return status

    def running(self):
        return self.state()["Running"]

    def moment(self, field):
        """StartedAt or FinishedAt, in seconds since 1970."""
        text = self.state()[field]
        return datetime.datetime.fromisoformat(text[:26].rstrip("Z").ljust(26, "0") + "+00:00").timestamp()

    def execute(self, *words):
        return docker("exec", self.id, *words)

    def close(self):
        for follower in self.followers:
            follower.kill()

    def story(self):
        return "\n".join(follower.story() for follower in self.followers) or f"{self.name}: not listened to"
