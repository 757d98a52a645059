"""The models that a stack's file declares, each with its place, and the platform that they are on."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlsplit

from pydantic import TypeAdapter, ValidationError

from ..api.declared import UNKNOWN
from ..core.faults import Path
from .entries import MODELS_KEY, model_ids
from .terms import PULUMI
from .yamlfile import NotYaml, Place, YamlFile

_FLAG: Final = TypeAdapter(bool)
_CONFIG: Final = "config"
_HOST: Final = PULUMI.settings["host"]
_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True)
class StackConfig:
    """A file's `config:`, by the full names of its keys.

    Attributes:
        values: what each key has.
        written_as: each key as the file has it.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    written_as: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, file: YamlFile) -> "StackConfig":
        """Find it in a file."""
        config = file.data.get(_CONFIG) if isinstance(file.data, Mapping) else None
        if not isinstance(config, Mapping):
            return cls()
        written_as = {_full(key): key for key in config}
        return cls({full: config[key] for full, key in written_as.items()}, written_as)

    def path(self, key: str) -> Path:
        """Where a key is in the file, or would be."""
        return _CONFIG, self.written_as.get(key, key)


@dataclass(frozen=True)
class DeclaredModel:
    """An entry that names a model; the entry may be a faulty one.

    Attributes:
        entry: its name.
        place: of its `modelId`.
        deployed: False where the entry says so.
        adopt: True where the entry says so.
    """

    entry: str
    place: Place
    deployed: bool = True
    adopt: bool = False


@dataclass(frozen=True)
class StackModels:
    """What a stack's file declares.

    Attributes:
        platform: where its models are; "": where the environment says; None: that can't be read here.
        models: its models by their ids; of two entries for one the first.
    """

    platform: str | None = None
    models: Mapping[str, DeclaredModel] = field(default_factory=dict)

    @classmethod
    def of(cls, file: YamlFile) -> "StackModels":
        """Find them in a file."""
        config = StackConfig.of(file)
        raw = config.values.get(MODELS_KEY)
        found: dict[str, DeclaredModel] = {}
        for name, model_id in model_ids(raw):
            entry = raw[name] if isinstance(raw, Mapping) else {}
            place = file.place((*config.path(MODELS_KEY), name, "modelId"))
            deployed, adopt = _flag(entry.get("deployed"), default=True), _flag(entry.get("adopt"), default=False)
            found.setdefault(model_id, DeclaredModel(name, place, deployed, adopt))
        return cls(_platform(config.values.get(_HOST)), found)

    @classmethod
    def read(cls, content: bytes) -> "StackModels":
        """Find them in a file's content; one that is no YAML has none."""
        try:
            return cls.of(YamlFile.read(content))
        except NotYaml:
            return cls()


def _flag(raw: object, *, default: bool) -> bool:
    """An entry's flag, which may be written as a text; the default where it is at fault."""
    try:
        return _FLAG.validate_python(raw)
    except ValidationError:
        return default


def as_text(value: object) -> str:
    """A setting's value as the engine hands it on."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, default=str)


def _full(key: str) -> str:
    # The engine takes an old form too, with `config` between the two. A key without a namespace is one of the project,
    # whose name this file doesn't have.
    namespace, colon, name = key.partition(":")
    return f"{namespace}:{name.removeprefix('config:')}" if colon else key


def _platform(host: object) -> str | None:
    if host is UNKNOWN:
        return None
    text = as_text(host).strip()
    try:
        url = urlsplit(text)
        return f"{url.hostname}:{url.port or _PORTS.get(url.scheme)}" if url.hostname else text
    except ValueError:
        return text  # reported already: a fault of the setting
