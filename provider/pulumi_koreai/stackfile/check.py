"""All the errors in stack files, each with its place, for `koreai check`; no engine and no key.

Each is a line `file:line:column: what`, as compilers write it. The place is that of the key at fault, or of the nearest
one above a key that is missing.

It says what the program would say (`entries.read`, `Settings.read`), and what only the file shows: a key that is
there twice, a misspelt `koreai:` setting, an API key that is not encrypted.

And what only several files show, when they are checked together: a model that two stacks have on one platform, as their
hosts say. It is an error with `deployed: false` too: one stack would undeploy what the other deploys. An encrypted host
is compared with none, and neither is a host with the one of the environment, which only the stacks without one share.

And since a git revision what only a change shows: a model that has moved from one stack's file to another's. It is
an error until the new entry has `adopt: true`, and a note then: no file tells whether the old stack's state has let it
go (`moves.py`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Final

from ..api.declared import UNKNOWN
from ..api.errors import ConfigError
from ..api.messages import clean
from ..api.settings import HOST_ENV, Settings
from ..core.faults import FaultKind, Path, error_count, fit
from .entries import MODELS_KEY, StackFileError, read_entries
from .moves import FileMove, moves_between, words_of_move
from .revision import RevisionError, files_at
from .schema import SETTINGS
from .stack_models import StackConfig, StackModels, as_text
from .terms import PULUMI
from .yamlfile import NotYaml, Place, YamlFile

_API_KEY: Final = PULUMI.settings["api_key"]
_HOST: Final = PULUMI.settings["host"]
_KNOWN: Final = (*SETTINGS, MODELS_KEY)
_ENVIRONMENT: Final = "environment"
_IN_PLAIN_TEXT: Final = (
    "it is not encrypted: whoever can read this file has the key. Take it out, let the platform issue another one and"
    f" set that with `pulumi config set --secret {_API_KEY}`"
)


@dataclass(frozen=True, order=True)
class Finding:
    """A fault of a file.

    Attributes:
        place: where it is.
        text: what it is, in one line.
        path: the keys from the top of the file down to it, as far as it has any.
    """

    place: Place
    text: str
    path: Path = field(default=(), compare=False)


@dataclass(frozen=True)
class _Checked:
    """A file by itself.

    Attributes:
        findings: all its faults, from its top to its end.
        declares: its models.
    """

    findings: list[Finding]
    declares: StackModels = field(default_factory=StackModels)


def findings(content: bytes) -> list[Finding]:
    """All the faults of a stack's file, from its top to its end."""
    return _checked(content).findings


def _checked(content: bytes) -> _Checked:
    try:
        file = YamlFile.read(content)
    except NotYaml as error:
        return _Checked([Finding(error.place, clean(error.reason))])
    found = [
        Finding(place, clean(f"{key}: duplicate key, first in line {first.line}; the engine refuses that"))
        for key, place, first in file.repeated
    ]
    whole = file.data if isinstance(file.data, Mapping) else {}
    config = StackConfig.of(file)
    for key, text in _settings_faults(config.values):
        setting = config.path(key)
        found.append(Finding(file.place(setting), clean(f"{key}: {text}"), setting))
    for path, text in _models_faults(config, elsewhere=bool(whole.get(_ENVIRONMENT))):
        found.append(Finding(file.place(path), clean(text), path))
    return _Checked(sorted(set(found)), StackModels.of(file))


