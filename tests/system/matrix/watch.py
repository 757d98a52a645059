"""The fault of a run, and what is seen of it on the platform and in the state, whoever drives the host."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import requests

from pulumi_koreai.emulator import KINDS, Emulator, ScriptedFault
from pulumi_koreai.emulator.faults import Away, Effect, OddJob, When
from pulumi_koreai.emulator.routes import Operation as Request
from tests.system.matrix.operations import DOWN, Run

DEPLOYMENT_NAME: Final = "chat"
AWAY_SECONDS: Final = 3600.0
"""Longer than any test: whoever had the emulator leave has it come back."""


@dataclass(frozen=True)
class Resource:
    """What the engine keeps of a resource."""

    outputs: dict[str, Any]
    inputs: dict[str, Any]
    init_errors: tuple[str, ...] = ()


def leave(emulator: Emulator) -> None:
    """Nobody listens from now on, until the emulator is told to come back."""
    seconds = {"seconds": AWAY_SECONDS}
    requests.post(f"{emulator.url}/emulator/away", json=seconds, timeout=10).raise_for_status()


def fault(run: Run, as_here: Callable[[Effect], Effect] = lambda effect: effect) -> ScriptedFault:
    """What strikes. `as_here`: makes the effect one of the world of the test."""
    assert run.kind is not None
    if run.kind == DOWN:
        before = request_before(run)
        assert before is not None
        return ScriptedFault(then=[Away(seconds=AWAY_SECONDS)], operation=[before], model=run.model, when=When(times=1))
    what, kind = run.what, KINDS[run.kind]
    strikes = what.strikes
    if isinstance(kind, OddJob) and what.posts:  # the fault of a job is one of the job that is looked at
        strikes = _request(what.posts[what.it])
    when = When(times=1) if run.often == "once" else When()
    return ScriptedFault(then=[as_here(kind)], operation=[strikes], model=run.model, when=when)


def request_before(run: Run) -> Request | None:
    """What is sent before the request that is struck, None for nothing. (The undeploy of an update ends at once.)"""
    what = run.what
    before = what.posts[: what.it + (what.strikes == "dock-status")]
    return _request(before[-1]) if before else None


def _request(post: str) -> Request:
    return "deploy" if post == "deploy" else "undeploy"


def sent(emulator: Emulator) -> dict[str, list[str]]:
    """The requests by their model: `deploy`, `undeploy`, `look`; looks that follow each other as one."""
    jobs = {job.id: job.model_id for job in emulator.jobs()}
    by_model: dict[str, list[str]] = {}
    for entry in emulator.requests():
        *_, subject, last = entry.path.split("/")
        posted = entry.method == "POST"
        of_model = by_model.setdefault(subject if posted else jobs[last], [])
        if posted or of_model[-1:] != ["look"]:
            of_model.append(last if posted else "look")
    return by_model


def deploys_taken(emulator: Emulator) -> Counter[str]:
    """How many deploys the platform has taken of each model, those of somebody else not counted."""
    return Counter(
        job.model_id
        for job in emulator.jobs()
        if job.deployment is not None and job.deployment.body["name"] == DEPLOYMENT_NAME
    )


def holds(before: Resource | None, now: Resource | None) -> str:
    """What the state holds, as `Seen.holds`."""
    if now is None:
        return "nothing"
    if before is not None and (now.outputs, now.init_errors) == (before.outputs, before.init_errors):
        return "as before"
    outputs = now.outputs
    job = "job" if outputs["dock_status_id"] else "no job"
    return f"{outputs['state']}, {outputs['last_action']} {outputs['last_status']}, {job}"


def as_declared(emulator: Emulator, run: Run, resource: Resource | None) -> bool:
    """Whether the platform is as declared, and the state says so."""
    wants = run.what.wants
    deployment = emulator.model(run.model).deployment
    hyper_parameters = deployment.body["hyperParameters"] if deployment else None
    if (hyper_parameters["temperature"] if isinstance(hyper_parameters, dict) else None) != wants:
        return False
    if resource is None:
        return run.what.call == "delete"
    temperature = resource.outputs["hyper_parameters"]["temperature"]
    return resource.outputs["state"] == ("deployed" if wants else "undeployed") and wants in (None, temperature)
