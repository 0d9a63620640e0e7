"""What is published: images and files for amd64 and arm64, made by docker/Dockerfile, and the same by `make dist`."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import tarfile

import pytest

from harness import dist
from harness.daemon import REPOSITORY, docker, run

EPOCH = "1700000000"
MACHINES = {"amd64": "Advanced Micro Devices X86-64", "arm64": "AArch64"}
PINNED = re.findall(r"^(\S+) +\d\S+ +[0-9a-f]{64}$", re.search(r"^pins='$(.*?)^'$", (REPOSITORY / "docker" / "deps.sh").read_text(), re.M | re.S)[1], re.M)


@pytest.fixture(scope="module", params=dist.ARCHES)
def arch(request):
    return request.param


@pytest.fixture(scope="module")
def image(arch):
    return dist.image(arch)


@pytest.fixture(scope="module")
def published(arch, tmp_path_factory):
    return dist.files(arch, tmp_path_factory.mktemp(arch))


@pytest.fixture(scope="module")
def binary(arch, published):
    return published / f"lockstep-{version()}-linux-{arch}"


def version():
    return re.search(r"^VERSION := (\S+)$", (REPOSITORY / "Makefile").read_text(), re.M)[1]


def digest(data):
    return hashlib.sha256(data).hexdigest()


def inspect(image):
    return json.loads(docker("image", "inspect", image))[0]


def readelf(binary, *words):
    return run("readelf", "--wide", *words, binary, why="readelf")


def spdx(path):
    """{library: version} of what is linked, and the package of lockstep itself."""
    document = json.loads(path.read_text())
    assert document["spdxVersion"] == "SPDX-2.3" and document["dataLicense"] == "CC0-1.0"
    packages = {package["SPDXID"]: package for package in document["packages"]}
    links = [(each["relationshipType"], each["spdxElementId"], each["relatedSpdxElement"]) for each in document["relationships"]]
    (own,) = [target for kind, source, target in links if (kind, source) == ("DESCRIBES", "SPDXRef-DOCUMENT")]
    linked = [packages[target] for kind, source, target in links if (kind, source) == ("STATIC_LINK", own)]
    assert len(linked) == len(packages) - 1, "every package is linked into the one that the document describes"
    for package in linked:
        (reference,) = package["externalRefs"]
        encoded = package["versionInfo"].replace("+", "%2B")
        assert reference["referenceLocator"] == f"pkg:deb/debian/{package['name']}@{encoded}?arch=source"
    return {package["name"]: package["versionInfo"] for package in linked}, packages[own]


# ---- the image ---------------------------------------------------------------------------------------------------------

def test_image_is_one_small_file(arch, image, binary, tmp_path):
    told = inspect(image)
    assert (told["Os"], told["Architecture"]) == ("linux", arch)
    assert told["Size"] < 5_000_000
    docker("image", "save", "--output", tmp_path / "image.tar", image)
    with tarfile.open(tmp_path / "image.tar") as saved:
        (manifest,) = json.load(saved.extractfile("manifest.json"))
        (layer,) = manifest["Layers"]
        with tarfile.open(fileobj=saved.extractfile(layer)) as files:
            (file,) = files.getmembers()
            assert (file.name, file.mode & 0o7777, file.uid, file.gid, file.isfile()) == ("lockstep", 0o755, 0, 0, True)
            assert digest(files.extractfile(file).read()) == digest(binary.read_bytes())


def test_image_says_what_it_is(image):
    config = inspect(image)["Config"]
    assert config["Entrypoint"] == ["/lockstep"] and not config["Cmd"]
    labels = {name.removeprefix("org.opencontainers.image."): text for name, text in config["Labels"].items()}
    assert labels["title"] == "lockstep" and labels["version"] == version() and "migrations" in labels["description"]


def test_image_runs():
    assert docker("run", "--rm", dist.image(dist.NATIVE), "--version") == f"lockstep {version()}\n"


# ---- the files ---------------------------------------------------------------------------------------------------------

def test_checksums(arch, published, binary):
    assert sorted(path.name for path in published.iterdir()) == ["SHA256SUMS", binary.name, f"{binary.name}.spdx.json"]
    checked = run("sha256sum", "--check", "--strict", "SHA256SUMS", cwd=published, why="checking SHA256SUMS")
    assert checked.splitlines() == [f"{binary.name}: OK", f"{binary.name}.spdx.json: OK"]


def test_spdx_lists_what_is_linked(binary):
    linked, own = spdx(binary.with_name(f"{binary.name}.spdx.json"))
    compilers = {name for name in linked if re.fullmatch(r"gcc-\d+(-cross)?", name)}  # libgcc's source
    assert set(linked) == {*PINNED, "musl", *compilers} and len(compilers) == 1
    assert (own["name"], own["versionInfo"], own["packageFileName"]) == ("lockstep", version(), binary.name)
    assert own["checksums"] == [{"algorithm": "SHA256", "checksumValue": digest(binary.read_bytes())}]


def test_binary_is_hardened(arch, binary):
    """A static PIE with full RELRO, whose stack is not executable and which needs nothing of the image."""
    header, segments, dynamic = (readelf(binary, option) for option in ("--file-header", "--segments", "--dynamic"))
    assert re.search(r"Type: +DYN ", header) and MACHINES[arch] in header
    kinds = dict(re.findall(r"^  (GNU_\w+|INTERP) .* ([R ][W ][E ]) 0x", segments, re.M))
    assert kinds == {"GNU_STACK": "RW ", "GNU_RELRO": "R  "}
    loads = re.findall(r"^  LOAD .* ([R ][W ][E ]) 0x", segments, re.M)
    assert loads and "RWE" not in loads
    assert re.search(r"\(FLAGS\) +BIND_NOW\b", dynamic) and re.search(r"\(FLAGS_1\).* PIE\b", dynamic)
    assert "(NEEDED)" not in dynamic and "(TEXTREL)" not in dynamic


def test_binary_names_no_folder_of_its_build(binary):
    """Neither the sources' folder nor the cache's of either kind of build."""
    data = binary.read_bytes()
    for folder in (b"/var/cache/", b"/root/", b"/lockstep/src", b"/lockstep/entrypoint", str(REPOSITORY).encode()):
        assert folder not in data, folder


# ---- arm64 -------------------------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def arm64(tmp_path_factory):
    run(REPOSITORY / "docker" / "need.sh", "qemu-user-static", why="installing an emulator")
    return ["qemu-aarch64-static", dist.files("arm64", tmp_path_factory.mktemp("arm64")) / f"lockstep-{version()}-linux-arm64"]


def test_arm64_tells_about_itself(arm64):
    assert run(*arm64, "--version", why="lockstep for arm64") == f"lockstep {version()}\n"
    assert "--target-files" in run(*arm64, "--help", why="lockstep for arm64")


def test_arm64_migrates_once_and_becomes_the_app(arm64, tmp_path):
    (tmp_path / "gate").mkdir()
    command = [*map(str, arm64), "--lock", f"file:{tmp_path}/gate", "--target", "v1", "--migrate", f"echo ran >>{tmp_path}/runs",
               "--", "/bin/sh", "-c", "echo $$; exit 7"]
    for _ in range(2):
        process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={"PATH": os.environ["PATH"]})
        said, _nothing = process.communicate(timeout=60)
        assert (said, process.returncode) == (f"{process.pid}\n", 7), "the app has lockstep's pid and passes on its own status"
    assert (tmp_path / "runs").read_text() == "ran\n"


def test_arm64_has_the_early_entry_of_init(arm64):
    """The part that runs before the C library does is assembly of its own for each processor."""
    emulator, binary = arm64
    asked = subprocess.run([emulator, "-0", "lockstep-init", binary], capture_output=True, text=True, timeout=60)
    assert asked.returncode == 64 and "lockstep-init is what lockstep --init becomes" in asked.stderr


# ---- the same bytes again ----------------------------------------------------------------------------------------------

def copy_sources(folder):
    """What the build reads."""
    shutil.copytree(REPOSITORY / "docker", folder / "docker")
    shutil.copytree(REPOSITORY / "src", folder / "src")
    shutil.copytree(REPOSITORY / "entrypoint", folder / "entrypoint")
    shutil.copy(REPOSITORY / "Makefile", folder)
    return folder


def make_dist(folder, **variables):
    """Outside Docker; answers with {file: its bytes}. The libraries come from the cache of the machine."""
    copy_sources(folder)
    run("make", "-j2", "dist", f"ARCHES={dist.NATIVE}", cwd=folder, why="make dist",
        env={"PATH": os.environ["PATH"], "HOME": os.environ["HOME"], "SOURCE_DATE_EPOCH": EPOCH, **variables})
    return {path.name: path.read_bytes() for path in (folder / "build" / "dist").iterdir()}


def test_make_dist_is_reproducible(tmp_path):
    """Another folder, another time, another umask, zone and language: the same bytes. And they say what is in them."""
    (tmp_path / "far" / "away").mkdir(parents=True)
    one = make_dist(tmp_path / "far" / "away" / "lockstep")
    previous = os.umask(0o077)
    try:
        two = make_dist(tmp_path / "b", TZ="Asia/Tokyo", LC_ALL="C.UTF-8", USER="somebody")
    finally:
        os.umask(previous)
    assert {name: digest(data) for name, data in one.items()} == {name: digest(data) for name, data in two.items()}

    name = f"lockstep-{version()}-linux-{dist.NATIVE}"
    assert set(one) == {name, f"{name}.spdx.json", "SHA256SUMS"}
    prefix = (tmp_path / "b" / "build" / "release" / "dependencies").read_text().strip()
    with open(f"{prefix}/VERSIONS") as versions:
        built = dict(line.split()[:2] for line in versions)
    linked, own = spdx(tmp_path / "b" / "build" / "dist" / f"{name}.spdx.json")
    assert built.items() <= linked.items() and set(linked) - set(built) >= {"musl"}
    assert str(tmp_path).encode() not in one[name] and prefix.encode() not in one[name]


def test_image_is_reproducible(arch, image, tmp_path):
    """Compiled again (a file that nothing includes makes BuildKit do so), the image has the very same layer."""
    (copy_sources(tmp_path) / "src" / "unused.h").write_text(f"/* {os.urandom(8).hex()} */\n")
    again = f"{dist.NAME}:{arch}-again-{os.getpid()}"
    told = dist.build(arch, "--tag", again, context=tmp_path)
    try:
        assert "/entrypoint/main.o" in told, "nothing was compiled, so nothing would be shown"
        assert inspect(again)["RootFS"]["Layers"] == inspect(image)["RootFS"]["Layers"]
    finally:
        docker("image", "rm", again)
