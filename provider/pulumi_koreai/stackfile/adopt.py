"""An entry of a stack's file for a model that already runs.

The parameters are taken out of the `deployconfig.json` of the model's export. The vendor says what that file keeps (the
chosen optimization, hyperparameters, hardware and scaling), not how: so a field is known by its name alone, at any
depth and in any capitals. What can't be read out of it is reported, to be filled in by hand.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Final

import yaml
from pydantic import BaseModel, JsonValue

from ..api.declared import DeployRequest
from ..api.messages import clean
from ..core.faults import DeclarationFault, Path, fit, written
from ..core.spec import FileSpec, check, file_spelling, type_of
from .check import findings
from .entries import MODELS_KEY
from .yamlfile import NotYaml, YamlFile, plain

Entry = dict[str, object]

_CONFIG: Final = "config"
_INDENT: Final = 2
_NAME: Final = "name"
_NOT_IN_BLOCK_STYLE: Final = f"`{MODELS_KEY}` is not in the block style there; without --stack the entry is printed"
_BYTE_ORDER_MARK: Final = "\ufeff"


class NoExport(Exception):
    """A text is no export; the message says why."""


class CantInsert(Exception):
    """An entry can't be put into a file; the message says why."""


def _bare(key: str) -> str:
    return re.sub(r"[^a-z0-9]", "", key.lower())


def _leaves(kind: type[BaseModel], *, required: bool = False) -> Iterator[tuple[str, ...]]:
    """The paths of a model's fields that hold no model, as a stack's file has them; or of those alone that must be."""
    for name, info in kind.model_fields.items():
        if required and not info.is_required():
            continue
        inner = type_of(info)[0]
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from ((file_spelling(name), *below) for below in _leaves(inner, required=required))
        else:
            yield (file_spelling(name),)


_FIELDS: Final = {_bare(path[-1]): path for path in _leaves(DeployRequest)}
# `name` is the deployment's only beside these: there may be other names in the file.
_BESIDE_THE_NAME: Final = frozenset(map(_bare, DeployRequest.model_fields)) - {"deploymentname"}
# In a deploy's body, and nothing to declare; one of them is an older page's spelling.
_NOTHING_TO_TELL: Final = {"isdeployedpreviously", "isdeployedpreviouly"}


@dataclass
class Export:
    """What was found in a `deployconfig.json`.

    Attributes:
        entry: the deploy parameters, as an entry of a stack's file has them.
        not_known: the paths of what is no parameter of a deployment.
        unclear: the paths, in an entry, of parameters that have several values in the file.
    """

    entry: Entry = field(default_factory=dict)
    not_known: list[str] = field(default_factory=list)
    unclear: list[str] = field(default_factory=list)

    @classmethod
    def read(cls, content: JsonValue) -> "Export":
        """Find the deploy parameters in a file's content, wherever they are in it."""
        found: dict[tuple[str, ...], list[JsonValue]] = {}
        export = cls()
        for path, key, value in _values(content, ()):
            at = _FIELDS.get(key)
            if at is None:
                export.not_known += [] if key in _NOTHING_TO_TELL else [written(path)]
            elif value not in (None, "", []) and value not in (values := found.setdefault(at, [])):
                values.append(value)
        for at, values in found.items():
            if len(values) == 1:
                _put(export.entry, at, values[0])
            else:
                export.unclear.append(written(at))
        return export


def _values(content: JsonValue, path: Path) -> Iterator[tuple[Path, str, JsonValue]]:
    """Each value that holds no map, with its path and its bare key."""
    if isinstance(content, dict):
        keys = {_bare(key) for key in content}
        for key, value in content.items():
            holds_maps = isinstance(value, dict) or (
                isinstance(value, list) and any(isinstance(v, dict) for v in value)
            )
            if holds_maps:
                yield from _values(value, (*path, key))
            else:
                is_name = _bare(key) == _NAME and keys & _BESIDE_THE_NAME
                yield (*path, key), "deploymentname" if is_name else _bare(key), value
    elif isinstance(content, list):
        for index, value in enumerate(content):
            yield from _values(value, (*path, index))


def _put(entry: Entry, path: Sequence[str], value: object) -> None:
    for name in path[:-1]:
        inner = entry.setdefault(name, {})
        assert isinstance(inner, dict)
        entry = inner
    entry.setdefault(path[-1], value)


def entry_of(
    export: Export, model_id: str, deployment_name: str | None = None, model_type: str | None = None
) -> tuple[Entry, list[DeclarationFault]]:
    """The entry of a model that is to be taken over, and what is missing in it or wrong.

    What is missing stands in the entry as None.
    """
    by_hand = {"modelId": model_id, "deploymentName": deployment_name, "modelType": model_type}
    entry = {**export.entry, **{key: value for key, value in by_hand.items() if value}, "adopt": True}
    _, faults = check(FileSpec, entry, file_spelling)
    for path in _leaves(FileSpec, required=True):
        _put(entry, path, None)
    order = ["modelId", *(path[0] for path in _leaves(FileSpec))]
    return {key: entry[key] for key in dict.fromkeys(order) if key in entry}, faults


