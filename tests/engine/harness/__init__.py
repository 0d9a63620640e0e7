"""The stage for the engine tests: a private Docker daemon, its images, compose projects. One module, one meaning.

What the end-to-end suite has already (the checker, waiting for facts) is taken from its package of the same name."""

import pathlib

__path__.append(str(pathlib.Path(__file__).parents[2] / "e2e" / "harness"))
