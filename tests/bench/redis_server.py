"""A private Redis: fresh, on a free port of the loopback, gone with stop()."""

import pathlib
import re
import shutil
import subprocess
import tempfile
import time

import redis

import programs

USER, PASSWORD = "bench", "bench-user"
SETTINGS = {"bind": "127.0.0.1", "save": "", "appendonly": "no", "maxclients": 4000, "tcp-backlog": 1024}


class RedisServer:
    """Anybody may come in without a password, and USER with one."""

    def __init__(self):
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="lockstep-bench-"))
        self.port, self.process = programs.free_port(), None
        self.client = redis.Redis(host="127.0.0.1", port=self.port, decode_responses=True)

    def start(self):
        settings = {**SETTINGS, "port": self.port, "dir": self.directory}
        words = [word for name, value in settings.items() for word in (f"--{name}", str(value))]
        with open(self.directory / "log", "wb") as log:
            self.process = subprocess.Popen(["redis-server", *words], stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                            start_new_session=True)
        for attempt in range(200):
            try:
                self.client.ping()
                break
            except redis.ConnectionError:
                if attempt == 199 or self.process.poll() is not None:
                    raise
                time.sleep(0.05)
        self.client.acl_setuser(USER, enabled=True, passwords=[f"+{PASSWORD}"], keys="*", channels="*", categories=["+@all"])

    def url(self, with_password=False):
        return f"redis://{f'{USER}:{PASSWORD}@' if with_password else ''}127.0.0.1:{self.port}"

    def variables(self, with_password=False):
        """The same for bare_redis."""
        login = {"REDIS_USER": USER, "REDIS_PASSWORD": PASSWORD} if with_password else {}
        return {"REDIS_ADDRESS": "127.0.0.1", "REDIS_PORT": str(self.port), **login}

    def version(self):
        return re.match(r"[\d.]+", self.client.info("server")["redis_version"]).group()

    def stop(self):
        try:
            if self.process is not None:
                self.process.terminate()
                self.process.wait(20)
        finally:
            shutil.rmtree(self.directory, ignore_errors=True)
