#!/usr/bin/python3
"""The engine under test: a private Docker daemon and the stand-in images.

    engine.py start             starts it unless it runs (installing what is missing); prints its DOCKER_HOST
    engine.py stop              ends it; its images stay
    engine.py env               prints what a shell needs:  eval "$(tests/engine/engine.py env)"
    engine.py docker WORD...    one docker command against it
    engine.py images TAG...     builds those stand-in images, and what they are built from (--all: all there are)
    engine.py lockstep [FILE]   makes the image lockstep/lockstep:0.1 from build/lockstep, or from FILE"""

import os
import shlex
import sys

from harness import daemon, images


def env():
    daemon.start()
    for name, value in daemon.environment().items():
        print(f"export {name}={shlex.quote(value)}")


def docker(*words):
    daemon.start()
    os.execve("/usr/bin/docker", ["docker", *words], daemon.client_environment())


def make_images(*tags):
    daemon.start()
    images.ensure(*(images.stand_ins() if tags == ("--all",) else tags))


def make_lockstep(*binary):
    daemon.start()
    images.ensure_lockstep(*binary)


VERBS = {"start": lambda: print(daemon.start()), "stop": daemon.stop, "env": env, "docker": docker,
         "images": make_images, "lockstep": make_lockstep}


def main():
    if len(sys.argv) < 2 or sys.argv[1] not in VERBS:
        sys.exit(__doc__)
    try:
        VERBS[sys.argv[1]](*sys.argv[2:])
    except daemon.EngineError as error:
        daemon.say(f"error: {error}")
        sys.exit(1)


if __name__ == "__main__":
    main()
