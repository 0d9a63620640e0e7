"""The image of the coordination tests: Debian, lockstep, and a witness (stamp) instead of an app and of a migration."""

import pathlib
import tempfile

from harness import daemon, images
from harness.daemon import REPOSITORY, run

STAMP = REPOSITORY / "tests" / "e2e" / "tools" / "stamp.c"
NAME = "lockstep-tests/app"

# The app says that it started, then serves until it is told to stop. The journal is on a volume.
DOCKERFILE = """\
FROM debian:trixie-slim
COPY --from=lockstep/lockstep:0.1 /lockstep /usr/local/bin/lockstep
COPY app stamp /usr/local/bin/
ARG VERSION
ENV LOCKSTEP_TARGET=$VERSION
ENTRYPOINT ["lockstep"]
CMD ["app"]
"""
APP = """\
#!/bin/sh
trap 'exit 0' TERM
STAMP_ROOT=$(hostname) stamp /journal/journal app
sleep infinity &
wait
"""


def ensure(version):
    """The tag of the image that needs that version. Made anew when anything in it has changed."""
    tag = f"{NAME}:{version}"
    key = images.digest(images.ensure_one(images.BASE, {}), images.ensure_one(images.LOCKSTEP, {}), STAMP.read_text(), DOCKERFILE, APP, version)
    images.make_once(tag, key, lambda: build(tag, key, version))
    return tag


def build(tag, key, version):
    run(REPOSITORY / "docker" / "need.sh", "gcc", "musl-tools", why="installing a compiler")
    with tempfile.TemporaryDirectory(dir=daemon.HOME) as work:
        folder = pathlib.Path(work)
        run("musl-gcc", "-static", "-O1", "-o", folder / "stamp", STAMP, why="compiling stamp")
        (folder / "app").write_text(APP)
        (folder / "app").chmod(0o755)
        (folder / "Dockerfile").write_text(DOCKERFILE)
        images.build(tag, folder, key, ["--build-arg", f"VERSION={version}"])
