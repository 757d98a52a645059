"""`python -m pulumi_koreai.emulator`."""

import argparse
import asyncio
import errno
import math
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path
from typing import NoReturn, TypeVar, cast

try:
    from .faults import Script, ScriptedFault, chance, described, fault_in, script_in, storm
    from .inputs import InvalidInput
    from .routes import OPERATIONS, Operation
    from .server import SPELLINGS, Options, Server
except ModuleNotFoundError as missing:
    if missing.name != "aiohttp":
        raise
    sys.exit("the emulator needs aiohttp: pip install '<a clone of pulumi-koreai>[emulator]'")

_EPILOG = """\
What is deployed is shown at the URL that is printed when it listens. The control plane:
  GET /emulator/models      the models      PUT, DELETE /emulator/models/ID   change, make, delete one
  GET /emulator/requests    the record      DELETE /emulator/requests         empty it
  GET /emulator/jobs        all jobs        POST /emulator/reset              back to the beginning
  GET /emulator/faults      the faults      PUT, DELETE /emulator/faults      a file of faults, as JSON; none
  POST /emulator/away       {"seconds": 2}: nobody listens for so long
The PUT of a model takes any of: {"state": "Never Deployed"|"Ready to Deploy"|"Deployed"|"Failed",
  "deployment": {"name": "x"}, "jobSeconds": 1.5, "undeploySeconds": 0,
  "fail": {"deploy": "reason", "undeploy": "reason", "once": true}}

Faults. A FAULT is a name, or YAML: {then: NAME or an effect or a list of which one is taken by chance,
  operation: deploy|undeploy|export|dock-status or a list, model: cm-x,
  when: {skip: 0, every: 1, times: 1, chance: 1.0, each: false}}; only `then` is required. A file holds
  {seed: 7, faults: [FAULT, ...]}. The effects, as {kind: ...}; docs/emulator.md has their fields:
"""
_KEY = "KEY[:without=SCOPE,…]"
_SCOPES = ", ".join(OPERATIONS)
_LIMITS = "of a key, and for one job's status (%(default)s); 30 times that in an hour"
_EXIT_USAGE = 2

Value = TypeVar("Value")


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(_EXIT_USAGE, f"{self.prog}: {message}\n")


