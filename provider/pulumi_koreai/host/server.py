"""The engine's calls, answered by the dynamic providers that come pickled in the resources' properties.

It answers what the SDK's own host answers (`pulumi/dynamic/__main__.py`, 3.220 to 3.272), fallbacks included, and reads
the same pickles and configuration. What it does besides is in contract.py.
"""

import asyncio
import base64
import contextvars
import inspect
import os
import re
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from queue import LifoQueue
from typing import Any, NoReturn

import dill  # type: ignore[import-untyped]
import grpc
from google.protobuf import any_pb2, empty_pb2, struct_pb2
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider
from pulumi.output import Unknown
from pulumi.runtime import Settings, configure, rpc
from pulumi.runtime._grpc_settings import _GRPC_CHANNEL_OPTIONS
from pulumi.runtime._serialization import _deserialize
from pulumi.runtime.proto import plugin_pb2, provider_pb2

from . import errors
from .call import HostedCall
from .contract import CURRENT, Cancelled, PartialFailure
from .diff import DetailedDiff
from .loading import loading
from .log import EngineLog, text_of
from .threads import Threads

PROVIDER_KEY = "__provider"
_SERVICE = "pulumirpc.ResourceProvider"
_DIFF_UNKNOWN = provider_pb2.DiffResponse.DIFF_UNKNOWN
_DIFF_NONE = provider_pb2.DiffResponse.DIFF_NONE
_DIFF_SOME = provider_pb2.DiffResponse.DIFF_SOME
_PROJECT = os.environ.get("PULUMI_PROJECT", "project")  # the engine sets it for each plugin


class _Refusal(Exception):
    """An answer that is an error: what the user reads, and for the engine a code and details."""

    def __init__(self, message: str, code: grpc.StatusCode = grpc.StatusCode.UNKNOWN, details: bytes = b"") -> None:
        super().__init__(message)
        self.code = code
        self.details = details


