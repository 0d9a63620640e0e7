"""What a restart costs when the version is already there: whole processes, from start to the end of the app."""

import os
import platform
import shutil
import subprocess

import programs
from server import programs as postgresql

ROUNDS, ROUNDS_OTHERS, SECONDS = 300, 60, 30
DBMATE_VERSION = "2.36.0"
DBMATE_PLATFORMS = {"x86_64": "x64", "aarch64": "arm64"}


def find_dbmate():
    """The program, from npm, kept outside the tree; or the reason why it cannot be had."""
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    prefix = os.path.join(home, "lockstep", "bench", f"dbmate-{DBMATE_VERSION}")
    machine = DBMATE_PLATFORMS.get(platform.machine(), platform.machine())
    program = f"{prefix}/node_modules/@dbmate/linux-{machine}/bin/dbmate"
    if os.access(program, os.X_OK):
        return program, None
    if shutil.which("npm") is None:
        return None, "no npm here"
    command = ["npm", "install", "--prefix", prefix, "--no-save", "--no-audit", "--no-fund", "--ignore-scripts",
               "--loglevel=error", f"dbmate@{DBMATE_VERSION}"]
    try:
        os.makedirs(prefix, exist_ok=True)
        subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=True)
    except (OSError, subprocess.SubprocessError):
        return None, "npm could not install it"
    return (program, None) if os.access(program, os.X_OK) else (None, "npm has no binary for this machine")


def dbmate_contender(server, program):
    """`dbmate up` with one migration, applied already. Its driver wants to be told that the server has no TLS, which saves
    it a round trip that the others make."""
    directory = server.directory / "migrations"
    directory.mkdir()
    (directory / "20260101000000_first.sql").write_text("-- migrate:up\nSELECT 1;\n-- migrate:down\n")
    env = programs.environment(DATABASE_URL=server.url("?sslmode=disable"))
    argv = [program, "--no-dump-schema", "--migrations-dir", directory, "up"]
    programs.expect_success(programs.spawn(argv, env, server.directory / "dbmate.log"), "dbmate")
    return lambda: programs.timed(argv, env)


def measure(server):
    """Results of a race, each (wall, CPU), and why dbmate is not among them."""
    env = programs.environment(DATABASE_URL=server.url())
    gate = [programs.LOCKSTEP, "--target", "v1", "--migrate", "false", "--", programs.APP]
    bare = [programs.BARE, "look", programs.APP]
    psql = [postgresql() / "psql", "-X", "-q", "-c", "select 1", server.url()]
    contenders = {"lockstep": lambda: programs.timed(gate, env), "bare": lambda: programs.timed(bare, env),
                  "psql": lambda: programs.timed(psql, env)}
    program, missing = find_dbmate()
    if program:
        contenders["dbmate"] = dbmate_contender(server, program)
    for contender in contenders.values():
        contender()
    rounds = {name: ROUNDS if name in ("lockstep", "bare") else ROUNDS_OTHERS for name in contenders}
    return programs.race(contenders, rounds, SECONDS), missing


def measure_start():
    """Starting the program at all, against the shortest one of the machine."""
    env = programs.environment()
    words = {"lockstep": [programs.LOCKSTEP, "--version"], "true": ["/bin/true"]}
    contenders = {name: lambda argv=argv: programs.timed(argv, env) for name, argv in words.items()}
    return programs.race(contenders, dict.fromkeys(words, 300), 5)
