"""The engine's JSON, as far as the report reads it.

`pulumi preview --json` prints one object, the digest. `pulumi up --json` prints a stream of events, one a line, as
`--event-log FILE` writes for every command; a stream's times are whole seconds. All seen with engine 3.220. What else
is in them is passed over: the stack's configuration in particular is never read beyond the names of its models.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Final

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ..core.impact import Order
from ..stackfile.entries import MODELS_KEY

MODEL_TYPE: Final = "pulumi-python:dynamic/koreai:ModelDeployment"
SECRET: Final = "[secret]"  # noqa: S105 - what the engine writes in the place of one
"""Stands for every secret: the engine's JSON has none in clear, and where it had, the report would not."""
UNKNOWN_VALUE: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""The engine's mark for a value that is known only after another resource is (`plugin.UnknownStringValue`)."""

_SIGNATURE: Final = "4dabf18193072939515e22adb298388d"
_SECRET_SIGNATURE: Final = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105 - marks one

Properties = dict[str, object]


class ReadingError(ValueError):
    """The input is neither a preview's digest nor a stream of events; the message says what to hand in."""


def _without_secrets(value: object) -> object:
    match value:
        case dict() if value.get(_SIGNATURE) == _SECRET_SIGNATURE:
            return SECRET
        case dict():
            return {key: _without_secrets(inner) for key, inner in value.items() if not key.startswith("__")}
        case list():
            return [_without_secrets(inner) for inner in value]
        case _:
            return value


Plain = Annotated[Properties, BeforeValidator(_without_secrets)]


class _Read(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, alias_generator=to_camel, validate_by_name=True)


class ResourceState(_Read):
    """A resource as the state has it, or will have it.

    Attributes:
        type: its type.
        id: "" before it has one.
        inputs: what is declared.
        outputs: what is recorded.
        protect: whether the engine refuses to delete it.
        delete: whether it is left over from a replacement, to be deleted.
        retain_on_delete: whether the engine deletes it from the state alone.
        deleted_with: the resource with whose deletion this one's is done, by the user's word.
        pending_replacement: whether it was deleted to be replaced, and the other one is not there yet.
        init_errors: what went wrong when it was made or changed last.
    """

    type: str = ""
    id: str = ""
    inputs: Plain = Field(default_factory=dict)
    outputs: Plain = Field(default_factory=dict)
    protect: bool = False
    delete: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    pending_replacement: bool = False
    init_errors: list[str] = Field(default_factory=list)


class EngineStep(_Read):
    """What the engine will do to a resource, or has done.

    Attributes:
        op: `create`, `update`, `replace`, `delete`, `same`, …
        urn: the resource.
        old: what the state has.
        new: what is declared.
        detailed_diff: the properties that differ, by their paths in snake_case.
        order: of a replacement: which half comes first.
    """

    op: str
    urn: str
    old: ResourceState | None = Field(default=None, validation_alias="oldState")
    new: ResourceState | None = Field(default=None, validation_alias="newState")
    detailed_diff: dict[str, object] | None = None
    order: Order = Order.NEW_FIRST

    @property
    def stack(self) -> str:
        return self.urn.removeprefix("urn:pulumi:").partition("::")[0]

    @property
    def name(self) -> str:
        """The resource's name: the entry's in the stack's file."""
        return self.urn.split("::", 3)[-1]

    @property
    def type(self) -> str:
        return (self.new or self.old or ResourceState()).type

    @property
    def is_model(self) -> bool:
        return self.type == MODEL_TYPE

    @property
    def is_the_engine_s(self) -> bool:
        """The stack itself and the providers are no resources to anybody but the engine."""
        return self.type.startswith("pulumi:")

    @property
    def is_left_out(self) -> bool:
        """Whether its resource is new, but not among this run's targets; the engine calls that "same" too."""
        return self.op == "same" and (self.old is None or not (self.old.id or self.old.outputs))

    @property
    def protection_changes(self) -> bool:
        """Whether `protect` comes or goes. To the engine a resource of which nothing else changes is the same."""
        return self.old is not None and self.new is not None and self.old.protect != self.new.protect


