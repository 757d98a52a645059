"""Faults: what can go wrong between a client and the platform, as data, and which request each strikes.

A `ScriptedFault` says which requests it is about (`operation`, `model`), which of those it strikes (`when`), and what
happens to them (`then`: one effect, or one of several by chance). A `Script` is a list of them with a seed. `KINDS`
names the usual effects; wherever an effect is expected its name will do. No HTTP here: `injector` carries them out.

    seed: 7
    faults:
      - {then: 503-html, operation: deploy, when: {times: 1}}     # the first deploy
      - {then: reset-taken, operation: undeploy, model: cm-a}     # each undeploy of cm-a
      - {then: [cut, 500-empty], when: {chance: 0.3}}      # three of ten answers
      - then: {kind: answer, status: 418, body: {message: short and stout}}
        when: {skip: 2, every: 3, each: true}              # of each model and operation the 5th, 8th, … request
"""

from collections import Counter
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from random import Random
from textwrap import wrap
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, TypeAlias, get_args

import yaml
from pydantic import BeforeValidator, Field, JsonValue

from .inputs import FromOutside, InvalidInput, Seconds, read_input
from .platform import NEVER_SECONDS, Oddity, Shape
from .routes import OPERATIONS, Operation

Count: TypeAlias = Annotated[int, Field(ge=0)]


class _Effect(FromOutside):
    name: str = ""
    """What a record calls it; "": by its kind. Those of `KINDS` have the name they have there."""


class Away(_Effect):
    """The effect `away`."""

    kind: Literal["away"] = Field(
        default="away",
        description="The request is answered; then nobody listens for `seconds`: open connections end, new ones are"
        " refused.",
    )
    seconds: Seconds = 1.0


class Reset(_Effect):
    """The effect `reset`."""

    kind: Literal["reset"] = Field(
        default="reset",
        description="The connection is reset in the place of an answer, before the platform takes the request, or"
        " after (`taken`).",
    )
    taken: bool = False


class Cut(_Effect):
    """The effect `cut`."""

    kind: Literal["cut"] = Field(
        default="cut",
        description="The platform takes the request; its answer breaks off in the middle of the body.",
    )


class Slow(_Effect):
    """The effect `slow`."""

    kind: Literal["slow"] = Field(
        default="slow",
        description="The true answer, but it begins after `wait_seconds` and its body trickles for `body_seconds`.",
    )
    wait_seconds: Seconds = 0.0
    body_seconds: Seconds = 0.0


class Answer(_Effect):
    """The effect `answer`.

    Attributes:
        body: a text goes out as it is, as HTML if it looks like it; anything else but null as JSON.
        headers: beside the usual ones.
        retry_after: seconds for a `Retry-After`.
        retry_after_date: send it as an HTTP date, by the platform's clock.
    """

    kind: Literal["answer"] = Field(
        default="answer",
        description="Another answer than the true one, in the place of the platform, or after it took the request"
        " (`taken`).",
    )
    status: Annotated[int, Field(ge=200, le=599)]
    body: JsonValue = None
    headers: dict[str, str] = Field(default_factory=dict)
    retry_after: Count | None = None
    retry_after_date: bool = False
    taken: bool = False


class OddJob(_Effect):
    """The effect `job`.

    Attributes: those of `platform.Oddity`.
    """

    kind: Literal["job"] = Field(
        default="job",
        description="The platform takes the request, and the job that it begins is odd (no effect on a `dock-"
        " status`).",
    )
    not_found_looks: Count = 0
    not_found_seconds: Seconds = 0.0
    seconds: Seconds | None = None
    backwards: bool = False
    reason: str | None = None
    shape: Shape = "response.message"
    end_status: str | None = None

    @property
    def oddity(self) -> Oddity:
        return Oddity(**self.model_dump(by_alias=False, exclude={"name", "kind"}))


class Someone(_Effect):
    """The effect `someone`.

    Attributes:
        does: `deployed` and `undeployed` are done at once; `deploys` and `undeploys` begin a job that takes `seconds`.
    """

    kind: Literal["someone"] = Field(
        default="someone",
        description="Just before the request somebody else acts on the model in the console; then the platform"
        " answers as it is now.",
    )
    does: Literal["deployed", "undeployed", "deploys", "undeploys"]
    seconds: Seconds = 5.0


