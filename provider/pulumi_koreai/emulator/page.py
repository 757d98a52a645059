"""The page at `/`: what is deployed now, and the latest jobs and requests."""

import json
from collections.abc import Mapping, Sequence
from html import escape
from typing import Final

from .console import Console, Recorded
from .deploy_body import Json
from .platform import EmulatedJob, Model

_REFRESH_SECONDS: Final = 2
_JOBS_SHOWN, _REQUESTS_SHOWN = 20, 50
_LONG_CHARS: Final = 80

_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="{refresh}">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 84rem; padding: 0 1rem; }}
h1 {{ font-size: 1.5rem; }} h2 {{ font-size: 1.1rem; margin-top: 2rem; }}
table {{ border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }}
th, td {{ text-align: left; vertical-align: top; white-space: nowrap; }}
th, td {{ padding: .3rem .9rem .3rem 0; border-bottom: 1px solid #8884; }}
th {{ font-weight: 600; }}
.long {{ font-size: .8em; min-width: 24rem; overflow-wrap: anywhere; white-space: normal; }}
.good {{ color: light-dark(#0a6e31, #5fd38a); }} .bad {{ color: light-dark(#b3261e, #ff8a80); }}
.busy {{ color: light-dark(#8a5a00, #f0b95a); }} .empty, footer {{ color: #888; }}
</style>
</head>
<body>
<h1>{title}</h1>
{tables}
<footer>The emulator of the AI for Process public API. This page is loaded anew every {refresh} s.</footer>
</body>
</html>
"""
_CLASSES: Final = {
    "Deployed": "good",
    "SUCCESS": "good",
    "Failed": "bad",
    "FAILED": "bad",
    "Deploying": "busy",
    "IN_PROGRESS": "busy",
}


def page(console: Console) -> str:
    """The page as HTML; every text in it that came from outside is escaped."""
    platform = console.platform
    models, jobs, requests = platform.models(), platform.jobs(), console.requests()
    running = {job.id: f"{job.action} {platform.percent(job)} %" for job in jobs if job.status == "IN_PROGRESS"}
    deployed = sum(model.deployment is not None for model in models)
    title = f"{deployed} model{'' if deployed == 1 else 's'} deployed"
    tables = (
        _table("Models", "model|state|job|serving|parameters|history", [_model(model, running) for model in models]),
        _table(
            f"Latest jobs of {len(jobs)}",
            "at|job|model|action|status|done|reason",
            [_job(console, job) for job in reversed(jobs[-_JOBS_SHOWN:])],
        ),
        _table(
            f"Latest requests of {len(requests)}",
            "no.|at|request|body|status|fault",
            [_request(entry) for entry in reversed(requests[-_REQUESTS_SHOWN:])],
        ),
    )
    return _PAGE.format(title=title, refresh=_REFRESH_SECONDS, tables="\n".join(tables))


def _model(model: Model, running: Mapping[str, str]) -> Sequence[str]:
    serving = model.deployment
    parameters = {} if serving is None else {key: value for key, value in serving.body.items() if key != "name"}
    history = ", ".join(past.name for past in model.history)
    job = running.get(model.job_id or "", "")
    return model.id, model.state, job, serving.name if serving else "", _json(parameters or None), history


def _job(console: Console, job: EmulatedJob) -> Sequence[str]:
    at, done = f"{console.seconds(job.started):.1f} s", f"{console.platform.percent(job)} %"
    reason = job.reason if job.status == "FAILED" else None
    return at, job.id, job.model_id, job.action, job.status, done, reason or ""


def _request(entry: Recorded) -> Sequence[str]:
    query = "".join(f" {key}={value}" for key, value in entry.query.items())
    request = f"{entry.method} {entry.path}{query}"
    return (
        str(entry.number),
        f"{entry.time:.1f} s",
        request,
        _json(entry.body),
        str(entry.status or "no answer"),
        entry.fault,
    )


def _json(value: Json) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _table(title: str, columns: str, rows: Sequence[Sequence[str]]) -> str:
    if not rows:
        return f'<h2>{title}</h2>\n<p class="empty">none</p>'
    head = "".join(f"<th>{column}</th>" for column in columns.split("|"))
    lines = ("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return "\n".join([f"<h2>{title}</h2>", f"<table><tr>{head}</tr>", *lines, "</table>"])


def _cell(text: str) -> str:
    kind = "long" if len(text) > _LONG_CHARS else _CLASSES.get(text, "")
    return f'<td class="{kind}">{escape(text)}</td>'
