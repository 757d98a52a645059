"""The core speaks of Pulumi's commands and keys: what a user reads here is in Terraform's words."""

import re
from typing import Final

_WORDS: Final = {
    "Set the platform's URL with `pulumi config set koreai:host https://…` or": "Set it in the provider's block or",
    "Set it with `pulumi config set --secret koreai:apiKey` or": "Set it in the provider's block or, better,",
    "`pulumi up`": "`terraform apply`",
    "koreai:host": "host",
    "koreai:apiKey": "api_key",
    "koreai:requestsPerMinute": "requests_per_minute",
    "koreai:pollMinSeconds": "poll_min_seconds",
    "koreai:pollMaxSeconds": "poll_max_seconds",
    " The engine's `customTimeouts`.": "",
    "(`timeouts` in the stack's file, `custom_timeouts` in a program)": "(`timeouts`)",
}
_PATTERN: Final = re.compile("|".join(map(re.escape, _WORDS)))


def terraform(text: str) -> str:
    """The text with Terraform's names for what has a name in both."""
    return _PATTERN.sub(lambda found: _WORDS[found[0]], text)
