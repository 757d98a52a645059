"""The files of exports: each has an address of its own, which is a secret and needs no key, as the vendor's do."""

import io
import json
import tarfile
from hashlib import sha256
from typing import Final

from aiohttp import web

from .console import Console
from .platform import EmulatedJob, Refusal
from .responses import refusal_response

_ROUTE: Final = "/api/v1/account/{token}"


def download_url(origin: str, job: EmulatedJob) -> str:
    """Where the file of an export is. On the vendor's page the address begins with a space.

    Args:
        origin: where the emulator listens, as the request had it.
        job: the export.
    """
    return f" {origin}{_ROUTE.format(token=_token(job))}"


def add_downloads(app: web.Application, console: Console) -> None:
    """Serve the files in `app`."""

    async def download(request: web.Request) -> web.Response:
        with console.changing() as platform:
            token = request.match_info["token"]
            job = next((job for job in platform.jobs() if job.action == "EXPORT" and _token(job) == token), None)
            entry = console.record(request.method, _ROUTE, {})
            try:
                if job is None or job.status != "SUCCESS":
                    raise Refusal(404, "NOT_FOUND", "There is no such file")
                deployment = platform.model(job.model_id).deployment
                config = {**deployment.body, "modelType": deployment.model_type} if deployment else None
            except Refusal as refusal:
                entry.status = refusal.status
                return refusal_response(refusal)
            entry.status = 200
        return web.Response(body=_archive(job.model_id, config), content_type="application/x-tar")

    app.router.add_get(_ROUTE, download)


def _token(job: EmulatedJob) -> str:
    return sha256(f"export {job.id}".encode()).hexdigest()[:40]


def _archive(model_id: str, config: object) -> bytes:
    """A tar as the vendor's: the model, and beside it what it was deployed with. Without a deployment there is none."""
    files = {"model/README.md": f"The model {model_id}, which the emulator does not have.\n".encode()}
    if config is not None:
        files["deployconfig.json"] = json.dumps(config, indent=2).encode()
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(f"{model_id}/{name}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return content.getvalue()
