"""`koreai emulator`."""

import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, TypeVar, cast

import typer

from ..base.status import ExitStatus
from .output import give_up

try:
    from ..emulator.faults import Script, ScriptedFault, chance, described, fault_in, script_in
    from ..emulator.faults import storm as storm_faults
    from ..emulator.inputs import InvalidInput
    from ..emulator.routes import OPERATIONS, Operation
    from ..emulator.server import Options, Spelling
    from ..emulator.serving import CantListen, run
except ModuleNotFoundError as missing:
    if missing.name != "aiohttp":
        raise
    sys.exit("the emulator needs aiohttp: pip install 'pulumi-koreai[emulator]'")

MORE: Final = f"""
Examples:
  koreai emulator --port 8731
  koreai emulator --model cm-a --fail cm-a='no GPU' --job-seconds 2
  koreai emulator --fault "{{then: busy, when: {{times: 3}}}}"

--model, --fail, --api-key and --fault may be repeated. Nothing leaves this machine.

What is deployed is shown at the URL that is printed when it listens. The control plane:
  GET /emulator/models      the models      PUT, DELETE /emulator/models/ID   change, make, delete one
  GET /emulator/requests    the record      DELETE /emulator/requests         empty it
  GET /emulator/jobs        all jobs        POST /emulator/reset              back to the beginning
  GET /emulator/faults      the faults      PUT, DELETE /emulator/faults      a file of faults, as JSON; none
  POST /emulator/away       {{"seconds": 2}}: nobody listens for so long
The PUT of a model takes any of: {{"state": "Never Deployed"|"Ready to Deploy"|"Deployed"|"Failed",
  "deployment": {{"name": "x"}}, "jobSeconds": 1.5, "undeploySeconds": 0,
  "fail": {{"deploy": "reason", "undeploy": "reason", "once": true}}}}

Faults. A FAULT is a name, or YAML: {{then: NAME or an effect or a list of which one is taken by chance,
  operation: deploy|undeploy|export|dock-status or a list, model: cm-x,
  when: {{skip: 0, every: 1, times: 1, chance: 1.0, each: false}}}}; only `then` is required. A file holds
  {{seed: 7, faults: [FAULT, ...]}}. The effects, as {{kind: ...}}; docs/emulator.md has their fields:
{described()}
"""

_KEY: Final = "KEY[:without=SCOPE,…]"
_SCOPES: Final = ", ".join(OPERATIONS)
_USUAL: Final = Options()

Value = TypeVar("Value")


@dataclass(frozen=True)
class _ApiKey:
    key: str
    lacking: frozenset[Operation]


@dataclass(frozen=True)
class _Failure:
    model_id: str
    reason: str


def _checked(
    what: str, convert: Callable[[str], Value], allowed: Callable[[Value], bool] = lambda _: True
) -> Callable[[str], Value]:
    def check(text: str | Value) -> Value:
        if not isinstance(text, str):  # a default
            return text
        try:
            if allowed(value := convert(text)):
                return value
        except ValueError:
            pass
        raise typer.BadParameter(f"{text!r} is not {what}")

    return check


def _api_key(text: str) -> _ApiKey:
    key, _, lacking = text.partition(":without=")
    scopes = frozenset(lacking.split(",")) if lacking else frozenset()
    if not key or not scopes <= set(OPERATIONS):
        # The key itself stays out of the message.
        raise typer.BadParameter(f"not {_KEY}; the scopes are {_SCOPES}")
    return _ApiKey(key, cast("frozenset[Operation]", scopes))


def _failure(text: str) -> _Failure:
    model_id, _, reason = text.partition("=")
    if not model_id or not reason:
        raise typer.BadParameter(f"{text!r} is not MODEL=REASON")
    return _Failure(model_id, reason)


def _fault(text: str) -> ScriptedFault:
    try:
        return fault_in(text)
    except InvalidInput as mistake:
        raise typer.BadParameter(f"{text!r}: {mistake}") from None


def _faults(path: str) -> Script:
    try:
        return script_in(Path(path))
    except InvalidInput as mistake:
        raise typer.BadParameter(f"{path}: {mistake}") from None