class Diagnostic(_Read):
    """A line for people.

    Attributes:
        urn: the resource that it is about, "" for the program.
        message: the text.
        severity: `debug`, `info`, `info#err`, `warning`, `error`.
        ephemeral: it was shown only while the work went on.
    """

    urn: str = ""
    message: str
    severity: str
    ephemeral: bool = False

    @property
    def text(self) -> str:
        """The message without what the engine puts around it."""
        return self.message.strip().removeprefix("error: ").strip()


class Digest(_Read):
    """What `pulumi preview --json` prints.

    Attributes:
        steps: what the engine will do; without `--show-sames` only to resources that change, and to the stack. A
            replacement is one step; a `delete-replaced` is left of an earlier one, whose deletion did not succeed. The
            engine tells of it only with `--show-replacement-steps`, and counts it nowhere.
        diagnostics: what was said.
        change_summary: how many resources have which operation, the providers left out.
    """

    steps: list[EngineStep] = Field(default_factory=list)
    diagnostics: list[Diagnostic] = Field(default_factory=list)
    change_summary: dict[str, int] = Field(default_factory=dict)

    @property
    def untold(self) -> int:
        """How many resources stay as they are, of which there is no step."""
        listed = sum(step.op == "same" for step in self.steps)
        return max(self.change_summary.get("same", listed) - listed, 0)

    @property
    def changes(self) -> bool:
        """Whether `pulumi up` would change anything: a leftover deletion and a protection are among it."""
        return any(
            step.op != "same" or step.protection_changes
            for step in self.steps
            if not step.type.startswith("pulumi:providers:")
        )

    @property
    def errors(self) -> list[Diagnostic]:
        return [line for line in self.diagnostics if line.severity == "error"]


class _Metadata(EngineStep):
    old: ResourceState | None = None
    new: ResourceState | None = None
    detailed_diff: dict[str, object] | None = None


class _ResourceEvent(_Read):
    metadata: _Metadata
    planning: bool = False


class _Prelude(_Read):
    config: dict[str, str] = Field(default_factory=dict)


class _Summary(_Read):
    is_preview: bool = False


class _Event(_Read):
    timestamp: int
    prelude: _Prelude | None = Field(default=None, validation_alias="preludeEvent")
    begun: _ResourceEvent | None = Field(default=None, validation_alias="resourcePreEvent")
    ended: _ResourceEvent | None = Field(default=None, validation_alias="resOutputsEvent")
    failed: _ResourceEvent | None = Field(default=None, validation_alias="resOpFailedEvent")
    diagnostic: Diagnostic | None = Field(default=None, validation_alias="diagnosticEvent")
    summary: _Summary | None = Field(default=None, validation_alias="summaryEvent")


@dataclass
class Operation:
    """What was done to one resource.

    Attributes:
        step: the engine's step; when it has ended, with what came of it.
        begun: when, in seconds since 1970.
        ended: when; None when it had not ended when the stream did.
        failed: whether it ended in an error.
        lines: what was said of it, each with the second it was said in.
    """

    step: EngineStep
    begun: int
    ended: int | None = None
    failed: bool = False
    lines: list[tuple[int, Diagnostic]] = field(default_factory=list)


@dataclass
class Run:
    """What a stream of events tells of a command that has done something.

    Attributes:
        operations: in the order in which they were begun.
        errors: the lines that are errors.
        declared: the names of the models in the stack's file; empty where the stream does not say.
        first: the stream's first second, since 1970.
        last: its last.
        complete: whether the engine came to its end by itself; a killed one does not.
    """

    operations: list[Operation] = field(default_factory=list)
    errors: list[Diagnostic] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    first: int = 0
    last: int = 0
    complete: bool = False


def read_engine_json(text: str) -> Digest | Run:
    """Read what the engine printed.

    Raises:
        ReadingError: it is nothing that the report can read.
    """
    document = _document(text)
    try:
        if document is not None:
            if not _OF_A_DIGEST & set(document):
                raise ReadingError("the JSON is no preview's: it has neither `steps` nor `diagnostics`.")
            digest = Digest.model_validate(document)
            return digest.model_copy(update={"steps": _replacements_as_one(digest.steps)})
        events = list(_events(text))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ReadingError(f"the JSON is not the engine's: {where}: {first['msg']}.") from None
    if not events:
        raise ReadingError(
            "there is no JSON in it. Hand in what `pulumi preview --json` printed, or `pulumi up --json`, or what"
            " `--event-log FILE` wrote."
        )
    if any(event.summary and event.summary.is_preview for event in events) or any(
        event.begun and event.begun.planning for event in events
    ):
        return _planned(events)
    return _run(events)


