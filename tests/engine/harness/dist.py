"""What docker/Dockerfile makes for each processor: an image, and the files to publish. The first build on a machine compiles the
libraries; after that they come from BuildKit's cache."""

import platform
import subprocess

from harness import images
from harness.daemon import REPOSITORY, client_environment, locked

ARCHES = ("amd64", "arm64")
NATIVE = {"x86_64": "amd64", "aarch64": "arm64"}[platform.machine()]
NAME = "lockstep-tests/published"


def build(arch, *words, context=REPOSITORY):
    """docker build of the checkout, or of a copy; answers with what it said."""
    command = ["/usr/bin/docker", "build", "--progress", "plain", "--platform", f"linux/{arch}", "--file", f"{context}/docker/Dockerfile"]
    done = subprocess.run([*command, *words, context], env=client_environment(), stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, f"docker build for {arch}:\n" + "\n".join(done.stderr.splitlines()[-40:])
    return done.stderr


def image(arch):
    """The tag of the image, which is up to date. Workers side by side build once."""
    images.ensure(images.BASE)
    tag = f"{NAME}:{arch}"
    with locked(f"published-{arch}"):
        build(arch, "--tag", tag)
    return tag


def files(arch, folder):
    """The files to publish, in `folder`."""
    image(arch)
    build(arch, "--target", "dist", "--output", str(folder))
    return folder