class ClockJump(_Effect):
    """The effect `clock`."""

    kind: Literal["clock"] = Field(
        default="clock",
        description="From this request on the platform's clock is `seconds` ahead: `Date`, and a `Retry-After` that"
        " is a date.",
    )
    seconds: Annotated[float, Field(allow_inf_nan=False)]


Effect: TypeAlias = Annotated[
    Away | Reset | Cut | Slow | Answer | OddJob | Someone | ClockJump, Field(discriminator="kind")
]
_EFFECTS: Final[tuple[type[_Effect], ...]] = (Away, Reset, Cut, Slow, Answer, OddJob, Someone, ClockJump)


# The usual effects, by their names.

_GATEWAY_PAGE: Final = (
    "<html><head><title>{status}</title></head>\n<body><center><h1>{status} {title}</h1></center></body></html>\n"
)
_SIGN_IN_PAGE: Final = "<!doctype html><title>Sign in</title><form action=/login><input name=user></form>\n"
_TITLES: Final = {
    500: "Internal Server Error",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Gateway Time-out",
}
_REASON: Final = "no g5.xlarge is free in this region"
_BUSY: Final = "Another job is running on this model"


def _server_errors() -> dict[str, Effect]:
    kinds: dict[str, Effect] = {}
    for status, title in _TITLES.items():
        bodies: dict[str, JsonValue] = {
            "json": {"errors": [{"msg": title, "code": "INTERNAL"}]},
            "html": _GATEWAY_PAGE.format(status=status, title=title),
            "empty": None,
        }
        for form, body in bodies.items():
            kinds[f"{status}-{form}"] = Answer(status=status, body=body)
            kinds[f"{status}-{form}-taken"] = Answer(status=status, body=body, taken=True)
    return kinds


def _wrong_answers() -> dict[str, Effect]:
    bodies: dict[str, JsonValue] = {
        "html": _SIGN_IN_PAGE,
        "empty": None,
        "list": [],
        "no-id": {"status": "IN_PROGRESS", "jobType": "MODELS"},
        "no-status": {"dockStatusId": "ds-of-the-fault"},
        "odd-types": {"dockStatusId": 7, "status": {"value": "SUCCESS"}, "percentageComplete": []},
        "other-job": {
            "dockStatusId": "ds-of-another-model",
            "modelId": "cm-of-the-fault",
            "action": "EXPORT",
            "status": "SUCCESS",
        },
    }
    kinds: dict[str, Effect] = {}
    for form, body in bodies.items():
        kinds[f"200-{form}"] = Answer(status=200, body=body)
        kinds[f"200-{form}-taken"] = Answer(status=200, body=body, taken=True)
    return kinds


def _kinds() -> dict[str, Effect]:
    limit: JsonValue = {"message": "Rate limit for this API has been reached. Please try again later"}
    elsewhere = {"Location": "https://elsewhere.invalid/login"}
    kinds: dict[str, Effect] = {
        "away": Away(),
        "reset": Reset(),
        "reset-taken": Reset(taken=True),
        "cut": Cut(),
        "slow": Slow(body_seconds=2),
        "late": Slow(wait_seconds=2),
        "429": Answer(status=429, body=limit),
        "429-seconds": Answer(status=429, body=limit, retry_after=1),
        "429-date": Answer(status=429, body=limit, retry_after=1, retry_after_date=True),
        **_server_errors(),
        **_wrong_answers(),
        "302": Answer(status=302, headers=elsewhere),
        "307": Answer(status=307, headers=elsewhere),
        "401": Answer(status=401, body={"errors": [{"msg": "The API key was revoked", "code": "UNAUTHORIZED"}]}),
        "403": Answer(status=403, body={"message": "The API key lacks a scope"}),
        "404-html": Answer(status=404, body=_GATEWAY_PAGE.format(status=404, title="Not Found")),
        "404-route": Answer(status=404, body={"message": "no Route matched with those values"}),
        "404-empty": Answer(status=404),
        "busy-409-errors": Answer(status=409, body={"errors": [{"msg": _BUSY, "code": "JOB_IN_PROGRESS"}]}),
        "busy-409-message": Answer(status=409, body={"message": "The model is being deployed"}),
        "busy-409-text": Answer(status=409, body="A deployment of this model is in progress"),
        "busy-400-errors": Answer(status=400, body={"errors": [{"msg": _BUSY, "code": 400}]}),
        "busy-400-message": Answer(status=400, body={"message": _BUSY}),
        "job-not-found-looks": OddJob(not_found_looks=2),
        "job-not-found-seconds": OddJob(not_found_seconds=2),
        "job-never-ends": OddJob(seconds=NEVER_SECONDS),
        "job-backwards": OddJob(backwards=True),
        "job-ends-unheard-of": OddJob(reason=_REASON, end_status="ROLLED_BACK"),
        **{f"job-fails-{shape}": OddJob(reason=_REASON, shape=shape) for shape in get_args(Shape)},
        "someone-deployed": Someone(does="deployed"),
        "someone-undeployed": Someone(does="undeployed"),
        "someone-deploys": Someone(does="deploys"),
        "someone-undeploys": Someone(does="undeploys"),
        "clock-ahead": ClockJump(seconds=3600),
        "clock-behind": ClockJump(seconds=-3600),
    }
    return {name: kind.model_copy(update={"name": name}) for name, kind in kinds.items()}


