"""What all the folders of tests share: the real engine."""

import os
import pickle
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import engine as engine_tool

# How long an example takes says how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

# A script's background run inherits an ignored SIGINT and hands it on to what it starts: no Ctrl-C would work.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


# What a test that drives the real engine asks for, directly or by another fixture.
_ENGINES = {"real_engine", "terraform_env"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if isinstance(item, pytest.Function) and _ENGINES & set(item.fixturenames):
            item.add_marker(pytest.mark.engine)


@pytest.fixture(autouse=True)
def sdk_pickler() -> Iterator[None]:
    """The SDK wraps two of pickle's methods again for each provider it pickles and never unwraps them
    (`serialize_provider` in pulumi/dynamic/dynamic.py): after some 980 no later test could pickle anything."""
    before = {name: getattr(pickle._Pickler, name) for name in ("_batch_setitems", "save_dict")}
    yield
    for name, method in before.items():
        setattr(pickle._Pickler, name, method)


@pytest.fixture(autouse=True)
def signal_handlers() -> Iterator[None]:
    """What a program does for its process when it is run inside a test is none of the next test's."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture(scope="session")
def real_engine(request: pytest.FixtureRequest) -> engine_tool.Engine:
    """The engine of the PATH, or one that is fetched: a missing one is no reason to skip.

    Its parameter, where it has one, is the version that it has to be.
    """
    exactly: engine_tool.Pin | None = getattr(request, "param", None)
    return engine_tool.obtain(exactly=exactly)


@pytest.fixture
def stock_folder(real_engine: engine_tool.Engine) -> Path:
    """Where the stock host's script is: beside the engine."""
    found = real_engine.folder or Path(shutil.which("pulumi") or "").resolve().parent
    assert (found / "pulumi-resource-pulumi-python").exists()
    return found


@pytest.fixture
def engine_env(real_engine: engine_tool.Engine, tmp_path: Path) -> dict[str, str]:
    """The environment for the real `pulumi`: a backend and settings in a folder of this test's own."""
    (tmp_path / "state").mkdir()
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KOREAI_"))}
    return engine_tool.environment(
        real_engine,
        {
            **base,
            "PULUMI_BACKEND_URL": (tmp_path / "state").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_HOME": str(tmp_path / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "NO_COLOR": "1",
        },
    )
