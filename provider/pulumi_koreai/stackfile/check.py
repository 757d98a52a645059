"""`koreai check FILE…`: all the errors in stack files, each with its place; no engine and no key.

Each is a line `file:line:column: what`, as compilers write it. The place is that of the key at fault, or of the nearest
one above a key that is missing. The exit status is 0 without an error, 1 with one, 2 when a file can't be opened.

It says what the program would say (`entries.read`, `Settings.read`), and what only the file shows: a key that is
there twice, a misspelt `koreai:` setting, an API key that is not encrypted.

And what only several files show, when they are checked together: a model that two stacks have on one platform, as their
hosts say. It is an error with `deployed: false` too: one stack would undeploy what the other deploys. An encrypted host
is compared with none, and neither is a host with the one of the environment, which only the stacks without one share.
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path as FilePath
from typing import Final
from urllib.parse import urlsplit

from ..api.declared import UNKNOWN
from ..api.errors import ConfigError
from ..api.messages import clean
from ..api.settings import HOST_ENV, Settings
from ..core.faults import Path, error_count, fit
from .entries import MODELS_KEY, StackFileError, model_ids, read_entries
from .schema import SETTINGS
from .terms import PULUMI
from .yamlfile import NotYaml, Place, YamlFile

_API_KEY: Final = PULUMI.settings["api_key"]
_HOST: Final = PULUMI.settings["host"]
_CONFIG: Final = "config"
_ENVIRONMENT: Final = "environment"
_IN_PLAIN_TEXT: Final = (
    "it is not encrypted: whoever can read this file has the key. Take it out, let the platform issue another one and"
    f" set that with `pulumi config set --secret {_API_KEY}`"
)
_PORTS: Final = {"http": 80, "https": 443}
_EXIT_FAULTS: Final = 1
_EXIT_UNREADABLE: Final = 2


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
        platform: where its models are; "": where the environment says; None: that can't be read here.
        models: its models by their ids, each with its entry's name and place; of two entries the first.
    """

    findings: list[Finding]
    platform: str | None = None
    models: Mapping[str, tuple[str, Place]] = field(default_factory=dict)


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
    config = whole.get(_CONFIG)
    # The engine takes a key without a namespace for one of the project, and an old form with `config` between the two.
    written_as = {_full(key): key for key in config} if isinstance(config, Mapping) else {}
    values = {full: config[key] for full, key in written_as.items()} if isinstance(config, Mapping) else {}
    for key, text in _settings_faults(values):
        setting: Path = (_CONFIG, written_as.get(key, key))
        found.append(Finding(file.place(setting), clean(f"{key}: {text}"), setting))
    models_path: Path = (_CONFIG, written_as.get(MODELS_KEY, MODELS_KEY))
    elsewhere = values.get(MODELS_KEY) is None and bool(whole.get(_ENVIRONMENT))  # Pulumi ESC may have them
    for path, text in () if elsewhere else _models_faults(values.get(MODELS_KEY)):
        found.append(Finding(file.place((*models_path, *path)), clean(text), (*models_path, *path)))
    models: dict[str, tuple[str, Place]] = {}
    for name, model_id in model_ids(values.get(MODELS_KEY)):
        models.setdefault(model_id, (name, file.place((*models_path, name, "modelId"))))
    return _Checked(sorted(set(found)), _platform(values.get(_HOST)), models)


def _full(key: str) -> str:
    namespace, colon, name = key.partition(":")
    return f"{namespace}:{name.removeprefix('config:')}" if colon else f"{MODELS_KEY.partition(':')[0]}:{key}"


def _settings_faults(config: Mapping[str, object]) -> Iterator[tuple[str, str]]:
    """The faults of the `koreai:` settings that are there, by their keys; never a word of the API key."""
    for key in config:
        if key.startswith("koreai:") and key not in SETTINGS:
            near = get_close_matches(key, list(SETTINGS), 1)
            yield (
                key,
                "unknown setting; "
                + (f"did you mean {near[0]}?" if near else f"known settings: {', '.join(SETTINGS)}"),
            )
    if config.get(_API_KEY) not in (None, "", UNKNOWN):
        yield _API_KEY, _IN_PLAIN_TEXT
    # What is encrypted can't be read here, and what is not there may be in the environment.
    readable = {key: _as_text(config[key]) for key in SETTINGS if config.get(key, UNKNOWN) is not UNKNOWN}
    stand_ins = {_HOST: readable.get(_HOST) or "https://not-set.example.com", _API_KEY: "not-read"}
    values = readable | stand_ins
    try:
        Settings.read(lambda setting: values.get(PULUMI.settings[setting]))
    except ConfigError as error:
        for fault in error.faults:
            yield PULUMI.settings[fault.setting], fault.problem


def _as_text(value: object) -> str:
    """As the engine hands a setting on."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, default=str)


def _models_faults(models: object) -> Iterator[tuple[Path, str]]:
    """The faults of the map of models, each with its path from the map down."""
    if models is UNKNOWN:
        return
    if models is None:
        yield (), f"{MODELS_KEY} is missing; write `{{}}` for no model"
        return
    try:
        read_entries(models)
    except StackFileError as error:
        for name, fault in error.faults:
            if name is None:
                yield fault.path, f"{MODELS_KEY}: {fault}"
            else:
                yield (name, *fault.path), f"{fit(name)}: {fault}"


def _platform(host: object) -> str | None:
    if host is UNKNOWN:
        return None
    text = _as_text(host).strip()
    try:
        url = urlsplit(text)
        return f"{url.hostname}:{url.port or _PORTS.get(url.scheme)}" if url.hostname else text
    except ValueError:
        return text  # reported already: a fault of the setting


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
    if checked.platform is None:
        return
    file = FilePath(name).resolve()  # named twice, it is one stack
    where = "the same platform" if checked.platform else f"the platform of {HOST_ENV}, as neither file has {_HOST}"
    for model_id, (entry, place) in checked.models.items():
        this = _Owner(file, f"'{fit(entry)}' at {name}:{place.line}:{place.column}")
        owner = owners.setdefault((checked.platform, model_id), this)
        if owner.file != file:
            twin = f"modelId: {fit(model_id)} is also the model of {owner.place}, on {where}"
            yield Finding(place, clean(f"{entry}: {twin}; a model has one deployment, so one stack"))


def main(argv: Sequence[str] | None = None) -> int:
    """Check the files; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="koreai check",
        description="Lists all the errors in stack files, as file:line:column: what. Needs no engine and no key.",
        epilog="The exit status is 0 without an error, 1 with one, 2 when a file can't be opened.",
        allow_abbrev=False,
    )
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="as stacks/Pulumi.prod.yaml; those of all stacks together"
    )
    names: list[str] = parser.parse_args(argv).files
    owners: dict[tuple[str, str], _Owner] = {}
    status = total = 0
    for name in names:
        try:
            checked = _checked(FilePath(name).read_bytes())
        except OSError as error:
            print(f"{name}: can't be opened: {error.strerror}", file=sys.stderr)
            status = _EXIT_UNREADABLE
            continue
        found = sorted({*checked.findings, *_contended(name, checked, owners)})
        total += len(found)
        for finding in found:
            print(f"{name}:{finding.place.line}:{finding.place.column}: {finding.text}")
    if total:
        print(f"{error_count(total)} in {len(names)} file{'s' if len(names) != 1 else ''}", file=sys.stderr)
    return status or (_EXIT_FAULTS if total else 0)


if __name__ == "__main__":
    sys.exit(main())
