"""The reference page of a stack's file, docs/reference.md, made of the models."""

from collections.abc import Iterator

from pydantic import BaseModel

from ..api.settings import Settings
from ..core.spec import FileSpec, descriptions, expected_in, file_spelling, type_of
from .entries import MODELS_KEY
from .terms import PULUMI


def reference_page() -> str:
    """The page."""
    entries = "\n".join(_rows(FileSpec, ""))
    settings = "\n".join(_settings())
    return f"""# Reference: a stack's file

Made by `make schema` from the package's own models; `stacks/schema.json` has the same for editors.

## An entry

`{MODELS_KEY}` maps a name, the resource's name in the stack, to an entry.

| key | | accepts | default | what |
| --- | --- | --- | --- | --- |
{entries}

## The settings

| key | in the environment | accepts | default | what |
| --- | --- | --- | --- | --- |
{settings}
"""


def _rows(kind: type[BaseModel], above: str) -> Iterator[str]:
    described = descriptions(kind, file_spelling)
    for name, field in kind.model_fields.items():
        inner = type_of(field)[0]
        group = isinstance(inner, type) and issubclass(inner, BaseModel)
        key = f"{above}{file_spelling(name)}"
        needed = "required" if field.is_required() else ""
        accepts = "a map" if group else expected_in(field, file_spelling)
        default = "" if field.is_required() or field.default is None else f"`{_plain(field.default)}`"
        yield _row(f"`{key}`", needed, accepts, default, described[name])
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            yield from _rows(inner, f"{key}.")


def _settings() -> Iterator[str]:
    for name, about in Settings.about().items():
        variable = f"`{about.environment}`" if about.environment else ""
        accepts = "" if about.limits is None else f"a number from {about.limits[0]:,.10g} to {about.limits[1]:,.10g}"
        default = "" if about.limits is None else f"{getattr(Settings, name):g}"
        yield _row(f"`{PULUMI.settings[name]}`", variable, accepts, default, about.description)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