KINDS: Final[Mapping[str, Effect]] = MappingProxyType(_kinds())
"""The usual effects, by their names."""

REFUSALS: Final = ("429", "429-seconds", "429-date", "503-json", "503-html", "503-empty")
"""Kinds after which it is certain that the platform did not take the request, and that it may be sent again."""

PASSING: Final = (
    *REFUSALS,
    "reset",
    "reset-taken",
    "cut",
    *(name for name in KINDS if name.startswith(("500-", "502-", "504-", "200-html", "200-empty", "200-list"))),
)
"""Kinds after which the same look at a job, or the same undeploy, goes well."""


def _as_list(value: object) -> object:
    return value if isinstance(value, list) else [value]


def _named(value: object) -> object:
    if not isinstance(value, (str, int)):
        return value
    name = str(value)  # to YAML, 429 is a number
    if name in KINDS:
        return KINDS[name]
    near = get_close_matches(name, KINDS, 1)
    raise ValueError(f"{name!r} is no kind of fault" + (f"; nearest: {near[0]}" if near else ""))


class When(FromOutside):
    """Which of the requests that a fault is about it strikes: all, as long as nothing else is said.

    Attributes:
        skip: not the first so many.
        every: of the others, the n-th, the 2n-th, ….
        times: at most so many.
        chance: each of them with this probability.
        each: count apart for each operation on each model (looks at a deploy's job apart from those at an undeploy's).
    """

    skip: Count = 0
    every: Annotated[int, Field(ge=1)] = 1
    times: Annotated[int, Field(ge=1)] | None = None
    chance: Annotated[float, Field(ge=0, le=1)] = 1.0
    each: bool = False


class ScriptedFault(FromOutside):
    """What goes wrong, with which requests.

    Attributes:
        then: the effect, or several of which each time one is taken by chance.
        operation: this one, or these (a list); all where nothing is said.
        model: only this model, and looks at its jobs.
        when: which of those.
    """

    then: Annotated[list[Annotated[Effect, BeforeValidator(_named)]], Field(min_length=1), BeforeValidator(_as_list)]
    operation: Annotated[list[Operation], BeforeValidator(_as_list)] = Field(default_factory=lambda: list(OPERATIONS))
    model: str | None = None
    when: When = When()

    @classmethod
    def named(cls, name: str, *operations: Operation, model: str | None = None, **when: Any) -> "ScriptedFault":
        """A fault of one of the `KINDS`; `when` as the fields of `When`."""
        return cls(
            then=[KINDS[name]], operation=list(operations or OPERATIONS), model=model, when=When.model_validate(when)
        )


class Script(FromOutside):
    """Faults, in the order in which they are asked whether they strike.

    Attributes:
        seed: of all that happens by chance; None: one that differs each time.
    """

    seed: int | None = None
    faults: list[ScriptedFault] = Field(default_factory=list)