class _Dumper(yaml.SafeDumper):
    """Puts a text into quotes that the engine would not read as one, or as this one."""

    def represent_text(self, text: str) -> yaml.ScalarNode:
        as_it_is = plain(text) == text and text.isprintable()
        return self.represent_scalar("tag:yaml.org,2002:str", text, style=None if as_it_is else '"')


_Dumper.add_representer(str, _Dumper.represent_text)


def as_yaml(name: str, entry: Entry, indent: int = 2 * _INDENT) -> str:
    """The lines of an entry, indented by so many spaces."""
    text = yaml.dump(
        {name: entry}, Dumper=_Dumper, sort_keys=False, default_flow_style=None, width=120, allow_unicode=True
    )
    return "".join(f"{' ' * indent}{line}" for line in text.splitlines(keepends=True))


def inserted(text: str, name: str, entry: Entry) -> str:
    """The text of a stack's file with one more entry; every line that was there stays.

    Raises:
        CantInsert: the file is not written as people write them, has such an entry, or would have a new fault.
    """
    data = _as_map(_read(text))
    config = _as_map(data.get(_CONFIG))
    models = _as_map(config.get(MODELS_KEY))
    if name in models:
        raise CantInsert(f"there is an entry {fit(name)} already")
    result = _with_lines(text, name, entry)
    try:
        after = _read(result)
    except CantInsert:
        after = None
    if after != {**data, _CONFIG: {**config, MODELS_KEY: {**models, name: entry}}}:
        raise CantInsert(_NOT_IN_BLOCK_STYLE)
    known = {finding.path for finding in findings(text.encode())}
    if new := [finding for finding in findings(result.encode()) if finding.path not in known]:
        # A file without models has that fault before, and none after.
        raise CantInsert("; ".join(finding.text for finding in new))
    return result


def _as_map(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def _read(text: str) -> object:
    try:
        return YamlFile.read(text.encode()).data
    except NotYaml as error:
        raise CantInsert(f"line {error.place.line}: {error.reason}") from None


def _with_lines(text: str, name: str, entry: Entry) -> str:
    """The lines put where they belong in a file in the block style; whether it was one is seen by what comes out.

    Raises:
        CantInsert: it certainly was not.
    """
    lines = text.splitlines(keepends=True)
    if lines and not lines[-1].endswith("\n"):
        lines[-1] += "\n"
    root = yaml.compose(text, yaml.SafeLoader)
    config_key, config = _child(root, _CONFIG)
    models_key, models = _child(config, MODELS_KEY)
    if models_key is not None and isinstance(models, yaml.MappingNode) and models.value:
        column = models.value[0][0].start_mark.column
        at, new = _line_after(models), "\n" + as_yaml(name, entry, column)
    elif models_key is not None:
        at, column = models_key.start_mark.line + 1, models_key.start_mark.column + _INDENT
        lines[at - 1] = re.sub(r":[ \t]*(\{[ \t]*\}|~|null)(?=\s)", ":", lines[at - 1])
        new = as_yaml(name, entry, column)
    elif isinstance(config, yaml.MappingNode) and config.value:
        column = config.value[0][0].start_mark.column
        at, new = _line_after(config), f"{' ' * column}{MODELS_KEY}:\n{as_yaml(name, entry, column + _INDENT)}"
    elif config_key is not None:
        raise CantInsert(_NOT_IN_BLOCK_STYLE)
    else:
        at = len(lines)
        new = f"{_CONFIG}:\n{' ' * _INDENT}{MODELS_KEY}:\n{as_yaml(name, entry, 2 * _INDENT)}"
    return "".join([*lines[:at], new, *lines[at:]])


def _child(node: yaml.Node | None, name: str) -> tuple[yaml.Node | None, yaml.Node | None]:
    pairs: list[tuple[yaml.Node, yaml.Node]] = node.value if isinstance(node, yaml.MappingNode) else []
    return next(((key, value) for key, value in pairs if key.value == name), (None, None))


def _line_after(node: yaml.Node) -> int:
    """The number, from 0, of the line after a node's last one; comments that follow are not the node's."""
    while isinstance(node, yaml.CollectionNode) and node.value and not node.flow_style:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    # A text of several lines ends where the next line begins.
    ends_before = isinstance(node, yaml.ScalarNode) and node.style in ("|", ">") and node.end_mark.column == 0
    return int(node.end_mark.line) + (0 if ends_before else 1)


def read_export(text: str) -> Export:
    """Find the deploy parameters in the text of a `deployconfig.json`.

    Raises:
        NoExport: it is not JSON.
    """
    try:
        return Export.read(json.loads(text.removeprefix(_BYTE_ORDER_MARK)))
    except ValueError as error:
        raise NoExport(f"this is not JSON: {clean(str(error))}") from None


def insert_into(file: FilePath, entries: Mapping[str, Entry]) -> None:
    """Write entries, by their names, into a stack's file: all of them, or none.

    Raises:
        CantInsert: nothing was written.
    """
    try:
        text = file.read_bytes().decode("utf-8")
        for name, entry in entries.items():
            text = inserted(text, name, entry)
        file.write_bytes(text.encode())
    except UnicodeDecodeError as error:
        raise CantInsert(str(error)) from None
    except OSError as error:
        raise CantInsert(f"it can't be opened: {error.strerror}") from None
