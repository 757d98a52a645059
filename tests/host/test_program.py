"""How a program ends when the engine has given its update up: a program's process, and a monitor that gives up."""

import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, resource_pb2, resource_pb2_grpc

import engine as engine_tool
from tests.host.harness import FakeEngine, until

# The oldest SDK doesn't wait for the registrations then, and tells of it without the program's own lines.
SDK_TELLS_OF_APPLIES = version("pulumi") == str(engine_tool.OLDEST.version)

# What the language host's script does for a program.
EXECUTOR = """
import asyncio, logging, runpy, sys, traceback
import pulumi, pulumi.runtime

logging.getLogger("asyncio").setLevel(logging.CRITICAL)
monitor, engine, program = sys.argv[1:]
pulumi.runtime.configure(pulumi.runtime.Settings(monitor=monitor, engine=engine, project="p", stack="s", parallel=4))
sys.argv = [program]
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)
status = 1
try:
    run = pulumi.runtime.run_in_stack(lambda: runpy.run_path(program, run_name="__main__"))
    loop.run_until_complete(run)
    status = 0
except pulumi.RunError as error:
    pulumi.log.error(str(error))
except Exception:
    pulumi.log.error(traceback.format_exc())
    status = 32
sys.exit(status)
"""
MODELS = """
import pulumi
from pulumi_koreai import ModelDeployment
hyper = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
for n in range(8):
    ModelDeployment(f"m{n}", model_id=f"cm-{n}", deployment_name="d", device_type="g5.xlarge", hyper_parameters=hyper)
"""

LATE_BUG = """
import asyncio
async def late():
    await asyncio.sleep(0.5)
    return {}["gone"]
pulumi.Output.from_input(late()).apply(str)
"""


