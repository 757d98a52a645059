"""Where the platform is, with which key, and how fast it may be asked."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from .errors import ConfigError

HOST_ENV: Final = "KOREAI_HOST"
API_KEY_ENV: Final = "KOREAI_API_KEY"


@dataclass(frozen=True)
class Settings:
    """What a client needs to know.

    Attributes:
        host: the platform's base URL, without a slash at its end.
        api_key: the key of an API app; in no `repr`.
        requests_per_minute: the account's limit for design-time calls, and each job's for status calls. Published:
            60.
        poll_min_seconds: the shortest pause between two looks at one job.
        poll_max_seconds: the longest.
    """

    host: str
    api_key: str = field(repr=False)
    requests_per_minute: int = 60
    poll_min_seconds: float = 1.0
    poll_max_seconds: float = 60.0

    @classmethod
    def read(
        cls, config: Callable[[str], str | None], environment: Callable[[str], str | None] = lambda _: None
    ) -> "Settings":
        """Read the stack's configuration (`koreai:host`, `koreai:apiKey`, …), then the environment.

        Raises:
            ConfigError: listing all that is missing or wrong.
        """
        faults: list[str] = []
        host = (config("koreai:host") or environment(HOST_ENV) or "").strip()
        api_key = (config("koreai:apiKey") or environment(API_KEY_ENV) or "").strip()
        if not host:
            faults.append(
                f"koreai:host is not set. Set the platform's URL with `pulumi config set koreai:host https://…`"
                f" or in the environment as {HOST_ENV}."
            )
        elif fault := _host_fault(host):
            faults.append(f"koreai:host: {fault}")
        if not api_key:
            faults.append(
                "koreai:apiKey is not set. Set it with `pulumi config set --secret koreai:apiKey`"
                f" or in the environment as {API_KEY_ENV}."
            )
        elif not re.fullmatch(r"[\x21-\x7e]+", api_key):
            faults.append("koreai:apiKey holds a character that can't be sent in a header (it is not shown here).")

        def number(key: str, default: float, low: float, high: float) -> float:
            given = config(key)
            if given is None or not given.strip():
                return default
            try:
                value = float(given)
            except ValueError:
                value = float("nan")
            if not low <= value <= high:
                faults.append(f"{key}: {given!r} given; allowed: a number from {low:g} to {high:g}")
                return default
            return value

        per_minute = number("koreai:requestsPerMinute", cls.requests_per_minute, 1, 1_000_000)
        poll_min = number("koreai:pollMinSeconds", cls.poll_min_seconds, 0.01, 3600)
        poll_max = number("koreai:pollMaxSeconds", max(cls.poll_max_seconds, poll_min), 0.01, 3600)
        if poll_min > poll_max:
            faults.append(f"koreai:pollMinSeconds ({poll_min:g}) is above koreai:pollMaxSeconds ({poll_max:g}).")
        if faults:
            raise ConfigError("\n".join(faults))
        return cls(host.rstrip("/"), api_key, int(per_minute), poll_min, poll_max)


def is_loopback(host: str) -> bool:
    """Whether the URL `host` names this machine."""
    name = urlsplit(host).hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _host_fault(host: str) -> str:
    if "@" in host:
        return "a user name or a password in the URL is not supported (it is not shown here)."
    try:
        url = urlsplit(host)
        _ = url.port
    except ValueError as error:
        return f"{host!r} is not a URL ({error})."
    if url.scheme not in ("http", "https") or not url.hostname or re.search(r"[\s\x00-\x1f\x7f]", host):
        return f"{host!r} given; allowed: a URL such as https://ai-for-process.example.com"
    if url.path.strip("/") or "?" in host or "#" in host:
        return f"{host!r} given; allowed: a URL without a path or a query"
    if url.scheme == "http" and not is_loopback(host):
        return f"{host!r} would send the key unencrypted; plain http is for this machine only. Use https."
    return ""
