"""Images that host the published binary, from nothing at all to Debian, and the ways to run a container (pid1.md, demand F)."""

import re
import tempfile

from harness import daemon, dist, images

BASES = {
    "scratch": "scratch",
    "distroless": "gcr.io/distroless/static-debian12",
    "alpine": "alpine:3.22",
    "debian": "debian:trixie-slim",
}
# How to run it. {pid} is a container whose pid namespace is shared.
MODES = {
    "plain": [],
    "read-only": ["--read-only"],
    "non-root": ["--user", "1234"],
    "no-capabilities": ["--cap-drop", "ALL"],
    "no-new-privileges": ["--security-opt", "no-new-privileges"],
    "init": ["--init"],
    "host-pids": ["--pid", "host"],
    "shared-pids": ["--pid", "container:{pid}"],
    "locked-down": ["--read-only", "--user", "1234:1234", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
                    "--network", "none", "--pids-limit", "16", "--memory", "32m"],
}


def image(name, *instructions):
    """The tag of a base with the published binary as its entrypoint."""
    published = dist.image(dist.NATIVE)
    if BASES[name] != "scratch":
        images.ensure(BASES[name])
    text = "\n".join([f"FROM {BASES[name]}", f"COPY --from={published} /lockstep /lockstep", 'ENTRYPOINT ["/lockstep"]', *instructions])
    below = [tag for tag in (published, BASES[name]) if tag != "scratch"]
    identities = [daemon.docker("image", "inspect", "--format", "{{.Id}}", tag).strip() for tag in below]
    key = images.digest(text, *identities)
    tag = f"lockstep-tests/on-{name}:" + (re.sub(r"\W+", "-", "-".join(instructions)).lower() or "plain")
    images.make_once(tag, key, lambda: build(tag, key, text))
    return tag


def build(tag, key, text):
    with tempfile.TemporaryDirectory(dir=daemon.HOME) as folder:
        with open(f"{folder}/Dockerfile", "w") as dockerfile:
            dockerfile.write(text)
        images.build(tag, folder, key, [])
