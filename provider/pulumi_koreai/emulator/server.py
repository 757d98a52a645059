"""The platform over HTTP: the vendor's routes, the keys and the spellings."""

import asyncio
import threading
import time
import traceback
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future
from copy import deepcopy
from dataclasses import dataclass, field
from hashlib import sha256
from ipaddress import IPv6Address, ip_address
from pathlib import Path
from types import TracebackType
from typing import Final, Literal, Self, TypeAlias, Unpack, get_args

from aiohttp import web

from .console import Console, Recorded
from .control import add_routes
from .deploy_body import Json
from .downloads import add_downloads, download_url
from .faults import Script, ScriptedFault
from .injector import Injector
from .platform import Changes, EmulatedJob, EmulatorSettings, Model, Refusal, random_ids
from .responses import failed, json_response, parsed_body, refusal_response
from .routes import Operation, asked

Spelling = Literal["dock-statusId", "dockStatusId", "dockstatusId", "_id", "as-in-samples"]

SPELLINGS: Final[tuple[Spelling, ...]] = get_args(Spelling)

Take: TypeAlias = Callable[[], web.Response]
Hook: TypeAlias = Callable[[web.Request, Take], Awaitable[web.StreamResponse]]
"""Stands between the network and the platform, once for each public request, its body already read.

Until it calls `take()` the platform knows nothing of the request; afterwards the request is done, and what `take`
gives is the true answer, refusals included. A hook may answer without taking, change the answer, wait, or drop the
connection (`request.transport.abort()`), before or after.
"""

_BODY_MAX_BYTES: Final = 1 << 20
# Connections that wait to be accepted: several hundred pollers may come at once.
_BACKLOG: Final = 1024
_COME_BACK_SECONDS: Final = 10


@dataclass(frozen=True)
class Options(EmulatorSettings):
    """The platform's settings and those of its HTTP side.

    Attributes:
        api_keys: the keys that are accepted, each with the scopes it lacks; none: any key that is not empty.
        spelling: the name of the job's id in answers; `as-in-samples`: `dock-statusId` when a deploy or undeploy is
            begun, else `_id`, as on the vendor's pages.
        percentage: answer `percentageComplete` with deploys and exports.
        retry_after: send `Retry-After` with a 429.
        faults: what goes wrong.
        state: the file that keeps the models and jobs over a restart; None: nothing is kept.
        hook: stands between the network and the platform, in the place of the faults.
    """

    api_keys: Mapping[str, frozenset[Operation]] = field(default_factory=dict)
    spelling: Spelling = "dockStatusId"
    percentage: bool = True
    retry_after: bool = False
    faults: Script = field(default_factory=Script)
    state: Path | None = None
    hook: Hook | None = None


