"""The JSON Schema of a stack's file, for editors.

It is made of the models in `core/spec.py` and `api/declared.py`. Its words are those of draft 7, which editors know
best, and mean the same in draft 2020-12. What a field takes is no `anyOf` of types, so that an editor names the one
rule that is broken; `patternErrorMessage` is the YAML language server's own word for how to say it.

It takes what the program takes, but for the rules that JSON Schema can't express:

* two entries with one `modelId`;
* `dependsOn` with a name that is no entry, or in a cycle;
* of numbers that are written as a text (`"7"`): the range, and that `minReplicas` is not above `maxReplicas`;
* `koreai:pollMinSeconds` above `koreai:pollMaxSeconds`.

It is narrower than the program where there is a second way to write a thing: an encrypted value (`{secure: …}`) other
than the key's, `koreai:config:models` for `koreai:models`, JSON in a text, odd spellings of a number or of this
machine's address. And like `koreai check` it refuses an unknown `koreai:` setting, which the program can't see, and a
key that is not encrypted, which the program can't tell.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Final, Literal, get_args, get_origin

from pydantic import BaseModel, JsonValue, StringConstraints, WithJsonSchema
from pydantic.fields import FieldInfo

from ..api.declared import NUMBER_TEXT, WHOLE_TEXT
from ..api.settings import About, Settings
from ..core.spec import FileSpec, descriptions, expected_in, file_spelling, range_of, type_of
from .entries import FORMER_KEY, MODELS_KEY
from .terms import PULUMI

Schema = dict[str, JsonValue]

_CAN_BE_EMPTY: Final = {"string": "maxLength", "array": "maxItems", "object": "maxProperties"}

# What pydantic takes for a truth value besides the two of JSON: 0 and 1, and these words in any case.
_TRUE: Final = ("true", "yes", "on", "y", "t", "1")
_FALSE: Final = ("false", "no", "off", "n", "f", "0")


def stack_file_schema() -> Schema:
    """The schema of a whole stack file."""
    models: Schema = {
        "type": "object",
        "description": "The models: from a name of yours, the resource's name in the stack, to what is declared of it.",
        "additionalProperties": _map(FileSpec),
    }
    known = [key.partition(":")[2] for key in (MODELS_KEY, *SETTINGS)]
    config: Schema = {
        "type": "object",
        "description": "The stack's configuration.",
        "required": [MODELS_KEY],
        "properties": {**SETTINGS, MODELS_KEY: models},
        # A misspelt setting would be ignored without a word.
        "patternProperties": {f"^koreai:(?!({'|'.join(known)})$)": False, f"^{FORMER_KEY}$": False},
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "description": "A stack's file: which models are deployed on Kore.ai's AI for Process platform, and how.",
        "type": "object",
        "required": ["config"],
        "properties": {
            "config": config,
            "encryptionsalt": {"type": "string", "description": "Written by the engine: do not change it."},
            "encryptedkey": {"type": "string", "description": "Written by the engine: do not change it."},
            "secretsprovider": {"type": "string", "description": "Written by `pulumi stack init --secrets-provider`."},
            "environment": {"description": "Pulumi ESC environments that the stack takes its configuration from."},
        },
    }


_HOST: Final = (
    r"^\s*(([hH][tT][tT][pP][sS]://[^\s/?#@]+)"
    r"|([hH][tT][tT][pP]://(localhost|127(\.[0-9]{1,3}){3}|\[::1\])(:[0-9]+)?))/*\s*$"
)
_OWN_RULES: Final[Mapping[str, Schema]] = {
    "host": {"type": "string", "pattern": _HOST, "examples": ["https://ai-for-process.example.com"]},
    "api_key": {
        "type": "object",
        "required": ["secure"],
        "properties": {"secure": {"type": "string"}},
        "additionalProperties": False,
    },
}


def _setting(name: str, about: About) -> Schema:
    if about.limits is None:
        return {"description": f"{about.description} {PULUMI.how_to_set[name]}.", **_OWN_RULES[name]}
    low, high = about.limits
    # The engine writes a number of the configuration back as a text whenever it changes the file.
    return {
        "type": ["number", "string", "null"],
        "description": f"{low:,}–{high:,}. {about.description}",
        "default": getattr(Settings, name),
        "minimum": low,
        "maximum": high,
        "pattern": r"^\s*(([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?)?\s*$",
    }


SETTINGS: Final[Mapping[str, Schema]] = {
    PULUMI.settings[name]: _setting(name, about) for name, about in Settings.about().items()
}
"""Each `koreai:` setting's schema."""