def script_in(path: Path) -> Script:
    """The script in a YAML file.

    Raises:
        InvalidInput: there is none in it.
    """
    try:
        return read_input(Script, yaml.safe_load(path.read_text("utf-8")) or {}, "the file")
    except OSError as error:
        raise InvalidInput(f"can't be read: {error.strerror}") from None
    except (UnicodeError, yaml.YAMLError) as error:
        raise InvalidInput(f"is no YAML: {' '.join(str(error).split())}") from None


def fault_in(text: str) -> ScriptedFault:
    """The fault in a text: its YAML (`{then: cut, operation: deploy}`), or just the name of a kind.

    Raises:
        InvalidInput: there is none in it.
    """
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"is no YAML: {' '.join(str(error).split())}") from None
    return read_input(ScriptedFault, raw if isinstance(raw, dict) else {"then": raw}, "the fault")


def chance(probability: float) -> ScriptedFault:
    """With this probability an answer is a fault of the `PASSING` kinds, which a deploy may not survive."""
    return ScriptedFault(then=[KINDS[name] for name in PASSING], when=When(chance=probability))


def storm() -> list[ScriptedFault]:
    """Each POST is refused once, and each third answer is a fault.

    A deploy is only ever refused: after any other fault nobody could say whether it was taken, and whoever asked could
    not go on.
    """
    refusals, passing = [KINDS[name] for name in REFUSALS], [KINDS[name] for name in PASSING]
    return [
        ScriptedFault(then=refusals, operation=["deploy", "undeploy", "export"], when=When(times=1, each=True)),
        ScriptedFault(then=refusals, operation=["deploy"], when=When(every=3, each=True)),
        ScriptedFault(then=passing, operation=["undeploy", "export", "dock-status"], when=When(every=3, each=True)),
    ]


class Faults:
    """The faults of a script, and how often each has counted and struck.

    A request goes down the list until one strikes; a fault counts the requests that come as far as itself. What
    happens by chance depends on the seed, the fault, the model, the operation and how many of those there were, not
    on what other models do meanwhile: the same seed gives the same faults though requests overtake each other.

    Attributes:
        seed: the script's, or the one that was drawn in its place.
    """

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seed = Random().getrandbits(32) if script.seed is None else script.seed  # noqa: S311 - no secret
        self._seen: Counter[tuple[int, str]] = Counter()
        self._draws: Counter[tuple[int, str]] = Counter()
        self._struck: Counter[tuple[int, str]] = Counter()

    @property
    def by_chance(self) -> bool:
        """Whether the seed makes a difference."""
        return any(fault.when.chance < 1 or len(fault.then) > 1 for fault in self.script.faults)

    def strike(self, operation: Operation, model_id: str, action: str = "") -> Effect | None:
        """What happens to a request, None for nothing. Counts it.

        Args:
            operation: what is asked for.
            model_id: the model it is about, "" where there is no such job.
            action: for a look at a job, the job's.
        """
        subject = f"{operation} {action} {model_id}"
        for number, fault in enumerate(self.script.faults):
            if operation not in fault.operation or fault.model not in (None, model_id):
                continue
            when, counted = fault.when, (number, subject if fault.when.each else "all")
            self._seen[counted] += 1
            self._draws[number, subject] += 1
            beyond = self._seen[counted] - when.skip
            if beyond < 1 or beyond % when.every or (when.times is not None and self._struck[counted] >= when.times):
                continue
            random = Random(f"{self.seed} {number} {subject} {self._draws[number, subject]}")  # noqa: S311 - no secret
            if random.random() >= when.chance:
                continue
            self._struck[counted] += 1
            return random.choice(fault.then)
        return None

    def report(self) -> list[dict[str, object]]:
        """Each fault with how often it has struck."""
        return [
            fault.model_dump() | {"struck": sum(times for (of, _), times in self._struck.items() if of == number)}
            for number, fault in enumerate(self.script.faults)
        ]


def described() -> str:
    """The effects with what they are, and the names: for `--help`."""
    kinds = [effect.model_fields["kind"] for effect in _EFFECTS]
    effects = [f"  {kind.default:8} {kind.description}" for kind in kinds]
    return "\n".join([*effects, *wrap("Names: " + ", ".join(KINDS), 110, break_on_hyphens=False)])
