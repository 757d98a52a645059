"""The settings of a stack without its program: out of its configuration, as the engine has it, and the environment."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from pulumi_koreai.api.settings import Settings
from pulumi_koreai.base.clock import Clock
from pulumi_koreai.pipeline.project_engine import ConfigValue, EngineFailed, ProjectEngine
from pulumi_koreai.stackfile.terms import PULUMI

if TYPE_CHECKING:
    from pulumi_koreai.api.client import Client

OpenClient = Callable[[Settings, Clock], "Client"]

_KEY: Final = "api_key"


def open_client(settings: Settings, clock: Clock, client: OpenClient | None = None) -> "Client":
    """A client for these settings; nothing is sent yet.

    Args:
        settings: the platform and the key.
        clock: time.
        client: opens it; the real one when not given.
    """
    from pulumi_koreai.api.client import Client  # noqa: PLC0415 - only when it is needed: see pulumi_koreai.api

    return (client or Client)(settings, clock)


@dataclass(frozen=True)
class ConfiguredSettings:
    """What a stack's configuration and the environment have of the settings.

    Attributes:
        config: the configuration.
        environment: the variables.
        sealed: why its secrets can't be decrypted; None where they are.
    """

    config: Mapping[str, ConfigValue] = field(repr=False)
    environment: Mapping[str, str] = field(repr=False)
    sealed: EngineFailed | None = None

    @classmethod
    def of(cls, engine: ProjectEngine, stack: str) -> "ConfiguredSettings":
        """Read them.

        Raises:
            EngineFailed: there is no such stack, or no way to its backend.
        """
        try:
            return cls(engine.config(stack), engine.environment)
        except EngineFailed as failure:
            # What is not secret is of use too, and the key may be in the environment.
            return cls(engine.config(stack, secrets=False), engine.environment, failure)

    def settings(self) -> Settings:
        """The settings.

        Raises:
            ConfigError: with every setting that is missing or wrong.
        """
        return Settings.read(self._configured, self.environment.get)

    def source(self, name: str) -> str:
        """Where a setting is from: what the user writes for it, or the variable; "" where it is not set."""
        if (self._configured(name) or "").strip():
            return PULUMI.settings[name]
        variable = Settings.about()[name].environment
        return variable if self.environment.get(variable, "").strip() else ""

    @property
    def key_in_plain(self) -> bool:
        """Whether the stack's file has the key as it is."""
        stored = self.config.get(PULUMI.settings[_KEY])
        return stored is not None and not stored.secret

    def _configured(self, name: str) -> str | None:
        stored = self.config.get(PULUMI.settings[name])
        return stored.value if stored else None
