"""Pulumi's commands, and the configuration's keys as a stack's file has them."""

from typing import Final

from ..api.settings import API_KEY_ENV, HOST_ENV
from ..core.renderer import Renderer

PULUMI: Final = Renderer(
    apply="pulumi up",
    settings={
        "host": "koreai:host",
        "api_key": "koreai:apiKey",
        "requests_per_minute": "koreai:requestsPerMinute",
        "poll_min_seconds": "koreai:pollMinSeconds",
        "poll_max_seconds": "koreai:pollMaxSeconds",
        "answer_max_seconds": "koreai:answerMaxSeconds",
    },
    how_to_set={
        "host": f"Set it with `pulumi config set koreai:host https://…` or in {HOST_ENV}",
        "api_key": f"Set it with `pulumi config set --secret koreai:apiKey` or in {API_KEY_ENV}",
    },
    timeouts="`timeouts` in the stack's file, `custom_timeouts` in a program",
    forget="pulumi state delete URN",
)
