"""The core speaks of Pulumi's commands and keys: what a user reads here is in Terraform's words."""

import re
from typing import Final

_WORDS: Final = {
    "`pulumi up`": "`terraform apply`",
    "koreai:host": "host",
    "koreai:apiKey": "api_key",
    "koreai:requestsPerMinute": "requests_per_minute",
    "(`timeouts` in the stack's file, `custom_timeouts` in a program)": "(`timeouts`)",
}
_PATTERN: Final = re.compile("|".join(map(re.escape, _WORDS)))


def terraform(text: str) -> str:
    """The text with Terraform's names for what has a name in both."""
    return _PATTERN.sub(lambda found: _WORDS[found[0]], text)
