"""Sentences out of facts, made once, at the edge: each front end has one `Renderer`, with its commands and names."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Renderer:
    """How a front end names what a message speaks of. Everything else in a sentence is the same in all of them.

    Attributes:
        apply: the command that brings the models to what is declared, as `pulumi up`.
        settings: what the user writes for each field of `Settings`, as `koreai:host` for `host`.
        how_to_set: how the user sets `host` and `api_key`, as a whole sentence without the full stop.
        timeouts: what the user writes to raise a timeout.
    """

    apply: str
    settings: Mapping[str, str]
    how_to_set: Mapping[str, str]
    timeouts: str
