"""Passwords that are found wherever a part of them gets out.

Each consists of two halves around something odd: HEAD and TAIL are plain letters, so if any part of it leaks, in whatever
encoding or cut, one of the two is found."""

import os
import re
import subprocess
from pathlib import Path

from pidns import BIN, base_env, descendants

HEAD, TAIL = "Zq7xHj", "Kw9vBm"
P = HEAD + "{}" + TAIL
MODES = [(level, log) for level in ("debug", "info", "error") for log in ("text", "json")]


def leaks(*texts):
    """What of the password is in these texts."""
    found = []
    for text in texts:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        found += [m.group(0) for half in (HEAD, TAIL) for m in re.finditer(f".{{0,30}}{half}.{{0,30}}", text, re.S | re.I)]
    return found


def all_argv():
    """Of the processes that these tests started; another worker's may carry a URL there on purpose."""
    found = []
    for pid in descendants(os.getpid()):
        for what in ("cmdline", "comm"):
            try:
                found.append(Path(f"/proc/{pid}/{what}").read_bytes())
            except OSError:
                pass
    return found


def call(url, *words, env=None, **more):
    env = base_env(LOCKSTEP_LOCK=url, LOCKSTEP_NAME="default", PGCONNECT_TIMEOUT="5", **more) if env is None else env
    return subprocess.run([BIN, *words], env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False,
                          cwd="/")


def in_every_mode(url, *words, **kwargs):
    """One call for each log level and format: what all of them have said, and the set of their statuses."""
    done = [call(url, *words, "--log-level", level, "--log-format", log, **kwargs) for level, log in MODES]
    return [text for d in done for text in (d.stdout, d.stderr)], {d.returncode for d in done}