def _map(kind: type[BaseModel]) -> Schema:
    fields = {file_spelling(name): field for name, field in kind.model_fields.items()}
    described = {file_spelling(name): text for name, text in descriptions(kind, file_spelling).items()}
    made: Schema = {
        "type": "object",
        "additionalProperties": False,
        "required": [name for name, field in fields.items() if field.is_required()],
        "properties": {name: _field(field, described[name]) for name, field in fields.items()},
    }
    rules = [rule for names, between in _RULES if set(names) <= set(fields) for rule in between]
    return {**made, "allOf": rules} if rules else made


def _field(field: FieldInfo, description: str) -> Schema:
    kind, rules = type_of(field)
    limits = range_of(field)
    range_first = f"{limits[0]}–{limits[1]}. {description}" if limits else description
    made: Schema = {"description": range_first, **_value(kind, rules, limits)}
    if "pattern" in made:
        made["patternErrorMessage"] = f"expected {expected_in(field, file_spelling)}"
    if field.is_required():
        return made
    if field.default is not None:
        made["default"] = field.default
    # An optional field that is empty is the same as one that is left out.
    if "enum" in made:
        empty: Schema = {"type": [*_CAN_BE_EMPTY, "null"], **dict.fromkeys(_CAN_BE_EMPTY.values(), 0)}
        made["anyOf"] = [{"enum": made.pop("enum")}, empty]
        return made
    types = made["type"] if isinstance(made["type"], list) else [made["type"]]
    made["type"] = [*types, *(empty for empty in (*_CAN_BE_EMPTY, "null") if empty not in types)]
    if "pattern" in made:
        made["pattern"] = f"^$|{made['pattern']}"
    return {**made, **{bound: 0 for empty, bound in _CAN_BE_EMPTY.items() if empty not in types}}


def _value(kind: object, rules: Sequence[object], limits: tuple[float, float] | None = None) -> Schema:
    """What a field's type takes, in words that each concern one type of JSON alone."""
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is list:
        (item,) = get_args(kind)
        inner, *inner_rules = get_args(item) if get_origin(item) is Annotated else (item,)
        return {"type": "array", "items": _value(inner, inner_rules)}
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return _map(kind)
    if kind is bool:
        return {
            "type": ["boolean", "integer", "string"],
            "minimum": 0,
            "maximum": 1,
            "pattern": _words(*_TRUE, *_FALSE),
        }
    if limits:
        return {
            "type": ["integer" if kind is int else "number", "string"],
            "minimum": limits[0],
            "maximum": limits[1],
            "pattern": f"^{WHOLE_TEXT if kind is int else NUMBER_TEXT}$",
        }
    made: Schema = {"type": "string"}
    for rule in rules:
        if isinstance(rule, WithJsonSchema) and rule.json_schema:
            made |= rule.json_schema
        if isinstance(rule, StringConstraints):
            made |= {"pattern": rule.pattern} if isinstance(rule.pattern, str) else {}
            made |= {"minLength": rule.min_length} if rule.min_length else {}
    return made


def _words(*words: str) -> str:
    """A pattern for the words in any case; the patterns of JSON Schema have no flags."""
    return f"^({'|'.join(''.join(f'[{c.upper()}{c}]' if c.isalpha() else c for c in word) for word in words)})$"


_YES: Final[Schema] = {"anyOf": [{"enum": [True, 1]}, {"type": "string", "pattern": _words(*_TRUE)}]}
_NO: Final[Schema] = {"anyOf": [{"enum": [False, 0]}, {"type": "string", "pattern": _words(*_FALSE)}]}


def _at_least_as_many(low: int) -> Schema:
    return {
        "if": {"required": ["minReplicas"], "properties": {"minReplicas": {"type": "number", "minimum": low}}},
        "then": {"properties": {"maxReplicas": {"minimum": low}}},
    }


_RULES: Final[Sequence[tuple[Sequence[str], Sequence[JsonValue]]]] = [
    (["minReplicas", "maxReplicas"], [_at_least_as_many(low) for low in range(2, 11)]),
    (
        ["optimizationType", "quantizationType"],
        [
            {
                "if": {"required": ["quantizationType"], "properties": {"quantizationType": {"const": "int8_float16"}}},
                "then": {
                    "required": ["optimizationType"],
                    "properties": {"optimizationType": {"type": "string", "minLength": 1}},
                },
            }
        ],
    ),
    (
        ["adopt", "deployed"],
        [
            {
                "if": {"required": ["deployed"], "properties": {"deployed": _NO}},
                "then": {"properties": {"adopt": {"not": _YES}}},
            }
        ],
    ),
]
"""The rules between fields, as `spec.check` has them, by the fields that a map has to have."""


def text() -> str:
    """The schema as it is in `stacks/schema.json`."""
    return json.dumps(stack_file_schema(), indent=2, ensure_ascii=False) + "\n"
