"""The provider `koreai`: its configuration and its one resource, as the framework `tf` asks for them."""

from collections.abc import Mapping
from typing import Any, Final

from tf.schema import Schema  # type: ignore[import-untyped] # it has no types, here and below
from tf.utils import Diagnostics  # type: ignore[import-untyped]

from ..api.errors import ConfigError
from .deployment import ModelDeployment
from .process import ProviderProcess, journals, provider_schema
from .schema import decoded
from .state import witness
from .terms import TERRAFORM

ADDRESS: Final = "terraform.local/pulumi-koreai/koreai"
"""The provider's source address: it is in no registry, but in a folder of the machine's own."""


class Provider:
    """One for each process.

    Attributes:
        process: what all its calls share.
    """

    def __init__(self) -> None:
        self.process = ProviderProcess(journals=journals, witness=witness())

    def get_model_prefix(self) -> str:
        return "koreai"

    def full_name(self) -> str:
        return ADDRESS

    def get_provider_schema(self, _diagnostics: Diagnostics) -> Schema:
        return provider_schema()

    def validate_config(self, _diagnostics: Diagnostics, _config: Mapping[str, Any]) -> None:
        """The environment may hold the rest, and only where plans are made: see `configure_provider`."""

    def configure_provider(self, diagnostics: Diagnostics, config: Mapping[str, Any]) -> None:
        """Take the configuration; what is missing or wrong is reported before anything is planned."""
        try:
            self.process.configure(decoded(provider_schema().attributes, config))
        except ConfigError as error:
            for fault in error.faults:
                diagnostics.add_error(TERRAFORM.setting_fault(fault), path=[TERRAFORM.settings[fault.setting]])

    def get_data_sources(self) -> list[type]:
        return []

    def get_functions(self) -> list[type]:
        return []

    def get_resources(self) -> list[type[ModelDeployment]]:
        return [ModelDeployment]

    def new_resource(self, kind: type[ModelDeployment]) -> ModelDeployment:
        return kind(self.process)
