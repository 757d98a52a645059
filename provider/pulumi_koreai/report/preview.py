"""The report on a preview: what `pulumi up` would do."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, get_args

from ..api.declared import DeployRequest
from ..base.durations import spoken
from . import markdown
from .changes import Change, ChangeKind, Difference, Hardware, changes
from .engine_json import SECRET, UNKNOWN_VALUE, Digest
from .warnings import warnings

MARKS: Final = {
    ChangeKind.UNDEPLOYED: "-",
    ChangeKind.REPLACED: "±",
    ChangeKind.REDEPLOYED: "~",
    ChangeKind.RELEASED: "○",
    ChangeKind.OPEN: "?",
    ChangeKind.DEPLOYED: "+",
    ChangeKind.RESUMED: "…",
    ChangeKind.ADOPTED: "=",
    ChangeKind.RECORDED: "·",
}

_ROWS_SHOWN: Final = 20
_ROWS_OF_A_KIND: Final = 5
"""Shown of each kind where there are more rows than that."""
_DIFFERENCES_SHOWN: Final = 8
_FOLDS_MAX_CHARS: Final = 600
"""Of the lines around the folds, and of the sentences on what found no room."""
_DEVICES: Final = get_args(DeployRequest.model_fields["device_type"].annotation)
_SAY_NO_MORE: Final = ("an unhandled error occurred: program exited with non-zero exit code", "preview failed")
"""Errors that only say that there was another one."""


@dataclass(frozen=True)
class Preview:
    """What a digest comes to.

    Attributes:
        stack: its name, "" where there was no step to tell it.
        changes: of all its models, those that stay as they are included.
        warnings: one line of Markdown each.
        others: how many resources that are no models have which operation.
        errors: what the engine or the program said when it gave up.
        left_out: the names of new models that are not among this run's targets.
        untold: how many resources stay as they are, of which the digest has no more than the number.
        anything: whether anything changes, resources that are no models included.
    """

    stack: str
    changes: list[Change]
    warnings: list[str]
    others: Counter[str]
    errors: list[str]
    left_out: list[str]
    untold: int
    anything: bool

    @classmethod
    def of(cls, digest: Digest) -> "Preview":
        """Work out what the steps mean."""
        stack = digest.steps[0].stack if digest.steps else ""
        found = changes(digest.steps, whole=not digest.untold)
        others = Counter(step.op for step in digest.steps if not step.is_model and not step.is_the_engine_s)
        errors = [line.text for line in digest.errors]
        telling = [text for text in errors if not text.startswith(_SAY_NO_MORE)]
        left_out = sorted(step.name for step in digest.steps if step.is_model and step.is_left_out)
        told = warnings(stack, found)
        return cls(stack, found, told, others, telling or errors, left_out, digest.untold, digest.changes)

    @property
    def changing(self) -> list[Change]:
        return [change for change in self.changes if change.kind]

    def markdown(self, max_chars: int) -> str:
        """The report, the summary first; what finds no room is counted in it."""
        blocks = [self._summary(), *self._errors(max_chars // 3)]
        if self.warnings:
            blocks.append(markdown.warned(self.warnings))
        hardware = _hardware(self.changes, whole=not self.untold)
        after = list(filter(None, [hardware, self._unchanged(), self._left_out(), self._others()]))
        room = max_chars - sum(len(block) + 2 for block in blocks + after)
        return "\n\n".join([*blocks, *_table(self.changing, room), *after]) + "\n"

    def _summary(self) -> str:
        changing = self.changing
        if self.errors:
            return "**The preview failed; nothing can be done as it stands.**"
        if not changing:
            return "**No model changes; nothing is sent.**"
        counts = Counter(change.kind for change in changing)
        counted = ", ".join(f"{counts[kind]} {kind.value}" for kind in ChangeKind if counts[kind])
        one = len(changing) == 1
        line = f"**{markdown.counted(len(changing), 'model')} change{'s' if one else ''}: {counted}.**"
        cut = [change for change in changing if change.cuts_off]
        may_be = sum(change.may_cut_off for change in changing)
        perhaps = f"; for {markdown.counted(may_be, 'model')} that is decided in the run" if may_be else ""
        if not cut:
            return f"{line} No caller is cut off{', as far as is known' if perhaps else ''}{perhaps}."
        back = [change.cut_seconds for change in cut if change.kind is ChangeKind.REDEPLOYED]
        lasting = []
        if back:
            lasting.append(f"those of {markdown.counted(len(back), 'model')} for {_as_long_as(back)}")
        if len(cut) > len(back):
            lasting.append(f"those of {markdown.counted(len(cut) - len(back), 'model')} for good")
        return f"{line} Callers are cut off: {', '.join(lasting)}{perhaps}."

    def _errors(self, room: int) -> Iterator[str]:
        shown = markdown.fitting(list(map(markdown.fenced, self.errors)), room)
        yield from shown
        if len(shown) < len(self.errors):
            yield f"Left out here: {markdown.counted(len(self.errors) - len(shown), 'more error')}."
        if self.errors and self.changing:
            yield "What the engine had planned until then:"

    def _unchanged(self) -> str:
        unchanged = [change.name for change in self.changes if not change.kind]
        if self.errors:
            return ""
        if self.untold:
            resources = markdown.counted(self.untold + len(unchanged), "resource")
            return f"{resources} unchanged; `pulumi preview --json --show-sames` has a report name them."
        if not unchanged:
            return ""
        verb = "stays as it is" if len(unchanged) == 1 else "stay as they are"
        return f"{markdown.counted(len(unchanged), 'model')} {verb}: {markdown.names(unchanged)}."

    def _left_out(self) -> str:
        if not self.left_out:
            return ""
        count = markdown.counted(len(self.left_out), "new model")
        return f"{count} not in this run, as it has other targets: {markdown.names(self.left_out)}."

    def _others(self) -> str:
        if not self.others:
            return ""
        kinds = markdown.listed([f"{count} {markdown.prose(op)}" for op, count in sorted(self.others.items())])
        return f"Resources of other kinds, not described here: {kinds}."


def _as_long_as(seconds: Sequence[float]) -> str:
    """About how long a deploy takes, from how long the last ones did."""
    known = [one for one in seconds if one]
    if not known:
        return "as long as a deploy takes"
    low, high = spoken(min(known)), spoken(max(known))
    span = f"about {low}" if low == high else f"about {low} to {high}"
    return span if len(known) == len(seconds) else f"{span}, as far as is known"


def _table(changing: Sequence[Change], room: int) -> Iterator[str]:
    """The models that change, those to which the same happens in one row; of many rows, most are folded."""
    groups: dict[tuple[ChangeKind | None, tuple[str, ...], tuple[str, ...]], list[Change]] = {}
    for change in changing:
        what = tuple(map(_difference, change.differences)) or tuple(_runs_on(change))
        groups.setdefault((change.kind, change.words, what), []).append(change)
    if not groups:
        return
    header = ["", "models", "what happens", "what changes"]
    head = markdown.table(header, [])
    rows = [_Row.of(kind, words, what, group) for (kind, words, what), group in groups.items() if kind]
    if len(rows) > _ROWS_SHOWN:
        seen: Counter[ChangeKind] = Counter()
        for row in rows:
            seen[row.kind] += 1
            row.folded = seen[row.kind] > _ROWS_OF_A_KIND
        rows.sort(key=lambda row: row.folded)
    lines = [markdown.table(header, [row.cells]).splitlines()[-1] for row in rows]
    room -= 2 * len(head) + _FOLDS_MAX_CHARS
    kept = markdown.fitting(lines, room)
    room -= sum(len(line) + 2 for line in kept)
    shown = [line for line, row in zip(kept, rows, strict=False) if not row.folded]
    if shown:
        yield "\n".join([head, *shown])
    if rest := kept[len(shown) :]:
        yield markdown.folded(f"{markdown.counted(len(rest), 'more row')}", "\n".join([head, *rest]))
    if len(kept) < len(lines):
        left_out = sum(len(row.names) for row in rows[len(kept) :])
        yield (
            f"Left out here, for want of room: {markdown.counted(left_out, 'more model')} that change;"
            " `pulumi preview --diff` shows all."
        )
    long = [row for row in rows if len(row.names) > markdown.NAMES_SHOWN]
    all_names = [f"- {row.kind.value}: {', '.join(map(markdown.code, row.names))}" for row in long]
    if listed := markdown.fitting(all_names, room):
        yield markdown.folded("All the names of the long rows", "\n".join(listed))
    if len(listed) < len(long):
        yield f"Left out here, for want of room: all the names of {markdown.counted(len(long) - len(listed), 'row')}."


@dataclass
class _Row:
    """A row of the table.

    Attributes:
        kind: what happens.
        names: the models to which it does.
        cells: in Markdown.
        folded: whether it is shown only when it is asked for.
    """

    kind: ChangeKind
    names: list[str]
    cells: list[str]
    folded: bool = False

    @classmethod
    def of(cls, kind: ChangeKind, words: Sequence[str], what: Sequence[str], group: Sequence[Change]) -> "_Row":
        seconds = [change.cut_seconds for change in group if change.cut_seconds]
        words = list(words)
        if seconds and len(group) == 1:
            words.append(f"the last deploy took {spoken(seconds[0])}.")
        elif seconds:
            words.append(f"the last deploys took {spoken(min(seconds))} to {spoken(max(seconds))}.")
        shown = list(what[:_DIFFERENCES_SHOWN])
        if len(what) > len(shown):
            shown.append(f"and {len(what) - len(shown)} more")
        label = f"{MARKS[kind]} {kind.value}".replace(" ", "\N{NO-BREAK SPACE}")
        names = [change.name for change in group]
        return cls(kind, names, [label, markdown.names(names), markdown.sentences(words), "<br>".join(shown)])


def _runs_on(change: Change) -> Iterator[str]:
    """What a new model runs on."""
    if change.before is None and change.after is not None and change.kind is not ChangeKind.RESUMED:
        _, replicas = _total([change.after])
        yield f"{_device(change.after)}, replicas: {replicas}"


def _difference(difference: Difference) -> str:
    path = markdown.code(difference.path)
    if difference.old == difference.new == SECRET:
        return f"{path}: another secret"
    return f"{path}: {_value(difference.old)} → {_value(difference.new)}"


def _value(raw: object) -> str:
    match raw:
        case None:
            return "not set"
        case str() if raw == UNKNOWN_VALUE:
            return "known in the run"
        case list():
            return markdown.value(["known in the run" if item == UNKNOWN_VALUE else item for item in raw])
        case _:
            return markdown.value(raw)


def _device(hardware: Hardware) -> str:
    if not hardware.device_type:
        return "hardware not known yet"
    return markdown.code(hardware.device_type) if hardware.device_type in _DEVICES else "other hardware"


def _hardware(found: Sequence[Change], *, whole: bool) -> str:
    """What runs on which hardware, before and after; "" where that does not change.

    Args:
        found: the changes.
        whole: they are those of all the stack's models.
    """
    before = [change.before for change in found if change.before]
    unmanaged = [change.unmanaged for change in found if change.unmanaged]
    after = [change.after for change in found if change.after] + unmanaged
    if Counter(before) == Counter(after):
        return ""
    devices = sorted(set(map(_device, before + after)))
    rows = []
    for device in devices:
        now = [hardware for hardware in before if _device(hardware) == device]
        then = [hardware for hardware in after if _device(hardware) == device]
        if Counter(now) != Counter(then):
            rows.append([device, *_total(now), *_total(then)])
    if len(devices) > 1:
        rows.append(["**all**", *_total(before), *_total(after)])
    header = [
        "hardware" if whole else "hardware of these",
        "models now",
        "replicas now",
        "models after",
        "replicas after",
    ]
    if not unmanaged:
        return markdown.table(header, rows)
    runs_on = f"{markdown.counted(len(unmanaged), 'model')} that this stack no longer manages"
    return f"{markdown.table(header, rows)}\n\nAfter the run with {runs_on}, running as before."


def _total(hardware: Sequence[Hardware]) -> list[str]:
    """How many models, and from how many to how many replicas."""
    bounds = [(one.low, one.high) for one in hardware if one.low is not None and one.high is not None]
    parts = []
    if bounds:
        low, high = sum(low for low, _ in bounds), sum(high for _, high in bounds)
        parts.append(f"{low}" if low == high else f"{low}–{high}")
    if left := len(hardware) - len(bounds):
        parts.append(f"{left} as the platform scales" if bounds else "as the platform scales")
    return [str(len(hardware)), " + ".join(parts) or "0"]