@dataclass
class FakeMonitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Takes registrations of models, and doesn't answer them until it is told to end; with `answers` it does."""

    answers: bool = False
    asked: int = 0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "FakeMonitor":
        self.server = grpc.server(futures.ThreadPoolExecutor(32))
        resource_pb2_grpc.add_ResourceMonitorServicer_to_server(self, self.server)
        self.address = f"127.0.0.1:{self.server.add_insecure_port('127.0.0.1:0')}"
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        self.server.stop(0).wait()

    def end(self) -> None:
        """As the engine does: calls under way are refused, and the server takes no further one."""
        self.over.set()
        self.server.stop(1).wait()

    def SupportsFeature(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        return resource_pb2.SupportsFeatureResponse(hasSupport=True)

    def GetDeploymentInfo(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        context.abort(grpc.StatusCode.UNIMPLEMENTED, "of newer engines")

    def RegisterResource(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        if request.type == "pulumi:pulumi:Stack":
            return resource_pb2.RegisterResourceResponse(urn="urn:pulumi:s::p::pulumi:pulumi:Stack::p-s")
        self.asked += 1
        if self.answers:
            return resource_pb2.RegisterResourceResponse(urn=f"urn:pulumi:s::p::{request.type}::{request.name}", id="1")
        self.over.wait(30)
        return context.abort(grpc.StatusCode.UNAVAILABLE, "resource monitor shut down while waiting")

    def RegisterResourceOutputs(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        return empty_pb2.Empty()

    def Invoke(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        context.abort(grpc.StatusCode.UNAVAILABLE, "the provider of this function is not to be reached")


@pytest.fixture
def monitor() -> Iterator[FakeMonitor]:
    with FakeMonitor() as fake:
        yield fake


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    with FakeEngine() as fake:
        yield fake


@pytest.fixture(autouse=True)
def _no_process_stays() -> Iterator[None]:
    yield
    while started:
        process = started.pop()
        process.kill()
        process.communicate()


started: list["subprocess.Popen[str]"] = []


@dataclass
class Program:
    process: "subprocess.Popen[str]"
    engine: FakeEngine

    def ended(self) -> tuple[int, str, list[str]]:
        """The exit status, what it wrote, and the errors that it told the engine."""
        output, _ = self.process.communicate(timeout=20)
        return self.process.returncode, output, self.engine.said(engine_pb2.ERROR)


def run(
    folder: Path, text: str, monitor: FakeMonitor, engine: FakeEngine, *, script: str = "pulumi-language-python-exec"
) -> Program:
    (folder / script).write_text(EXECUTOR)
    (folder / "__main__.py").write_text(textwrap.dedent(text))
    process = subprocess.Popen(
        [sys.executable, folder / script, monitor.address, engine.address, folder / "__main__.py"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    started.append(process)
    return Program(process, engine)


def test_an_interrupted_program_ends_at_once_and_without_a_word(
    tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine
) -> None:
    program = run(tmp_path, MODELS + "import atexit; atexit.register(print, 'tidied up')\n", monitor, engine)
    assert until(lambda: monitor.asked >= 4)
    began = time.monotonic()
    program.process.send_signal(signal.SIGINT)
    assert program.ended() == (130, "tidied up\n", [])
    assert time.monotonic() - began < 2


def test_a_program_whose_monitor_is_gone_ends_without_a_word(
    tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine
) -> None:
    program = run(tmp_path, MODELS, monitor, engine)
    assert until(lambda: monitor.asked >= 4)
    monitor.end()
    assert program.ended() == (1, "", [])


def test_many_signals_are_as_one(tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine) -> None:
    program = run(tmp_path, MODELS + "raise ValueError('a bug')\n", monitor, engine)
    assert until(lambda: monitor.asked >= 4)
    engine.delay = 0.3
    for _ in range(5):
        program.process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    status, output, (error,) = program.ended()
    assert (status, output) == (130, "")
    assert "ValueError: a bug" in error


@pytest.mark.parametrize("way", ["signal", "monitor"])
@pytest.mark.parametrize(
    "bug, told",
    [
        ("raise ValueError('a bug of the program')\n", ["ValueError: a bug of the program", "__main__.py"]),
        (LATE_BUG, ["KeyError: 'gone'"] if SDK_TELLS_OF_APPLIES else ["KeyError: 'gone'", "__main__.py"]),
        ("raise pulumi.RunError('set the region first')\n", ["set the region first"]),
    ],
    ids=["raised", "in an apply", "for the user"],
)
def test_what_the_program_itself_raised_is_told_once(
    tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine, way: str, bug: str, told: list[str]
) -> None:
    program = run(tmp_path, MODELS + bug, monitor, engine)
    assert until(lambda: monitor.asked >= 4)
    time.sleep(1.0 if bug is LATE_BUG else 0.0)
    if way == "signal":
        program.process.send_signal(signal.SIGINT)
    else:
        monitor.end()
    _, output, errors = program.ended()
    assert output == ""
    assert len(errors) == 1
    assert all(part in errors[0] for part in told)
    assert bug is LATE_BUG or "run_pulumi_func" not in errors[0], "frames of the SDK's are no help"
    assert ("Traceback" in errors[0]) == ("RunError" not in bug)


def test_a_provider_that_is_unavailable_is_told_as_ever(
    tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine
) -> None:
    """The SDK reads it as the monitor's end; but the monitor is there, and the engine has told nothing."""
    monitor.answers = True
    program = run(tmp_path, MODELS + "pulumi.runtime.invoke('aws:get', {})\n", monitor, engine)
    status, _, errors = program.ended()
    assert status != 0
    assert errors != []


def test_a_person_s_ctrl_c_elsewhere_is_what_it_was(tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine) -> None:
    program = run(tmp_path, MODELS, monitor, engine, script="inline.py")
    assert until(lambda: monitor.asked >= 4)
    program.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    monitor.end()
    _, output, _ = program.ended()
    assert "KeyboardInterrupt" in output


def test_a_person_s_ctrl_c_while_a_program_elsewhere_computes_is_what_it_was(
    tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine
) -> None:
    monitor.answers = True  # the SDK keeps the exception until the registrations are through
    computes = "import pathlib, sys, time\npathlib.Path(sys.argv[0]).with_name('computes').touch()\ntime.sleep(60)\n"
    program = run(tmp_path, MODELS + computes, monitor, engine, script="inline.py")
    assert until((tmp_path / "computes").exists)
    program.process.send_signal(signal.SIGINT)
    _, output, _ = program.ended()
    assert "KeyboardInterrupt" in output


def test_a_program_s_own_handler_stays(tmp_path: Path, monitor: FakeMonitor, engine: FakeEngine) -> None:
    own = "import os, signal\nsignal.signal(signal.SIGINT, lambda *_: os._exit(7))\n"
    program = run(tmp_path, own + MODELS, monitor, engine)
    assert until(lambda: monitor.asked >= 4)
    program.process.send_signal(signal.SIGINT)
    assert program.ended() == (7, "", [])
