"""Drives a host's process over gRPC, as the engine does, without an engine."""

import atexit
import base64
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from google.rpc import status_pb2  # type: ignore[import-untyped]
from pulumi.dynamic import ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime._serialization import _serialize
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, plugin_pb2, provider_pb2, provider_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
STOCK = ("-u", "-m", "pulumi.dynamic")
OURS = ("-m", "pulumi_koreai.host")
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
TYPE = "pulumi-python:dynamic:Resource"


def urn(name: str = "r") -> str:
    return f"urn:pulumi:dev::project::{TYPE}::{name}"


@dataclass
class FakeEngine(engine_pb2_grpc.EngineServicer):
    """`Engine.Log`, which keeps what it is sent. `delay`: seconds that it takes over a line."""

    delay: float = 0.0
    lines: list[tuple[float, Any]] = field(default_factory=list)

    def __enter__(self) -> "FakeEngine":
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(0).wait()

    def Log(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC's name for it
        time.sleep(self.delay)
        self.lines.append((time.monotonic(), request))
        return empty_pb2.Empty()

    def said(self, severity: int | None = None, *, ephemeral: bool = False) -> list[str]:
        severities = {engine_pb2.INFO, engine_pb2.WARNING} if severity is None else {severity}
        return [
            line.message
            for _, line in self.lines
            if line.ephemeral == ephemeral and (ephemeral or line.severity in severities)
        ]


@dataclass(frozen=True)
class Answer:
    """What came back: an `OK` with a response, or a code, its message and the details of a partial failure."""

    code: str
    response: Any = None
    message: str = ""
    partial: Any = None

    @property
    def outs(self) -> dict[str, Any]:
        return plain(self.response.properties)


def plain(values: struct_pb2.Struct) -> dict[str, Any]:
    return {key: value for key, value in MessageToDict(values).items() if key != "__provider"}


@cache
def journals() -> str:
    """A folder for what the hosts of this process write down."""
    folder = tempfile.mkdtemp(prefix="journals-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class HostProcess:
    """A host, started as the engine starts it: in a process group of its own, the engine's address last."""

    def __init__(
        self,
        host: Sequence[str] = OURS,
        *,
        engine: FakeEngine | None = None,
        cwd: Path = ROOT,
        env: Mapping[str, str] = {},
        python: str = sys.executable,
    ) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [python, *host, engine.address if engine else "127.0.0.1:1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={**os.environ, "PULUMI_PROJECT": "project", "KOREAI_JOURNAL": journals(), **env},
            start_new_session=True,
            text=True,
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self.stdout: list[str] = []
        self.stderr: list[str] = []
        port = self.process.stdout.readline().strip()
        self.ready_after = time.monotonic() - self.started
        self._readers = [
            threading.Thread(target=self._read, args=(stream, lines))
            for stream, lines in ((self.process.stdout, self.stdout), (self.process.stderr, self.stderr))
        ]
        for reader in self._readers:
            reader.start()
        if not port.isdigit():
            self.process.wait()
            raise AssertionError(f"no port but {port!r}: {''.join(self.stderr)}")
        self.port = int(port)
        self.channel = grpc.insecure_channel(
            f"127.0.0.1:{self.port}",
            [("grpc.max_metadata_size", 1 << 24), ("grpc.absolute_max_metadata_size", 1 << 24)],
        )
        self.stub = provider_pb2_grpc.ResourceProviderStub(self.channel)

    @staticmethod
    def _read(stream: IO[str], lines: list[str]) -> None:
        lines.extend(stream)

    def __enter__(self) -> "HostProcess":
        return self

    def __exit__(self, *_: object) -> None:
        self.channel.close()
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for reader in self._readers:
            reader.join()
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def interrupt(self) -> float:
        """What the engine does when a command is done; the answer is the seconds until the host was gone."""
        before = time.monotonic()
        os.killpg(self.process.pid, signal.SIGINT)
        self.process.wait(10)
        return time.monotonic() - before

    def leave(self) -> None:
        """End it, whichever host it is. The stock one misses a signal now and then, when another thread takes it."""
        for _ in range(10):
            os.killpg(self.process.pid, signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(2)
                return
        raise AssertionError("it does not end")

    def ask(self, method: str, request: Any = None, timeout: float | None = 20) -> Answer:
        return answer(self.future(method, request, timeout))

    def future(self, method: str, request: Any = None, timeout: float | None = 20) -> Any:
        return getattr(self.stub, method).future(request or empty_pb2.Empty(), timeout=timeout)

    def create(self, provider: str | ResourceProvider, timeout: float = 0.0, **props: Any) -> Answer:
        return self.ask("Create", create(provider, timeout=timeout, **props))


def answer(future: Any) -> Answer:
    try:
        return Answer("OK", future.result())
    except grpc.RpcError:
        return Answer(future.code().name, message=future.details(), partial=_partial(future))


def _partial(future: Any) -> Any:
    for key, value in future.trailing_metadata() or ():
        if key == "grpc-status-details-bin":
            status = status_pb2.Status.FromString(value)
            assert (status.code, status.message) == (future.code().value[0], future.details())
            detail = provider_pb2.ErrorResourceInitFailed()
            assert status.details[0].Unpack(detail)
            return detail
    return None


def pickled(provider: str | ResourceProvider) -> str:
    if isinstance(provider, str):
        return provider
    return str(_serialize(True, serialize_provider, provider)[0])


def by_name(module: str, name: str) -> str:
    """The pickle of an instance of a class, by the class's name, as one of an importable module has it."""
    return base64.b64encode(f"\x80\x02c{module}\n{name}\n)\x81.".encode("latin1")).decode()


def struct(provider: str | ResourceProvider | None, values: Mapping[str, Any]) -> struct_pb2.Struct:
    made = struct_pb2.Struct()
    made.update(values)
    if provider is not None:
        made.update({"__provider": pickled(provider)})
    return made


def create(
    provider: str | ResourceProvider, name: str = "r", timeout: float = 0.0, **props: Any
) -> "provider_pb2.CreateRequest":
    return provider_pb2.CreateRequest(
        urn=urn(name), name=name, type=TYPE, properties=struct(provider, props), timeout=timeout
    )


def update(provider: str | ResourceProvider, **props: Any) -> "provider_pb2.UpdateRequest":
    values = struct(provider, props)
    return provider_pb2.UpdateRequest(id="id", urn=urn(), name="r", type=TYPE, olds=values, news=values)


def delete(provider: str | ResourceProvider, **props: Any) -> "provider_pb2.DeleteRequest":
    return provider_pb2.DeleteRequest(id="id", urn=urn(), name="r", type=TYPE, properties=struct(provider, props))


def read(
    provider: str | ResourceProvider | None, inputs: Mapping[str, Any] | None = None, **props: Any
) -> "provider_pb2.ReadRequest":
    return provider_pb2.ReadRequest(
        id="id",
        urn=urn(),
        name="r",
        type=TYPE,
        properties=struct(provider, props) if props else None,
        inputs=None if inputs is None else struct(provider, inputs),
    )


def check(
    provider: str | ResourceProvider, olds: Mapping[str, Any] | None = None, **news: Any
) -> "provider_pb2.CheckRequest":
    return provider_pb2.CheckRequest(
        urn=urn(),
        name="r",
        type=TYPE,
        olds=None if olds is None else struct(provider, olds),
        news=struct(provider, news),
    )


def diff(provider: str | ResourceProvider, olds: Mapping[str, Any], **news: Any) -> "provider_pb2.DiffRequest":
    return provider_pb2.DiffRequest(
        id="id", urn=urn(), name="r", type=TYPE, olds=struct(provider, olds), news=struct(provider, news)
    )


def attach(engine: FakeEngine) -> "plugin_pb2.PluginAttach":
    return plugin_pb2.PluginAttach(address=engine.address)


def configure(**config: Any) -> "provider_pb2.ConfigureRequest":
    return provider_pb2.ConfigureRequest(args=struct(None, config))


def until(condition: Any, seconds: float = 10.0) -> bool:
    """Did it come true within so many seconds?"""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True