def _checked(
    what: str, convert: Callable[[str], Value], allowed: Callable[[Value], bool] = lambda _: True
) -> Callable[[str], Value]:
    def check(text: str) -> Value:
        try:
            if allowed(value := convert(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")

    return check


def _api_key(text: str) -> tuple[str, frozenset[Operation]]:
    key, _, lacking = text.partition(":without=")
    scopes = frozenset(lacking.split(",")) if lacking else frozenset()
    if not key or not scopes <= set(OPERATIONS):
        # The key itself stays out of the message.
        raise argparse.ArgumentTypeError(f"not {_KEY}; the scopes are {_SCOPES}")
    return key, cast("frozenset[Operation]", scopes)


_address = _checked("an IP address", lambda text: str(ip_address(text)))
_port = _checked("a port, 0 to 65535", int, lambda value: 0 <= value <= 65535)
_seconds = _checked("a number of seconds, 0 or more", float, lambda value: 0 <= value < math.inf)
_probability = _checked("a number from 0 to 1", float, lambda value: 0 <= value <= 1)
_seed = _checked("a whole number", int)
_count = _checked("a whole number, 1 or more", int, lambda value: value >= 1)
_failure = _checked("MODEL=REASON", lambda text: text.partition("="), all)


def _fault(text: str) -> ScriptedFault:
    try:
        return fault_in(text)
    except InvalidInput as mistake:
        raise argparse.ArgumentTypeError(f"{text!r}: {mistake}") from None


def _faults(path: str) -> Script:
    try:
        return script_in(Path(path))
    except InvalidInput as mistake:
        raise argparse.ArgumentTypeError(f"{path}: {mistake}") from None


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m pulumi_koreai.emulator",
        description="The AI for Process public API for models as a local server. Nothing leaves this machine.\n"
        "--model, --fail, --api-key and --fault may be repeated.",
        epilog=_EPILOG + described(),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add, usual = parser.add_argument, Options()
    add(
        "--bind",
        default="127.0.0.1",
        type=_address,
        help="the IP address to listen at (%(default)s: only this machine)",
    )
    add("--port", default=0, type=_port, help="the port to listen at (a free one)")
    add("--model", action="append", default=[], help="only this one exists (all cm-… but cm-unknown…)")
    add(
        "--fail",
        action="append",
        default=[],
        type=_failure,
        metavar="MODEL=REASON",
        help="its deploys fail with this reason",
    )
    add(
        "--api-key",
        action="append",
        default=[],
        type=_api_key,
        metavar=_KEY,
        help=f"only these are accepted (any); scopes: {_SCOPES}",
    )
    add("--job-seconds", default=usual.job_seconds, type=_seconds, help="the time of a deploy (%(default)s)")
    add("--undeploy-seconds", default=usual.undeploy_seconds, type=_seconds, help="of an undeploy (%(default)s)")
    add("--spelling", default=usual.spelling, choices=SPELLINGS, help="of a job's id in answers (%(default)s)")
    add("--no-percentage", action="store_true", help="answer no percentageComplete")
    add("--requests-per-minute", default=usual.requests_per_minute, type=_count, help=_LIMITS)
    add("--no-rate-limits", action="store_true", help="no limits")
    add("--retry-after", action="store_true", help="send Retry-After with a 429")
    add("--state", type=Path, metavar="FILE", help="keep the models and jobs in this file, and go on from it")
    add("--faults", default=Script(), type=_faults, metavar="FILE", help="a YAML file of faults: see below")
    add("--fault", action="append", default=[], type=_fault, metavar="FAULT", help="one more: see below")
    add("--chance", type=_probability, metavar="P", help="any answer is a passing fault with this probability")
    add("--storm", action="store_true", help="each POST is refused once, each third answer is a passing fault")
    add("--seed", type=_seed, help="of what happens by chance (one that is printed)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; gives the exit status."""
    parser = _parser()
    args = parser.parse_args(argv)
    models, failures = frozenset(args.model), {model_id: reason for model_id, _, reason in args.fail}
    if models and (strangers := failures.keys() - models):
        parser.error(f"--fail {min(strangers)}=…: the model is not among those of --model")
    faults = [*args.faults.faults, *args.fault]
    if args.storm:
        faults += storm()
    if args.chance is not None:
        faults.append(chance(args.chance))
    options = Options(
        job_seconds=args.job_seconds,
        undeploy_seconds=args.undeploy_seconds,
        models=models or None,
        failures=failures,
        requests_per_minute=None if args.no_rate_limits else args.requests_per_minute,
        api_keys=dict(args.api_key),
        spelling=args.spelling,
        percentage=not args.no_percentage,
        retry_after=args.retry_after,
        state=args.state,
        faults=Script(seed=args.faults.seed if args.seed is None else args.seed, faults=faults),
    )
    try:
        asyncio.run(_serve(options, args.bind, args.port))
    except InvalidInput as mistake:
        parser.error(f"--state: {mistake}")
    except OSError as error:
        in_use = error.errno == errno.EADDRINUSE
        why = "the port is in use" if in_use else error.strerror or str(error)
        print(f"{parser.prog}: can't listen at {args.bind} port {args.port}: {why}", file=sys.stderr)  # noqa: T201
        return _EXIT_USAGE
    with suppress(OSError):  # whoever read the output may be gone; print would complain again at exit
        os.write(1, b"emulator stopped\n")
    return 0


async def _serve(options: Options, bind: str, port: int) -> None:
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def end(*_: object) -> None:
        if not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)  # not loop.add_signal_handler: Windows has none
    server = Server(options)

    def ready(url: str) -> None:
        print(f"emulator ready at {url}", flush=True)  # noqa: T201
        if server.injector.faults.by_chance:
            print(f"faults by chance, the same ones again with --seed {server.injector.faults.seed}", flush=True)  # noqa: T201

    await server.serve(bind, port, ready, stop)


if __name__ == "__main__":
    sys.exit(main())