class Host:
    """Answers the engine's calls, each in a thread of its own.

    Args:
        log: takes what the providers say.
    """

    def __init__(self, log: EngineLog) -> None:
        self._log = log
        self._config: dict[str, Any] = {}
        self._providers: dict[str, ResourceProvider] = {}
        self._loading = threading.Lock()
        self._calls: set[HostedCall] = set()
        self._changed = threading.Condition()  # of the calls
        self._cancelled = False

    def serve(self) -> int:
        """Start to serve on a free port of the loopback interface; the answer is the port."""
        answers: dict[str, tuple[Any, Callable[[Any, HostedCall], Any]]] = {
            "Attach": (plugin_pb2.PluginAttach, self._attach),
            "Cancel": (empty_pb2.Empty, self._cancel),
            "Check": (provider_pb2.CheckRequest, self._check),
            "Configure": (provider_pb2.ConfigureRequest, self._configure),
            "Create": (provider_pb2.CreateRequest, self._create),
            "Delete": (provider_pb2.DeleteRequest, self._delete),
            "Diff": (provider_pb2.DiffRequest, self._diff),
            "GetPluginInfo": (empty_pb2.Empty, self._plugin_info),
            "Read": (provider_pb2.ReadRequest, self._read),
            "Update": (provider_pb2.UpdateRequest, self._update),
        }
        # What is not in the table is answered with UNIMPLEMENTED by gRPC, and the engine does without.
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            name: grpc.unary_unary_rpc_method_handler(
                self._answering(answer), request.FromString, lambda response: response.SerializeToString()
            )
            for name, (request, answer) in answers.items()
        }
        self._server = grpc.server(Threads(), options=_GRPC_CHANNEL_OPTIONS)  # type: ignore[arg-type] # it only submits
        self._server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(_SERVICE, handlers)])
        port = self._server.add_insecure_port("127.0.0.1:0")
        self._server.start()
        return port

    def cancel(self) -> None:
        """End every wait, of the calls under way and of those to come."""
        with self._changed:
            self._cancelled = True
            calls = list(self._calls)
        for call in calls:
            call.cancel()

    def drained(self, seconds: float) -> bool:
        """Has every call its answer? Waits up to so many seconds for it."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._calls, seconds)

    def _answering(self, answer: Callable[[Any, HostedCall], Any]) -> Callable[[Any, Any], Any]:
        """One call, from the request to the answer."""

        def handle(request: Any, context: Any) -> Any:
            call = HostedCall(request, self._log)
            with self._changed:
                self._calls.add(call)
                cancelled = self._cancelled
            if cancelled:
                call.cancel()
            # gRPC calls back when the engine has its answer, has given the call up, or is gone.
            if not context.add_callback(lambda: self._over(call)):
                self._over(call)
            try:
                # A context of its own: no provider sees what the one before it left behind in this thread.
                return contextvars.copy_context().run(self._run, answer, request, call)
            except _Refusal as refusal:
                _abort(context, refusal)
            except BaseException as error:  # noqa: BLE001 - without an answer the engine would wait for ever
                _abort(context, _Refusal(errors.of_ours(error, "the dynamic provider host")))

        return handle

    def _over(self, call: HostedCall) -> None:
        call.cancel()
        with self._changed:
            self._calls.discard(call)
            self._changed.notify_all()

    def _run(self, answer: Callable[[Any, HostedCall], Any], request: Any, call: HostedCall) -> Any:
        CURRENT.set(call)
        # A plugin isn't told the stack's and the organization's names; these are the stock host's stand-ins.
        configure(Settings(project=_PROJECT, stack="stack", organization="organization"))
        try:
            return answer(request, call)
        except _Refusal as refusal:
            cause = refusal.__cause__
            # Hundreds of interrupted waits have better to do than to write to a log.
            if cause is not None and not (call.cancelled and isinstance(cause, (Cancelled, PartialFailure))):
                call.debug(errors.whole(cause))
            raise
        finally:
            call.finish()

    # What the engine asks. `request` is the message of that name in the engine's provider.proto.

    def _attach(self, request: Any, _: HostedCall) -> Any:
        self._log.connect(request.address)
        return empty_pb2.Empty()

    def _cancel(self, _: Any, __: HostedCall) -> Any:
        self.cancel()
        return empty_pb2.Empty()

    def _plugin_info(self, _: Any, __: HostedCall) -> Any:
        return plugin_pb2.PluginInfo(version="0.1.0")

    def _configure(self, request: Any, _: HostedCall) -> Any:
        config = _values(request.args)
        self._config = {key: rpc.unwrap_rpc_secret(value) for key, value in config.items()}
        # Not supportsPreview: the engine would call `create` of providers that know nothing of previews.
        return provider_pb2.ConfigureResponse(acceptSecrets=False)

    def _check(self, request: Any, call: HostedCall) -> Any:
        olds, news = _values(request.olds, keep_unknowns=True), _values(request.news, keep_unknowns=True)
        with self._provider_code("check"):
            result = self._ask(call, "check", _with_provider(news, olds), olds, news)
            return provider_pb2.CheckResponse(
                # None says nothing about the inputs: they stay as they are.
                inputs=_struct(news if result.inputs is None else result.inputs, news),
                failures=[
                    provider_pb2.CheckFailure(property=failure.property, reason=failure.reason)
                    for failure in result.failures or ()
                ],
            )

    def _diff(self, request: Any, call: HostedCall) -> Any:
        olds, news = _values(request.olds, keep_unknowns=True), _values(request.news, keep_unknowns=True)
        with self._provider_code("diff"):
            result = self._ask(call, "diff", _with_provider(news, olds), request.id, olds, news)
            detailed = result if isinstance(result, DetailedDiff) else None
            changes = result.changes
            if changes is None and detailed and detailed.detailed:
                changes = True
            response = provider_pb2.DiffResponse(
                changes=_DIFF_UNKNOWN if changes is None else _DIFF_SOME if changes else _DIFF_NONE,
                replaces=result.replaces or (),
                deleteBeforeReplace=bool(result.delete_before_replace),
            )
            if changes and detailed:
                response.hasDetailedDiff = True
                for path, kind in detailed.detailed.items():
                    response.detailedDiff[path].kind = provider_pb2.PropertyDiff.Kind.Value(kind.name)
                    response.detailedDiff[path].inputDiff = detailed.input_diff and _inputs_say_the_same(request, path)
            return response

    def _create(self, request: Any, call: HostedCall) -> Any:
        props = _values(request.properties)
        with self._provider_code("create"):
            result = self._ask(call, "create", props, props)
            return provider_pb2.CreateResponse(id=result.id, properties=_struct(result.outs, props))

    def _update(self, request: Any, call: HostedCall) -> Any:
        olds, news = _values(request.olds), _values(request.news)
        with self._provider_code("update"):
            result = self._ask(call, "update", news, request.id, olds, news)
            return provider_pb2.UpdateResponse(properties=_struct(result.outs, news))

    def _delete(self, request: Any, call: HostedCall) -> Any:
        props = _values(request.properties)
        with self._provider_code("delete"):
            self._ask(call, "delete", props, request.id, props)
        return empty_pb2.Empty()

    def _read(self, request: Any, call: HostedCall) -> Any:
        # A refresh brings the outputs; a `get` of a resource by its id only the inputs, if any.
        props = _values(request.properties) or _values(request.inputs)
        with self._provider_code("read"):
            result = self._ask(call, "read", props, request.id, props)
            if not result.id and result.outs is None:  # `ReadResult()`: it is gone
                return provider_pb2.ReadResponse()
            return provider_pb2.ReadResponse(
                id=result.id,
                # None says nothing about the outputs: they stay as they were.
                properties=_struct(props if result.outs is None else result.outs, props),
                inputs=None if result.inputs is None else _struct(result.inputs, props),
            )

    # The provider.

    @contextmanager
    def _provider_code(self, doing: str) -> Iterator[None]:
        """What goes wrong inside is the provider's doing, not this host's."""
        try:
            yield
        except _Refusal:
            raise
        except Cancelled as cancelled:
            raise _Refusal(errors.describe(cancelled), grpc.StatusCode.CANCELLED) from cancelled
        except BaseException as error:
            raise _Refusal(errors.of_provider(error, doing)) from error

    def _ask(self, call: HostedCall, doing: str, props: Mapping[str, Any], *args: Any) -> Any:
        """The result of the method `doing` of the provider pickled in the properties."""
        provider = self._provider(call, props)
        try:
            result = _result(call, provider, doing, *args)
        except PartialFailure as failure:
            id_ = failure.id or (args[0] if doing in ("update", "read") else "")
            if doing not in ("create", "update", "read") or not id_:
                raise  # the engine can't keep it
            raise _Refusal(str(failure), details=_init_failed(id_, failure, props)) from failure
        if result is None and doing != "delete":
            raise _Refusal(f"{type(provider).__name__}.{doing} returned None, not a {doing.capitalize()}Result")
        return result

    def _provider(self, call: HostedCall, props: Mapping[str, Any]) -> ResourceProvider:
        """The provider pickled in the properties, unpickled and configured once for all resources that share it."""
        pickled = rpc.unwrap_rpc_secret(props.get(PROVIDER_KEY))
        if not isinstance(pickled, str):
            raise _Refusal(_NO_PROVIDER)
        provider = self._providers.get(pickled)
        if provider is None:
            # One at a time, as in the stock host: two threads in dill.loads get in each other's way (pulumi#14159).
            with self._loading:
                provider = self._providers.get(pickled)
                if provider is None:
                    try:
                        with loading():
                            provider = _deserialize(lambda: dill.loads(base64.b64decode(pickled)))  # noqa: S301 - that's its job
                    except Exception as error:
                        raise _Refusal(errors.of_pickle(error)) from error
                    with self._provider_code("configure"), loading():
                        config = Config(raw_config=self._config, project_name=_PROJECT)
                        _result(call, provider, "configure", ConfigureRequest(config=config))
                    self._providers[pickled] = provider
        return provider


_NO_PROVIDER = (
    "the engine sent no provider for this dynamic resource\n"
    "  Its provider is part of its state. A resource that isn't there yet can't be imported, or read by its id alone."
)


def _result(call: HostedCall, provider: ResourceProvider, doing: str, *args: Any) -> Any:
    result = getattr(provider, doing)(*args)
    return call.run(result) if inspect.isawaitable(result) else result


def _with_provider(news: dict[str, Any], olds: dict[str, Any]) -> dict[str, Any]:
    """The properties to take the provider from: the old ones as long as the new provider isn't known."""
    return olds if isinstance(news.get(PROVIDER_KEY), Unknown) else news


