"""Both hosts, and an engine for them to talk to."""

from collections.abc import Iterator

import pytest

from tests.host.harness import OURS, STOCK, FakeEngine, HostProcess, attach


@pytest.fixture(scope="session")
def shared_engine() -> Iterator[FakeEngine]:
    with FakeEngine() as fake:
        yield fake


@pytest.fixture(scope="session")
def shared_host(shared_engine: FakeEngine) -> Iterator[HostProcess]:
    with HostProcess(OURS, engine=shared_engine) as process:
        yield process


@pytest.fixture
def engine(shared_engine: FakeEngine) -> FakeEngine:
    """A fake engine; of the lines that it is sent it has those of this test."""
    shared_engine.lines.clear()
    return shared_engine


@pytest.fixture
def host(shared_host: HostProcess, engine: FakeEngine) -> HostProcess:
    """Our host, which sends its lines to `engine`. For tests that leave it as it was."""
    assert shared_host.ask("Attach", attach(engine)).code == "OK"
    return shared_host


@pytest.fixture
def own_host() -> Iterator[HostProcess]:
    """Our host for this test alone."""
    with FakeEngine() as fake, HostProcess(OURS, engine=fake) as process:
        yield process


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[HostProcess, HostProcess]]:
    """The stock host and ours, started once: for tests that only ask and compare."""
    with HostProcess(STOCK) as stock, HostProcess(OURS) as ours:
        yield stock, ours