_address = _checked("an IP address", lambda text: str(ip_address(text)))
_port = _checked("a port, 0 to 65535", int, lambda value: 0 <= value <= 65535)
_seconds = _checked("a number of seconds, 0 or more", float, lambda value: 0 <= value < math.inf)
_probability = _checked("a number from 0 to 1", float, lambda value: 0 <= value <= 1)
_seed = _checked("a whole number", int)
_count = _checked("a whole number, 1 or more", int, lambda value: value >= 1)


def command(
    bind: Annotated[
        str,
        typer.Option(parser=_address, metavar="IP", help="Where to listen; by default only this machine reaches it."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(parser=_port, metavar="PORT", help="The port to listen at; 0: a free one.")] = 0,
    model: Annotated[
        list[str] | None, typer.Option(metavar="MODEL", help="Only this one exists (all cm-… but cm-unknown…).")
    ] = None,
    fail: Annotated[
        list[_Failure] | None,
        typer.Option(parser=_failure, metavar="MODEL=REASON", help="Its deploys fail with this reason."),
    ] = None,
    api_key: Annotated[
        list[_ApiKey] | None,
        typer.Option(parser=_api_key, metavar=_KEY, help=f"Only these are accepted (any); scopes: {_SCOPES}."),
    ] = None,
    job_seconds: Annotated[
        float, typer.Option(parser=_seconds, metavar="SECONDS", help="The time of a deploy.")
    ] = _USUAL.job_seconds,
    undeploy_seconds: Annotated[
        float, typer.Option(parser=_seconds, metavar="SECONDS", help="The time of an undeploy.")
    ] = _USUAL.undeploy_seconds,
    spelling: Annotated[Spelling, typer.Option(help="Of a job's id in answers.")] = _USUAL.spelling,
    no_percentage: Annotated[bool, typer.Option("--no-percentage", help="Answer no percentageComplete.")] = False,
    requests_per_minute: Annotated[
        int,
        typer.Option(
            parser=_count, metavar="COUNT", help="Of a key, and for one job's status; 30 times that in an hour."
        ),
    ] = _USUAL.requests_per_minute or 0,
    no_rate_limits: Annotated[bool, typer.Option("--no-rate-limits", help="No limits.")] = False,
    retry_after: Annotated[bool, typer.Option("--retry-after", help="Send Retry-After with a 429.")] = False,
    state: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep the models and jobs in this file, and go on from it.")
    ] = None,
    faults: Annotated[
        Script | None, typer.Option(parser=_faults, metavar="FILE", help="A YAML file of faults: see below.")
    ] = None,
    fault: Annotated[
        list[ScriptedFault] | None, typer.Option(parser=_fault, metavar="FAULT", help="One more: see below.")
    ] = None,
    chances: Annotated[
        float | None,
        typer.Option(
            "--chance", parser=_probability, metavar="P", help="Any answer is a passing fault with this probability."
        ),
    ] = None,
    storm: Annotated[
        bool, typer.Option("--storm", help="Each POST is refused once, each third answer is a passing fault.")
    ] = False,
    seed: Annotated[
        int | None, typer.Option(parser=_seed, metavar="SEED", help="Of what happens by chance (one that is printed).")
    ] = None,
) -> ExitStatus:
    """Serve until it is stopped."""
    models, failures = frozenset(model or ()), {one.model_id: one.reason for one in fail or ()}
    if models and (strangers := failures.keys() - models):
        raise typer.BadParameter(f"--fail {min(strangers)}=…: the model is not among those of --model")
    script = faults or Script()
    all_faults = [*script.faults, *(fault or ())]
    if storm:
        all_faults += storm_faults()
    if chances is not None:
        all_faults.append(chance(chances))
    options = Options(
        job_seconds=job_seconds,
        undeploy_seconds=undeploy_seconds,
        models=models or None,
        failures=failures,
        requests_per_minute=None if no_rate_limits else requests_per_minute,
        api_keys={one.key: one.lacking for one in api_key or ()},
        spelling=spelling,
        percentage=not no_percentage,
        retry_after=retry_after,
        state=state,
        faults=Script(seed=script.seed if seed is None else seed, faults=all_faults),
    )
    try:
        run(options, bind, port)
    except InvalidInput as mistake:
        return give_up(f"--state: {mistake}", ExitStatus.USAGE)
    except CantListen as error:
        return give_up(error, ExitStatus.USAGE)
    return ExitStatus.DONE
