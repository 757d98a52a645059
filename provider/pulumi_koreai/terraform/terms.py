"""Terraform's commands, and the attributes of the provider's block."""

from dataclasses import fields
from typing import Final

from ..api.settings import API_KEY_ENV, HOST_ENV, Settings
from ..core.renderer import Renderer

TERRAFORM: Final = Renderer(
    apply="terraform apply",
    settings={setting.name: setting.name for setting in fields(Settings)},
    how_to_set={
        "host": f"Set it in the provider's block or in {HOST_ENV}",
        "api_key": f"Set it in the provider's block or, better, in {API_KEY_ENV}",
    },
    timeouts="`timeouts`",
    forget="terraform state rm ADDRESS",
)