_OF_A_DIGEST: Final = {"steps", "diagnostics", "changeSummary"}
_BEGINNINGS_TRIED: Final = 50


def _document(text: str) -> dict[str, object] | None:
    """The one document that is no event, whatever lines stand before and after it; None where there is none.

    The engine prints such lines: policy packs that are being installed, a warning of a newer version.
    """
    decoder = json.JSONDecoder()
    found: dict[str, object] | None = None
    for beginning in islice(re.finditer(r"^\{", text, re.MULTILINE), _BEGINNINGS_TRIED):
        try:
            value, _ = decoder.raw_decode(text, beginning.start())
        except (ValueError, RecursionError):
            continue
        if "timestamp" in value:
            return None  # a stream of events
        found = found or value
        if _OF_A_DIGEST & set(value):
            return dict(value)
    return found


def _events(text: str) -> Iterator[_Event]:
    """The stream's events. A line that is none is passed over, such as the half one of a killed engine."""
    for line in text.splitlines():
        if not line.startswith("{"):
            continue
        try:
            raw = json.loads(line)
        except ValueError:
            continue
        yield _Event.model_validate(raw)


def _planned(events: list[_Event]) -> Digest:
    """The digest of a preview, out of its stream."""
    steps: list[EngineStep] = [event.begun.metadata for event in events if event.begun]
    lines = [event.diagnostic for event in events if event.diagnostic and not event.diagnostic.ephemeral]
    return Digest(steps=_replacements_as_one(steps), diagnostics=lines)


def _replacements_as_one(steps: Sequence[EngineStep]) -> list[EngineStep]:
    """The steps without both halves of each replacement, which the engine tells of beside the whole.

    The whole stands after the half that comes first.
    """

    def what(step: EngineStep) -> tuple[str, str]:
        return step.urn, step.old.id if step.old else ""

    halves = Counter(what(step) for step in steps if step.op == "replace")
    created = {step.urn for step in steps if step.op == "create-replacement"}
    begun: set[tuple[str, tuple[str, str]]] = set()
    whole = []
    for step in steps:
        if step.op == "replace":
            if ("create-replacement", what(step)) in begun:
                order = Order.NEW_FIRST
            elif ("delete-replaced", what(step)) in begun:
                order = Order.OLD_FIRST
            elif step.urn in created:
                order = Order.OLD_GONE
            else:  # the halves are not shown
                order = Order.OLD_FIRST if step.old and step.old.pending_replacement else Order.NEW_FIRST
            whole.append(step.model_copy(update={"order": order}))
        elif step.op == "delete-replaced" and halves[what(step)]:
            halves[what(step)] -= 1
        elif step.op != "create-replacement":
            whole.append(step)
        begun.add((step.op, what(step)))
    return whole


def _run(events: list[_Event]) -> Run:
    run = Run(first=events[0].timestamp, last=events[-1].timestamp)
    under_way: dict[tuple[str, str], Operation] = {}
    for event in events:
        if event.prelude:
            run.declared = _declared(event.prelude)
        elif event.begun:
            step = event.begun.metadata
            operation = Operation(step, event.timestamp)
            under_way[step.urn, step.op] = operation
            run.operations.append(operation)
        elif ended := event.ended or event.failed:
            step = ended.metadata
            key = (step.urn, step.op)
            if key in under_way:
                operation = under_way.pop(key)
                operation.step, operation.ended, operation.failed = step, event.timestamp, bool(event.failed)
        elif event.diagnostic:
            for (urn, _), operation in under_way.items():
                if urn == event.diagnostic.urn:
                    operation.lines.append((event.timestamp, event.diagnostic))
            if event.diagnostic.severity == "error":
                run.errors.append(event.diagnostic)
        elif event.summary:
            run.complete = True
    return run


def _declared(prelude: _Prelude) -> list[str]:
    try:
        models = json.loads(prelude.config.get(MODELS_KEY, "{}"))
    except ValueError:
        return []  # a secret, or not what this package's program reads
    return list(models) if isinstance(models, dict) else []
