"""Carries the faults of a script out: between the network and the platform, and on the platform itself."""

import asyncio
import math
import os
import socket
import struct
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from email.utils import formatdate
from typing import Final, TypeAlias

from aiohttp import web

from .console import Console, Recorded
from .deploy_body import Json
from .faults import Answer, Away, ClockJump, Cut, Effect, Faults, OddJob, Reset, Script, Slow, Someone
from .platform import MODEL_TYPES, Model, Oddity, Refusal
from .responses import json_response
from .routes import Asked, asked

_Take: TypeAlias = Callable[[], web.Response]
Leave: TypeAlias = Callable[[float, web.Request], Awaitable[None]]
"""Has nobody listen for so many seconds; the request still gets its answer."""

# On, for 0 seconds: what is closed is reset. Windows has two shorts there.
_LINGER_NOT: Final = struct.pack("hh" if os.name == "nt" else "ii", 1, 0)
_PIECE_SECONDS: Final = 0.05
_SOMEONE: Final = "someone else"
_THEIR_BODY: Final[dict[str, Json]] = {
    "name": "someone-else",
    "deviceType": "g5.xlarge",
    "hyperParameters": {"temperature": 1, "maxTokens": 64, "topP": 1, "topK": 1},
}


class Injector:
    """What stands between the network and the platform where faults are scripted.

    Args:
        console: the platform.
        leave: what an emulator that goes away does.
        script: the faults at the start.

    Attributes:
        faults: those that are in force now.
    """

    def __init__(self, console: Console, leave: Leave, script: Script) -> None:
        self._console, self._leave, self._first = console, leave, script
        self.restart()

    def restart(self) -> None:
        """Back to the beginning."""
        self.use(self._first)
        self._clock_ahead_seconds = 0.0

    def use(self, script: Script) -> None:
        """From now on these faults in the place of those before. A clock that has jumped stays as it is."""
        self.faults = Faults(script)

    async def serve(self, request: web.Request, take: _Take, entry: Recorded) -> web.StreamResponse:
        """Answer a request, as `server.Hook`.

        Args:
            request: the request, its body already read.
            take: hands it to the platform and gives the true answer.
            entry: of the record; learns which fault struck.
        """
        effect = self._strike(request)
        if effect is None:
            return self._dated(take())
        entry.fault = effect.name or effect.kind
        match effect:
            case Away():
                response = self._dated(take())
                response.force_close()
                await self._leave(effect.seconds, request)
                return response
            case Reset():
                return _reset(request, take() if effect.taken else web.Response())
            case Cut():
                return await _cut(request, self._dated(take()))
            case Slow():
                return await self._slow(request, take, effect)
            case Answer():
                if effect.taken:
                    take()
                return self._dated(self._false_answer(effect))
            case OddJob():
                return self._dated(self._odd(request, take, effect))
            case Someone():
                return self._dated(self._meanwhile(request, take, effect))
            case ClockJump():
                self._clock_ahead_seconds = effect.seconds
                return self._dated(take())

    async def _slow(self, request: web.Request, take: _Take, slow: Slow) -> web.StreamResponse:
        answer = take()
        await asyncio.sleep(slow.wait_seconds)
        body = _body(self._dated(answer))
        response = _headed_like(answer)
        size = max(1, math.ceil(len(body) * _PIECE_SECONDS / max(slow.body_seconds, _PIECE_SECONDS)))
        with suppress(ConnectionError):  # the client has lost its patience
            await response.prepare(request)
            for begin in range(0, len(body), size):
                await response.write(body[begin : begin + size])
                if begin + size < len(body):
                    await asyncio.sleep(_PIECE_SECONDS)
            await response.write_eof()
        return response

    def _false_answer(self, answer: Answer) -> web.Response:
        if answer.body is None:
            response = web.Response(status=answer.status)
        elif isinstance(answer.body, str):
            kind = "text/html" if answer.body.lstrip().startswith("<") else "text/plain"
            response = web.Response(status=answer.status, text=answer.body, content_type=kind)
        else:
            response = json_response(answer.body, answer.status)
        if answer.retry_after is not None:
            at = formatdate(self._platform_time() + answer.retry_after, usegmt=True)
            response.headers["Retry-After"] = at if answer.retry_after_date else str(answer.retry_after)
        response.headers.update(answer.headers)
        return response

    def _odd(self, request: web.Request, take: _Take, odd: OddJob) -> web.Response:
        with self._model(request) as model:
            if model is not None:
                model.oddity = odd.oddity
            response = take()
            if model is not None:
                model.oddity = None  # the request was refused: no later job is to have it
        return response

    def _meanwhile(self, request: web.Request, take: _Take, someone: Someone) -> web.Response:
        with self._model(request) as model:
            if model is not None:
                # What the platform refuses them they could not do either.
                with suppress(Refusal):
                    self._act(model, someone)
            return take()

    def _act(self, model: Model, someone: Someone) -> None:
        platform = self._console.platform
        match someone.does:
            case "deployed":
                platform.set_model(model.id, state="Deployed", deployment=_THEIR_BODY)
            case "undeployed":
                platform.set_model(model.id, state="Ready to Deploy")
            case "deploys" | "undeploys":
                model.oddity = Oddity(seconds=someone.seconds)
                try:
                    if someone.does == "deploys":
                        platform.deploy(_SOMEONE, model.id, MODEL_TYPES[0], _THEIR_BODY)
                    else:
                        platform.undeploy(_SOMEONE, model.id)
                finally:
                    model.oddity = None

    @contextmanager
    def _model(self, request: web.Request) -> Iterator[Model | None]:
        """The model that a request is about, for a change of it."""
        this = asked(request.method, request.rel_url.raw_path)
        with self._console.changing() as platform:
            model = None
            if this is not None:
                with suppress(Refusal):
                    model = platform.model(self._about(this)[0])
            yield model

    def _platform_time(self) -> float:
        return time.time() + self._clock_ahead_seconds

    def _dated(self, response: web.Response) -> web.Response:
        if self._clock_ahead_seconds:
            response.headers["Date"] = formatdate(self._platform_time(), usegmt=True)
        return response

    def _strike(self, request: web.Request) -> Effect | None:
        with self._console.lock:
            this = asked(request.method, request.rel_url.raw_path)
            return None if this is None else self.faults.strike(this.operation, *self._about(this))

    def _about(self, this: Asked) -> tuple[str, str]:
        """The model a request is about, and for a look at a job its action."""
        if this.operation != "dock-status":
            return this.subject, ""
        job = self._console.platform.job(this.subject)
        return ("", "") if job is None else (job.model_id, job.action)


def _reset(request: web.Request, response: web.Response) -> web.Response:
    if request.transport is not None:
        connection = request.transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        request.transport.abort()
    return response


async def _cut(request: web.Request, answer: web.Response) -> web.StreamResponse:
    response, body = _headed_like(answer), _body(answer)
    with suppress(ConnectionError):  # the client has gone
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


def _headed_like(answer: web.Response) -> web.StreamResponse:
    """An answer with the same head, whose body is written by hand."""
    return web.StreamResponse(
        status=answer.status, headers={**answer.headers, "Content-Length": str(len(_body(answer)))}
    )


def _body(answer: web.Response) -> bytes:
    assert isinstance(answer.body, bytes)
    return answer.body
