"""Terraform's commands, and the attributes of the provider's block."""

from typing import Final

from ..api.settings import API_KEY_ENV, HOST_ENV
from ..core.renderer import Renderer

TERRAFORM: Final = Renderer(
    apply="terraform apply",
    settings={
        name: name
        for name in (
            "host",
            "api_key",
            "requests_per_minute",
            "poll_min_seconds",
            "poll_max_seconds",
            "answer_max_seconds",
        )
    },
    how_to_set={
        "host": f"Set it in the provider's block or in {HOST_ENV}",
        "api_key": f"Set it in the provider's block or, better, in {API_KEY_ENV}",
    },
    timeouts="`timeouts`",
    forget="terraform state rm ADDRESS",
)
