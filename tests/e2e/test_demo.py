"""The demo, README's first command: what it draws is what happened, and nothing of it is left, also after ^C."""
import os
import pathlib
import re
import signal
import statistics
import subprocess

import pytest

from harness.waiting import eventually

DEMO = pathlib.Path(__file__).resolve().parents[2] / "examples" / "demo" / "demo.py"


def begin(lockstep, folder):
    folder.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "LOCKSTEP_BIN": str(lockstep), "TMPDIR": str(folder), "DEMO_MARK": str(folder)}
    return subprocess.Popen(["/usr/bin/python3", str(DEMO)], cwd="/", env=environment, text=True,
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def processes_of(folder):
    """The processes that the demo started: they inherit its mark."""
    mark = f"DEMO_MARK={folder}".encode()
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def assert_nothing_left(folder):
    eventually(lambda: not processes_of(folder), what="every process of the demo is gone")
    assert list(folder.glob("lockstep-demo-*")) == []


@pytest.fixture
def folder(tmp_path_factory):
    """A folder that the postgres account may enter."""
    made = pathlib.Path(f"/tmp/lockstep-demo-test-{os.getpid()}-{os.urandom(4).hex()}")
    made.mkdir()
    yield made
    made.rmdir()


def test_demo_shows_what_happened(lockstep, folder):
    demo = begin(lockstep, folder)
    out, err = demo.communicate(timeout=120)
    assert (demo.returncode, err) == (0, "")
    assert "\x1b" not in out and "\r" not in out and max(map(len, out.splitlines())) <= 80
    first, again = out.split("Restart of all 5, the fast path")
    rows = re.findall(r"^replica ([1-5])  :+(\.*)(#*)=+ +(migrated|waited|nothing to do)(?: (\d+\.\d) s)?", first, re.M)
    assert [row[0] for row in rows] == list("12345")
    assert [row[3] for row in rows].count("migrated") == 1
    assert all((row[2] != "") == (row[3] == "migrated") for row in rows)
    fast = re.findall(r"^replica ([1-5])  :+=+ (\d+) ms, no migration$", again, re.M)
    assert [number for number, _ in fast] == list("12345")
    median = int(re.search(r"median (\d+) ms\.", again)[1])
    assert abs(median - statistics.median(int(ms) for _, ms in fast)) <= 1
    assert "The database recorded 1 run:" in again and '    ENTRYPOINT ["lockstep"]\n' in again
    assert_nothing_left(folder)


@pytest.mark.parametrize("moment", ["server", "replicas"])
def test_demo_cleans_up_after_an_interrupt(lockstep, folder, moment):
    """^C while the server starts, and while replicas run."""
    demo = begin(lockstep, folder)
    eventually(lambda: list(folder.glob("lockstep-demo-*")), what="the demo has a folder")
    if moment == "replicas":
        eventually(lambda: len(processes_of(folder)) > 8, timeout=60, what="replicas run")
    demo.send_signal(signal.SIGINT)
    _, err = demo.communicate(timeout=60)
    assert demo.returncode == 130 and err.count("\n") <= 1
    assert_nothing_left(folder)
