"""Sentences out of facts, made once, at the edge: each front end has one `Renderer` with its own commands and names."""

from collections.abc import Mapping
from dataclasses import dataclass

from ..api.errors import ConfigError, SettingFault


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

    def setting_fault(self, fault: SettingFault) -> str:
        """A setting that can't be used, by what the user writes for it, and what to do."""
        remedy = f". {self.how_to_set[fault.remedy.value]}." if fault.remedy else ""
        return f"{self.settings[fault.setting]}: {fault.problem}{remedy}"

    def config_error(self, error: ConfigError) -> ConfigError:
        """The same error in this front end's words, a line for each setting."""
        return ConfigError(error.faults, [self.setting_fault(fault) for fault in error.faults])
