"""A YAML file as the engine reads it, with the place of each key. Knows no engine.

The engine reads with Go's `yaml.v3`: `yes` is a text, `1e3` a number, `010` an octal one, and a key that is there twice
is an error. PyYAML by itself differs in all of these; what it is used for here is the syntax.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

import yaml

from ..api.declared import UNKNOWN
from ..core.faults import Path

try:  # ten times as fast, where PyYAML was built with it
    from yaml import CSafeLoader as _Syntax
except ImportError:
    from yaml import SafeLoader as _Syntax  # type: ignore[assignment] # the same, in Python

_WORDS: Final[Mapping[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# By their bases; a 0 in front is octal, with an o and without.
_WHOLE: Final[Mapping[int, re.Pattern[str]]] = {
    2: re.compile(r"([-+]?)0[bB]([01]+)"),
    8: re.compile(r"([-+]?)0[oO]?([0-7]+)"),
    16: re.compile(r"([-+]?)0[xX]([0-9a-fA-F]+)"),
    10: re.compile(r"([-+]?)(0|[1-9][0-9]*)"),
}
_BROKEN: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_MERGE: Final = "<<"
_PLAIN: Final = "plain"
_TYPED: Final = (_PLAIN, *(f"tag:yaml.org,2002:{kind}" for kind in ("null", "bool", "int", "float")))


@dataclass(frozen=True, order=True)
class Place:
    """Where something is in a file; both numbers count from 1."""

    line: int = 1
    column: int = 1


class NotYaml(Exception):
    """The file can't be read.

    Attributes:
        place: where the first thing is that is wrong.
        reason: what it is.
    """

    def __init__(self, place: Place, reason: str) -> None:
        super().__init__(place, reason)
        self.place = place
        self.reason = reason


@dataclass(frozen=True)
class YamlFile:
    """A file's content.

    Attributes:
        data: as the engine hands it on; what it decrypts (`{secure: …}`) is `UNKNOWN`.
        places: of each key and each item of a list, by its path from the top.
        repeated: the keys that are there once more: where, and where first.
    """

    data: object
    places: Mapping[Path, Place]
    repeated: list[tuple[str, Place, Place]]

    @classmethod
    def read(cls, content: bytes) -> "YamlFile":
        """Read a file.

        Raises:
            NotYaml: it can't be read.
        """
        text = _decoded(content)
        try:
            documents = list(yaml.compose_all(text, _Loader))
            reader = _Reader()
            data = reader.value(documents[0], (), ()) if documents else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise NotYaml(_place(mark) if mark else Place(), f"this is not YAML: {error.problem}") from None
        except RecursionError:
            raise NotYaml(Place(), "it is nested too deep") from None
        if len(documents) > 1:
            raise NotYaml(_place(documents[1].start_mark), "a second document; only the first one of a file is read")
        return cls(data, reader.places, reader.repeated)

    def place(self, path: Path) -> Place:
        """The place of a path, or of the nearest one above that is there."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place())


def plain(text: str) -> object:
    """What the engine makes of a scalar without quotes and tag."""
    if text in _WORDS:
        return _WORDS[text]
    digits = text.replace("_", "") if text[0] in "+-0123456789" else text
    for base, pattern in _WHOLE.items():
        if found := pattern.fullmatch(digits):
            return int(found[1] + found[2], base)
    return float(digits) if _BROKEN.fullmatch(digits) else text


def _decoded(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotYaml(_place_after(content[: error.start].decode()), "this is not UTF-8") from None
    if found := yaml.reader.Reader.NON_PRINTABLE.search(text):
        raise NotYaml(_place_after(text[: found.start()]), f"a character that YAML doesn't allow: {found[0]!a}")
    return text


def _place_after(text: str) -> Place:
    return Place(text.count("\n") + 1, len(text) - text.rfind("\n"))


def _place(mark: yaml.Mark) -> Place:
    return Place(mark.line + 1, mark.column + 1)


class _Loader(_Syntax):
    """Leaves it open what a scalar without quotes and tag means."""

    def resolve(self, kind: type[yaml.Node], _value: str | None, implicit: bool | tuple[bool, bool]) -> str:
        return (
            _PLAIN if kind is yaml.ScalarNode and isinstance(implicit, tuple) and implicit[0] else "text or collection"
        )


@dataclass
class _Reader:
    places: dict[Path, Place] = field(default_factory=dict)
    repeated: list[tuple[str, Place, Place]] = field(default_factory=list)

    def value(self, node: yaml.Node, path: Path, above: tuple[yaml.Node, ...]) -> object:
        if node in above:
            raise NotYaml(_place(node.start_mark), "an anchor that contains itself")
        if isinstance(node, yaml.MappingNode):
            return self._map(node, path, (*above, node))
        if isinstance(node, yaml.SequenceNode):
            return [self._at((*path, index), item, item, (*above, node)) for index, item in enumerate(node.value)]
        return plain(node.value) if node.tag in _TYPED else node.value

    def _at(self, path: Path, key: yaml.Node, node: yaml.Node, above: tuple[yaml.Node, ...]) -> object:
        self.places[path] = _place(key.start_mark)
        return self.value(node, path, above)

    def _map(self, node: yaml.MappingNode, path: Path, above: tuple[yaml.Node, ...]) -> object:
        found: dict[str, object] = {}
        merged = [value for key, value in node.value if _is_merge(key)]
        # The keys of the map itself count before those that are merged in, and of these the first.
        for source in reversed(list(chain.from_iterable(_sources(value) for value in merged))):
            inner = self.value(source, path, above)
            found |= inner if isinstance(inner, dict) else {}
        own: set[str] = set()
        for key_node, value_node in node.value:
            if _is_merge(key_node):
                continue
            key = _key(key_node)
            if key in own:
                self.repeated.append((key, _place(key_node.start_mark), self.places[*path, key]))
            own.add(key)
            found[key] = self._at((*path, key), key_node, value_node, above)
        encrypted = list(found) == ["secure"] and isinstance(found["secure"], str)
        return UNKNOWN if encrypted else found


def _is_merge(key: yaml.Node) -> bool:
    return bool(key.tag == _PLAIN and key.value == _MERGE)


def _sources(node: yaml.Node) -> list[yaml.Node]:
    return list(node.value) if isinstance(node, yaml.SequenceNode) else [node]


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise NotYaml(_place(node.start_mark), "a key must be a text")
    key = plain(node.value) if node.tag in _TYPED else node.value
    # As Go writes them: the engine has no keys but texts.
    return "<nil>" if key is None else str(key).lower() if isinstance(key, bool) else str(key)
