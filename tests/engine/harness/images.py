"""Stand-in images. Nothing can be pulled where the tests run, so each folder of images/ is built under the tag that its first
line names, which is the very tag that users write. An image is made anew when its folder, the image that it is built from, or
what it takes from the machine has changed, and not otherwise.

A stand-in may take two things from the machine that it is built on, neither of which is ever written down in the repository:
    ARG NPM_REGISTRY                                   the npm registry that npm is configured for here
    RUN --mount=type=secret,id=machine-ca ...          the machine's CA certificates (/run/secrets/machine-ca)
And with a line "# npm: NAME@VERSION..." it finds those packages beside its Dockerfile, as npm here fetches and verifies them: each
is a folder NAME, without the scope."""

import hashlib
import pathlib
import re
import shutil
import subprocess
import tempfile

from harness import daemon, npm
from harness.daemon import REPOSITORY, EngineError, docker, locked, run, say

IMAGES = pathlib.Path(__file__).parents[1] / "images"
BASE = "debian:trixie-slim"
LOCKSTEP = "lockstep/lockstep:0.1"
KEY = "lockstep.stand-in"  # the label that says what an image was made of
MACHINE_CA = pathlib.Path("/etc/ssl/certs/ca-certificates.crt")


def stand_ins():
    """{tag: folder} of all there are."""
    found = {}
    for dockerfile in sorted(IMAGES.glob("*/Dockerfile")):
        named = re.match(r"# tag: *(\S+)\s*$", dockerfile.read_text().splitlines()[0])
        if not named:
            raise EngineError(f"{dockerfile}: its first line is not '# tag: NAME:TAG'")
        found[named[1]] = dockerfile.parent
    return found


def sources(dockerfile):
    """The images that a Dockerfile is built from, those of its own stages excluded."""
    text = dockerfile.read_text()
    stages = re.findall(r"^FROM\b.*\bAS\s+(\S+)", text, re.M | re.I)
    used = re.findall(r"^FROM\s+(?:--platform=\S+\s+)?(\S+)", text, re.M | re.I) + re.findall(r"--from=(\S+)", text)
    return [name for name in dict.fromkeys(used) if name not in stages and name != "scratch" and not name.isdigit()]


def digest(*parts):
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:32]


def folder_digest(folder):
    return digest(*(f"{path.relative_to(folder)} {path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
                    for path in sorted(folder.rglob("*")) if path.is_file()))


def current(tag):
    """What the image of that tag was made of, or None."""
    try:
        return docker("image", "inspect", "--format", f'{{{{index .Config.Labels "{KEY}"}}}}', tag).strip()
    except EngineError:
        return None


def ensure(*tags):
    """Builds those of the named images that are missing or stale, and what they are built from."""
    known = stand_ins()
    for tag in tags:
        ensure_one(tag, known)


def ensure_one(tag, known):
    """Answers with what the image is made of now."""
    if tag == BASE:
        return make_once(tag, digest((IMAGES / "trixie-slim.sh").read_text()), import_base)
    if tag == LOCKSTEP:
        return current(tag) or ensure_lockstep()  # made anew only when asked to: a build may be going on
    if tag not in known:
        raise EngineError(f"no stand-in for {tag}: {IMAGES}/*/Dockerfile have {' '.join(sorted([BASE, LOCKSTEP, *known]))}")
    folder = known[tag]
    below = [ensure_one(name, known) for name in sources(folder / "Dockerfile")]
    arguments = machine_arguments((folder / "Dockerfile").read_text())
    key = digest(folder_digest(folder), *below, *arguments)
    return make_once(tag, key, lambda: build(tag, folder, key, arguments))


def make_once(tag, key, make):
    if current(tag) != key:
        with locked("image-" + re.sub(r"\W", "-", tag)):
            if current(tag) != key:
                say(f"making {tag}")
                make()
    return key


def machine_arguments(text):
    """The build's arguments that come from the machine, for a Dockerfile that asks for them."""
    arguments = []
    if re.search(r"^ARG NPM_REGISTRY\b", text, re.M):
        npm.need()
        registry = run("npm", "config", "get", "registry", why="asking npm for its registry").strip()
        arguments += ["--build-arg", f"NPM_REGISTRY={registry}"]
    if "id=machine-ca" in text:
        arguments += ["--secret", f"id=machine-ca,src={MACHINE_CA}",
                      "--label", f"lockstep.machine-ca={hashlib.sha256(MACHINE_CA.read_bytes()).hexdigest()}"]
    return arguments


def add_npm_packages(folder):
    """Puts those that the folder's Dockerfile asks for into the folder."""
    for package in " ".join(re.findall(r"^# npm: (.*)$", (folder / "Dockerfile").read_text(), re.M)).split():
        npm.need()
        unpacked = folder / re.match(r"(?:@.+/)?([^@]+)", package)[1]
        unpacked.mkdir()
        archive = run("npm", "pack", "--silent", package, cwd=unpacked, why=f"fetching {package} with npm").strip()
        run("tar", "--extract", "--strip-components", "1", "--no-same-owner", "--file", archive, cwd=unpacked, why=f"unpacking {package}")
        (unpacked / archive).unlink()


def build(tag, folder, key, arguments):
    with tempfile.TemporaryDirectory(dir=daemon.HOME) as work:
        context = shutil.copytree(folder, pathlib.Path(work) / "context")
        add_npm_packages(context)
        build_context(tag, context, key, arguments)


def build_context(tag, folder, key, arguments):
    log = daemon.HOME / f"build-{re.sub(r'[^a-z0-9.]+', '-', tag)}.log"
    with open(log, "w") as output:
        done = subprocess.run(["/usr/bin/docker", "build", "--progress", "plain", "--tag", tag, "--label", f"{KEY}={key}", *arguments, folder],
                              env=daemon.client_environment(), stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise EngineError(f"{tag} could not be built; the end of {log}:\n{tail}")


def import_base():
    """Debian itself, by debootstrap from the machine's own mirror."""
    script = IMAGES / "trixie-slim.sh"
    origin = run(REPOSITORY / "docker" / "trixie.sh", "sources", why="looking for a Debian mirror")
    with tempfile.TemporaryDirectory(dir=daemon.HOME) as work:
        (pathlib.Path(work) / "debian.sources").write_text(origin)
        run(script, work, why="making Debian trixie")
        docker("import", "--change", "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
               "--change", 'CMD ["bash"]', "--change", f"LABEL {KEY}={digest(script.read_text())}", f"{work}/root.tar", BASE)


def ensure_lockstep(binary=None):
    """The image that users copy lockstep from: one file, from scratch."""
    binary = pathlib.Path(binary or REPOSITORY / "build" / "lockstep")
    if not binary.exists():
        raise EngineError(f"{binary} does not exist: run make first")
    with tempfile.TemporaryDirectory(dir=daemon.HOME) as work:
        folder = pathlib.Path(work)
        shutil.copy2(binary, folder / "lockstep")  # a build going on does not disturb
        key = hashlib.sha256((folder / "lockstep").read_bytes()).hexdigest()[:32]
        (folder / "Dockerfile").write_text('FROM scratch\nCOPY lockstep /lockstep\nENTRYPOINT ["/lockstep"]\n')
        return make_once(LOCKSTEP, key, lambda: build(LOCKSTEP, folder, key, []))