class Server(Console):
    """The platform and its HTTP side.

    Args:
        options: how it behaves.
        now: a monotonic clock, in seconds.
        new_id: a new id at each call; None: random ones.

    Attributes:
        failures: what went wrong in the emulator itself.
        injector: the faults, as they are carried out.

    Raises:
        InvalidInput: there is a file for the state, but no state in it.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        now: Callable[[], float] = time.monotonic,
        new_id: Callable[[], str] | None = None,
    ) -> None:
        self.options = options or Options()
        self.failures: list[Exception] = []
        super().__init__(self.options, now, new_id or random_ids(), self.options.state)
        self.injector = Injector(self, self._leave, self.options.faults)
        self._site: web.TCPSite | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def reset(self) -> None:
        with self.lock:
            super().reset()
            self.injector.restart()

    async def serve(self, bind: str, port: int, ready: Callable[[str], None], stop: asyncio.Event) -> None:
        """Serve until `stop` is set.

        Args:
            bind: the IP address to listen at.
            port: the port, 0 for a free one.
            ready: called with the URL as soon as connections are accepted.
            stop: ends it, open requests included.

        Raises:
            OSError: it can't listen there.
        """
        app = web.Application(client_max_size=_BODY_MAX_BYTES)
        add_routes(app, self, self.injector, self._leave)
        add_downloads(app, self)
        app.router.add_route("*", "/{path:.*}", self._public)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        try:
            await self._listen(bind, port)
            port = self._runner.addresses[0][1]
            host = f"[{bind}]" if isinstance(ip_address(bind), IPv6Address) else bind
            self._address = bind, port
            ready(f"http://{host}:{port}")
            await stop.wait()
        finally:
            for task in self._tasks:
                task.cancel()
            await self._runner.cleanup()

    async def _listen(self, bind: str, port: int) -> None:
        site = web.TCPSite(self._runner, bind, port, backlog=_BACKLOG)
        await site.start()
        self._site = site

    async def _leave(self, seconds: float, last: web.Request) -> None:
        """Have nobody listen for so long, from now on; nothing more where nobody does already.

        Args:
            seconds: how long.
            last: a request that still gets its answer. All other connections end.
        """
        site, self._site = self._site, None
        if site is None:
            return
        await site.stop()
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport is not None and connection.transport is not last.transport:
                connection.transport.close()
        task = asyncio.get_running_loop().create_task(self._come_back(seconds))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _come_back(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        try:
            await self._listen(*self._address)
        except OSError as error:  # somebody else has the port now
            self._broken(error)

    async def _public(self, request: web.Request) -> web.StreamResponse:
        entry = self.record(request.method, request.rel_url.raw_path, dict(request.query))
        response: web.StreamResponse
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            response = refusal_response(Refusal(413, "BODY_TOO_LARGE", f"A body has at most {_BODY_MAX_BYTES} bytes"))
        except (ConnectionError, web.RequestPayloadError):
            return web.Response(status=400)  # the client was killed in the middle: nobody will read this
        else:
            entry.body = _readable(body)
            try:
                response = await self._answered(request, body, entry)
            except Exception as error:  # noqa: BLE001 - a mistake in here must fail the test, which is in another thread
                self._broken(error)
                response = refusal_response(Refusal(500, "EMULATOR_BROKEN", repr(error)))
        if request.transport is not None and not request.transport.is_closing():
            entry.status = response.status
        return response

    async def _answered(self, request: web.Request, body: bytes, entry: Recorded) -> web.StreamResponse:
        def take() -> web.Response:
            return self._take(request, body)

        if self.options.hook is not None:
            return await self.options.hook(request, take)
        return await self.injector.serve(request, take, entry)

    def _broken(self, error: Exception) -> None:
        self.failures.append(error)
        traceback.print_exception(error)

    def _take(self, request: web.Request, body: bytes) -> web.Response:
        try:
            with self.changing():
                return json_response(self._job(request, body))
        except Refusal as refusal:
            return refusal_response(refusal, retry_after=self.options.retry_after)

    def _job(self, request: web.Request, body: bytes) -> dict[str, Json]:
        this = asked(request.method, request.rel_url.raw_path)
        if this is None:
            raise Refusal(404, "NOT_FOUND", f"Cannot {request.method} {request.rel_url.raw_path}")
        account, origin = self._account(request, this.operation), str(request.url.origin())
        match this.operation:
            case "dock-status":
                return self._answer(self.platform.dock_status(this.subject), "_id", origin)
            case "export":
                return self._answer(self.platform.export(account, this.subject), "_id", origin)
            case "undeploy":
                return self._answer(self.platform.undeploy(account, this.subject), "dock-statusId", origin)
            case "deploy":
                if request.content_type != "application/json":
                    raise Refusal(400, "INVALID_CONTENT_TYPE", "Content-Type must be application/json")
                model_type = request.query.get("modelType")
                job = self.platform.deploy(account, this.subject, model_type, parsed_body(body))
                return self._answer(job, "dock-statusId", origin)

    def _account(self, request: web.Request, scope: Operation) -> str:
        """Who asks, for the rate limits: not the key itself, which is kept nowhere."""
        key, keys = request.headers.get("x-api-key", ""), self.options.api_keys
        if not key or (keys and key not in keys):
            raise Refusal(401, "UNAUTHORIZED", "The API key is missing or not valid")
        if scope in keys.get(key, ()):
            raise Refusal(403, "FORBIDDEN", f"The API key lacks the scope {scope}")
        return sha256(key.encode(errors="surrogateescape")).hexdigest()

    def _answer(self, job: EmulatedJob, name_in_samples: str, origin: str) -> dict[str, Json]:
        spelling = self.options.spelling
        answer: dict[str, Json] = {
            name_in_samples if spelling == "as-in-samples" else spelling: job.id,
            "modelId": job.model_id,
            "jobType": "MODELS",
            "action": job.action,
            "status": job.status if job.status == "IN_PROGRESS" else job.oddity.end_status or job.status,
        }
        # The vendor's page on undeploying knows no percentage.
        if self.options.percentage and job.action != "UNDEPLOY":
            answer["percentageComplete"] = self.platform.percent(job)
        if job.status == "FAILED":
            answer |= failed(job.oddity.shape, job.reason or "")
        elif job.status == "SUCCESS" and job.action == "EXPORT":
            answer["response"] = {"downloadUrl": download_url(origin, job)}
        return answer


class Emulator(Server):
    """The emulator in a thread of this process, as a context manager.

        with Emulator(Options(job_seconds=0.1)) as emulator:
            requests.post(f"{emulator.url}/api/public/models/cm-a/undeploy", headers={"x-api-key": "any"})
            assert [entry.status for entry in emulator.requests()] == [400]

    All methods can be called from any thread, and still after the end; whoever uses `platform` itself holds `lock`.
    A mistake of the emulator's own is raised at the end of the `with`.

    Args:
        options: how it behaves.
        port: the port at 127.0.0.1, 0 for a free one.
        new_id: a new id at each call; None: random ones.

    Attributes:
        url: where it listens.
    """

    url: str

    def __init__(
        self, options: Options | None = None, *, port: int = 0, new_id: Callable[[], str] | None = None
    ) -> None:
        super().__init__(options, new_id=new_id)
        self._port = port

    def __enter__(self) -> Self:
        ready: Future[str] = Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="emulator", daemon=True)
        self._thread.start()
        self.url = ready.result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self.failures and error is None:
            raise self.failures[0]

    def model(self, model_id: str) -> Model:
        """A copy of a model as it is now.

        Raises:
            Refusal: 404, there is none.
        """
        with self.lock:
            return deepcopy(self.platform.model(model_id))

    def jobs(self) -> list[EmulatedJob]:
        """Copies of all jobs, oldest first."""
        with self.lock:
            return deepcopy(self.platform.jobs())

    def set_model(self, model_id: str, **changes: Unpack[Changes]) -> None:
        """Change a model by hand: see `EmulatedPlatform.set_model`."""
        with self.changing() as platform:
            platform.set_model(model_id, **changes)

    def use(self, *faults: ScriptedFault, seed: int | None = None) -> None:
        """From now on these faults in the place of those before."""
        with self.lock:
            self.injector.use(Script(faults=list(faults), seed=seed))

    @property
    def away(self) -> bool:
        """Whether nobody listens now: see the fault `away`."""
        return self._site is None

    def come_back(self) -> None:
        """Listen again at once, before the time is up.

        Raises:
            OSError: somebody listens already.
        """
        asyncio.run_coroutine_threadsafe(self._listen(*self._address), self._loop).result(_COME_BACK_SECONDS)

    def _run(self, ready: Future[str]) -> None:
        async def run() -> None:
            self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
            await self.serve("127.0.0.1", self._port, ready.set_result, self._stop)

        try:
            asyncio.run(run())
        except Exception as error:  # noqa: BLE001 - goes to the thread that waits for it
            if ready.done():
                self.failures.append(error)
            else:
                ready.set_exception(error)


def _readable(body: bytes) -> Json:
    if not body:
        return None
    try:
        return parsed_body(body)
    except Refusal:
        return body.decode(errors="replace")