def _settings_faults(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The faults of the `koreai:` settings that are there, by their keys; never a word of the API key."""
    for key in config:
        if key.startswith("koreai:") and key not in _KNOWN:
            near = get_close_matches(key, _KNOWN, 1)
            yield (
                key,
                "unknown setting; " + (f"did you mean {near[0]}?" if near else f"known settings: {', '.join(_KNOWN)}"),
            )
    if config.get(_API_KEY) not in (None, "", UNKNOWN):
        yield _API_KEY, _IN_PLAIN_TEXT
    # What is encrypted can't be read here, and what is not there may be in the environment.
    readable = {key: as_text(config[key]) for key in SETTINGS if config.get(key, UNKNOWN) is not UNKNOWN}
    stand_ins = {_HOST: readable.get(_HOST) or "https://not-set.example.com", _API_KEY: "not-read"}
    values = readable | stand_ins
    try:
        Settings.read(lambda setting: values.get(PULUMI.settings[setting]))
    except ConfigError as error:
        for fault in error.faults:
            yield PULUMI.settings[fault.setting], fault.problem


def _models_faults(config: StackConfig, *, elsewhere: bool) -> Iterator[tuple[Path, str]]:
    """The faults of the map of models, each with its path from the top of the file.

    Args:
        config: the file's.
        elsewhere: a missing map may be in an environment of Pulumi ESC.
    """
    models = config.values.get(MODELS_KEY)
    here = config.path(MODELS_KEY)
    unread = models is UNKNOWN or (models is None and elsewhere)
    try:
        read_entries({} if unread else models, config.values)
    except StackFileError as error:
        for name, fault in error.faults:
            if fault.kind is FaultKind.MISNAMED:
                yield config.path(str(fault.path[0])), str(fault)
            elif name is not None:
                yield (*here, name, *fault.path), f"{fit(name)}: {fault}"
            elif fault.kind is FaultKind.MISSING:
                yield here, f"{MODELS_KEY} is missing; write `{{}}` for no model"
            else:
                yield (*here, *fault.path), f"{MODELS_KEY}: {fault}"


@dataclass(frozen=True)
class _Owner:
    file: FilePath
    place: str


def _contended(name: str, checked: _Checked, owners: dict[tuple[str, str], _Owner]) -> Iterator[Finding]:
    """The models of a file that are another's already; what is nobody's yet is entered among the `owners`.

    Args:
        name: the file's.
        checked: what it holds.
        owners: who has a model, by its platform and its id.
    """
    declares = checked.declares
    if declares.platform is None:
        return
    file = FilePath(name).resolve()  # named twice, it is one stack
    where = "the same platform" if declares.platform else f"the platform of {HOST_ENV}, as neither file has {_HOST}"
    for model_id, model in declares.models.items():
        this = _Owner(file, f"'{fit(model.entry)}' at {name}:{model.place.line}:{model.place.column}")
        owner = owners.setdefault((declares.platform, model_id), this)
        if owner.file != file:
            twin = f"modelId: {fit(model_id)} is also the model of {owner.place}, on {where}"
            yield Finding(model.place, clean(f"{model.entry}: {twin}; a model has one deployment, so one stack"))


def _moves(files: Mapping[str, _Checked], revision: str) -> Iterator[FileMove]:
    """The models that have moved between the files since a revision.

    Raises:
        RevisionError: it can't be read.
    """
    names: dict[FilePath, str] = {}
    for name in files:
        names.setdefault(FilePath(name).resolve(), name)
    folders = {file.parent: FilePath(name).parent for file, name in names.items()}
    before = {
        names.get(file) or str(folders[file.parent] / file.name): StackModels.read(content)
        for file, content in files_at(revision, names).items()
    }
    return moves_between(before, {name: files[name].declares for name in names.values()}, revision)


@dataclass(frozen=True)
class CheckedFiles:
    """What several files come to, checked together.

    Attributes:
        faults: each with its file's name, from the first file's top to the last one's end.
        notes: what is left to do for models that move, likewise.
        unreadable: why a file, or the revision, can't be read, a line each.
        count: how many files were to be checked.
    """

    faults: list[tuple[str, Finding]]
    notes: list[tuple[str, Finding]]
    unreadable: list[str]
    count: int

    @property
    def lines(self) -> list[str]:
        """The faults, as compilers write them."""
        return [_line(file, finding) for file, finding in self.faults]

    @property
    def remarks(self) -> list[str]:
        """What else there is to say of them."""
        count = f"{error_count(len(self.faults))} in {self.count} file{'s' if self.count != 1 else ''}"
        notes = [_line(file, finding, "note: ") for file, finding in self.notes]
        return [*self.unreadable, *notes, *([count] if self.faults else [])]


def check_files(names: Sequence[str], since: str | None = None) -> CheckedFiles:
    """Check files, each by itself and all of them together.

    Args:
        names: of the files.
        since: a git revision, to find models that have moved from one file to another since then.
    """
    unreadable: list[str] = []
    files: dict[str, _Checked] = {}
    for name in names:
        try:
            files[name] = _checked(FilePath(name).read_bytes())
        except OSError as error:
            unreadable.append(f"{clean(name)}: can't be opened: {error.strerror}")
    moves: list[FileMove] = []
    if since is not None:
        try:
            moves = list(_moves(files, since))
        except RevisionError as error:
            unreadable.append(f"error: {error}")
    owners: dict[tuple[str, str], _Owner] = {}
    faults: list[tuple[str, Finding]] = []
    for name, checked in files.items():
        moved = {_moved(move) for move in moves if move.file == name and not move.moved.adopted}
        found = sorted({*checked.findings, *_contended(name, checked, owners), *moved})
        faults += [(name, finding) for finding in found]
    # Only the old stack's state tells whether `adopt: true` is enough.
    notes = [(move.file, _moved(move)) for move in moves if move.moved.adopted]
    return CheckedFiles(faults, notes, unreadable, len(names))


def _line(file: str, finding: Finding, kind: str = "") -> str:
    file = file if file.isprintable() else clean(file)
    return f"{file}:{finding.place.line}:{finding.place.column}: {kind}{finding.text}"


def _moved(move: FileMove) -> Finding:
    return Finding(move.model.place, clean(f"{move.model.entry}: modelId: {words_of_move(move.moved)}"))