def _values(sent: struct_pb2.Struct, *, keep_unknowns: bool = False) -> dict[str, Any]:
    """What the engine sent, as Python values."""
    try:
        values: dict[str, Any] = rpc.deserialize_properties(sent, keep_unknowns)
    except Exception as error:
        # The SDK can't: for example it knows no asset without its content, which is what the engine sends to Diff.
        raise _Refusal(f"the Pulumi SDK can't read what the engine sent: {errors.describe(error)}") from error
    return values


def _inputs_say_the_same(request: Any, path: str) -> bool:
    """Whether the old inputs have what the provider was given as the old value, which is that of the outputs."""
    name = re.split(r"[.\[]", path, maxsplit=1)[0]
    given, inputs = request.olds.fields.get(name), request.old_inputs.fields.get(name)
    return not request.HasField("old_inputs") or bool(given == inputs)


# Event loops to use again: to make one for each answer is a third of what a small answer costs. Few: each holds
# three descriptors, of which a process may have no more than 256, and a Ctrl-C brings hundreds of answers at once.
_LOOPS_MAX = 4
_LOOPS: LifoQueue[asyncio.AbstractEventLoop | None] = LifoQueue()  # None: not made yet
for _ in range(_LOOPS_MAX):
    _LOOPS.put(None)


