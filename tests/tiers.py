"""The tiers of the tests: `make test-fast`, `make test` and, with everything in its full size, `make test-all`.

A test with the marker `nightly` runs in `make test-all` alone; one with `engine` drives the real `pulumi` or
`terraform`, and is not in `make test-fast`.
"""

import os
from typing import Final

import pytest

import engine

NIGHTLY: Final = os.environ.get("KOREAI_TESTS") == "all"
"""Whether this is the run of a night: every round, every example."""

OLDEST_ENGINE: Final = pytest.mark.parametrize("real_engine", [engine.OLDEST], indirect=True, ids=["oldest engine"])
"""For a test that needs the oldest engine, a night's, as a checkout without it would have to build it."""
