"""The control plane: what is deployed, the jobs, the record, and changes by hand, at `/` and under `/emulator/`.

Its requests are neither recorded nor limited, and need no key.
"""

from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated, Literal

from aiohttp import web
from pydantic import ConfigDict, Field

from .console import Console
from .deploy_body import Json
from .faults import Script
from .injector import Injector, Leave
from .inputs import FromOutside, InputModel, InvalidInput, Seconds, read_input
from .page import page
from .platform import Changes, EmulatedJob, Fail, Model, Refusal
from .responses import json_response, parsed_body, refusal_response


class _Deployment(FromOutside):
    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1)]


class _Fail(FromOutside):
    deploy: str | None = None
    undeploy: str | None = None
    once: bool = False


class _Changes(FromOutside):
    # The defaults stand for "not given"; they are never read.
    state: Literal["Never Deployed", "Ready to Deploy", "Deployed", "Failed"] = "Deployed"
    deployment: _Deployment = _Deployment(name="-")
    job_seconds: Seconds = 0
    undeploy_seconds: Seconds = 0
    fail: _Fail = _Fail()


class _Away(FromOutside):
    seconds: Seconds


def _read(kind: type[InputModel], body: Json) -> InputModel:
    try:
        return read_input(kind, body)
    except InvalidInput as mistake:
        raise Refusal(400, "INVALID_PARAMETER", *mistake.messages) from None


def _changes(body: Json) -> Changes:
    inputs = _read(_Changes, body)
    changes: Changes = inputs.model_dump(exclude_unset=True, by_alias=False)  # type: ignore[assignment]
    if "fail" in changes:
        changes["fail"] = Fail(**inputs.fail.model_dump())
    return changes


def add_routes(app: web.Application, console: Console, injector: Injector, leave: Leave) -> None:
    """Serve the control plane in `app`.

    Args:
        app: the server.
        console: the platform and the record.
        injector: the faults.
        leave: what an emulator that goes away does.
    """
    platform = console.platform

    async def show(_request: web.Request) -> web.Response:
        # Nothing on the page is to run or to be fetched, whatever the names in it hold.
        policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        with console.lock:
            html = page(console).encode(errors="replace")  # JSON can hold what UTF-8 can't: half a surrogate pair
        return web.Response(body=html, content_type="text/html", charset="utf-8", headers=policy)

    def route(method: str, path: str, operation: Callable[[str, Json], object]) -> None:
        async def handler(request: web.Request) -> web.Response:
            body = await request.read()
            try:
                with console.changing():
                    found = operation(request.match_info.get("id", ""), parsed_body(body) if body else None)
            except Refusal as refusal:
                return refusal_response(refusal)
            return web.Response(status=204) if found is None else json_response(found)

        app.router.add_route(method, path, handler)

    def set_model(model_id: str, body: Json) -> object:
        return _model(platform.set_model(model_id, **_changes(body)))

    def faults() -> object:
        return {"seed": injector.faults.seed, "faults": injector.faults.report()}

    def use(script: Script) -> object:
        injector.use(script)
        return faults()

    async def away(request: web.Request) -> web.Response:
        try:
            seconds = _read(_Away, parsed_body(await request.read())).seconds
        except Refusal as refusal:
            return refusal_response(refusal)
        response = web.Response(status=204)
        response.force_close()
        await leave(seconds, request)
        return response

    def no_such_route(_id: str, _body: Json) -> None:
        raise Refusal(404, "NOT_FOUND", "The control plane has no such route")

    app.router.add_get("/", show)
    route("GET", "/emulator/models", lambda _id, _body: [_model(model) for model in platform.models()])
    route("PUT", "/emulator/models/{id}", set_model)
    route("DELETE", "/emulator/models/{id}", lambda model_id, _body: platform.delete_model(model_id))
    route("GET", "/emulator/jobs", lambda _id, _body: [_job(console, job) for job in platform.jobs()])
    route("GET", "/emulator/requests", lambda _id, _body: list(map(vars, console.requests())))
    route("DELETE", "/emulator/requests", lambda _id, _body: console.forget_requests())
    route("GET", "/emulator/faults", lambda _id, _body: faults())
    route("PUT", "/emulator/faults", lambda _id, body: use(_read(Script, body)))
    route("DELETE", "/emulator/faults", lambda _id, _body: use(Script()))
    app.router.add_post("/emulator/away", away)
    route("POST", "/emulator/reset", lambda _id, _body: console.reset())
    route("*", "/emulator{rest:(/.*)?}", no_such_route)


def _model(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "state": model.state,
        "deployment": model.deployment and model.deployment.body,
        "modelType": model.deployment and model.deployment.model_type,
        "history": [
            {"name": past.name, "modelType": past.model_type, "deployment": past.body} for past in model.history
        ],
        "job": model.job_id,
        "jobSeconds": model.job_seconds,
        "undeploySeconds": model.undeploy_seconds,
        "fail": asdict(model.fail),
    }


def _job(console: Console, job: EmulatedJob) -> dict[str, object]:
    return {
        "id": job.id,
        "modelId": job.model_id,
        "action": job.action,
        "status": job.status,
        "percentageComplete": console.platform.percent(job),
        "time": console.seconds(job.started),
        "seconds": job.seconds,
        "deployment": job.deployment and job.deployment.body,
        "reason": job.reason if job.status == "FAILED" else None,
    }