def _struct(values: Mapping[str, Any] | None, props: Mapping[str, Any]) -> struct_pb2.Struct:
    """The values as the engine keeps them, with the provider that they came with."""
    loop = _LOOPS.get()
    try:
        loop = loop or asyncio.new_event_loop()
        return loop.run_until_complete(
            rpc.serialize_properties({**(values or {}), PROVIDER_KEY: props.get(PROVIDER_KEY)}, {})
        )
    finally:
        if loop is not None and asyncio.all_tasks(loop):
            loop.close()
            loop = None
        _LOOPS.put(loop)


def _init_failed(id_: str, failure: PartialFailure, props: Mapping[str, Any]) -> bytes:
    """A `google.rpc.Status` whose detail is what the engine needs to keep the resource.

    Written byte by byte: the SDK and googleapis-common-protos each have a module for that message, one process can't
    import both, and a provider may need the other one.
    """
    detail = any_pb2.Any()
    detail.Pack(
        provider_pb2.ErrorResourceInitFailed(
            id=id_,
            properties=_struct(failure.outs, props),
            reasons=[text_of(reason) for reason in failure.reasons],
            inputs=None if failure.inputs is None else _struct(failure.inputs, props),
        )
    )
    code = grpc.StatusCode.UNKNOWN.value[0]
    return bytes([1 << 3, code]) + _field(2, text_of(failure).encode()) + _field(3, detail.SerializeToString())


def _field(number: int, content: bytes) -> bytes:
    """A protobuf field of bytes: its number and wire type 2, the length in groups of seven bits, the content."""
    head, length = bytes([number << 3 | 2]), len(content)
    while length > 0x7F:
        head += bytes([length & 0x7F | 0x80])
        length >>= 7
    return head + bytes([length]) + content


def _abort(context: Any, refusal: _Refusal) -> NoReturn:
    if refusal.details:
        context.set_trailing_metadata((("grpc-status-details-bin", refusal.details),))
    context.abort(refusal.code, text_of(refusal))
    raise AssertionError  # abort raises
