"""Where the platform is, with which key, and how fast it may be asked.

The fields of `Settings` are the one list of settings: what each is for, its range and its environment variable stand
beside it. What a user writes for a field (`koreai:host`, `host`) is the front end's.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import urlsplit

from .errors import ConfigError, Remedy, SettingFault

HOST_ENV: Final = "KOREAI_HOST"
API_KEY_ENV: Final = "KOREAI_API_KEY"


@dataclass(frozen=True)
class About:
    """What there is to say of a setting.

    Attributes:
        description: what it is for.
        environment: the variable that is read where the configuration has nothing; "" when there is none.
        limits: the least and the greatest number that it takes; None when it takes no number.
    """

    description: str
    environment: str = ""
    limits: tuple[float, float] | None = None

    @classmethod
    def metadata(cls, description: str, **facts: Any) -> dict[str, "About"]:
        """As a dataclass's field carries it."""
        return {"about": cls(description, **facts)}


@dataclass(frozen=True)
class Settings:
    """What a client needs to know. `host` has no slash at its end; `api_key` is in no `repr`."""

    host: str = field(
        metadata=About.metadata("The platform's URL; plain http only for this machine.", environment=HOST_ENV)
    )
    api_key: str = field(repr=False, metadata=About.metadata("The key of an API app.", environment=API_KEY_ENV))
    requests_per_minute: int = field(
        default=60,
        metadata=About.metadata(
            "The account's limit of requests per minute; 30 times as many per hour.", limits=(1, 1_000_000)
        ),
    )
    poll_min_seconds: float = field(
        default=1.0,
        metadata=About.metadata("The shortest pause between two polls of a job, in seconds.", limits=(0.01, 3600)),
    )
    poll_max_seconds: float = field(
        default=60.0,
        metadata=About.metadata("The longest pause between two polls of a job, in seconds.", limits=(0.01, 3600)),
    )
    answer_max_seconds: float = field(
        default=3600.0,
        metadata=About.metadata(
            "The longest wait for the answer to one request, in seconds. The operation's timeout bounds it too.",
            limits=(10, 86400),
        ),
    )

    @classmethod
    def about(cls) -> dict[str, About]:
        """What there is to say of each setting, by the field's name."""
        return {setting.name: setting.metadata["about"] for setting in fields(cls)}

    @classmethod
    def read(
        cls, config: Callable[[str], str | None], environment: Callable[[str], str | None] = lambda _: None
    ) -> "Settings":
        """Read the configuration, then the environment.

        Args:
            config: the text of a setting, by the field's name; None where it is not set.
            environment: the text of a variable.

        Raises:
            ConfigError: with every setting that is missing or wrong.
        """
        about = cls.about()
        faults: list[SettingFault] = []

        def text(name: str) -> str:
            variable = about[name].environment
            return (config(name) or (environment(variable) if variable else None) or "").strip()

        def number(name: str) -> float | None:
            raw, limits = config(name), about[name].limits
            if limits is None or raw is None or not raw.strip():
                return None
            try:
                value = float(raw)
            except ValueError:
                value = float("nan")
            low, high = limits
            if low <= value <= high:
                return value
            faults.append(SettingFault(name, f"got {raw!r}; expected a number from {low:.12g} to {high:.12g}"))
            return None

        host, api_key = text("host"), text("api_key")
        if not host:
            faults.append(SettingFault("host", "not set", Remedy.SET_HOST))
        elif problem := _host_problem(host):
            faults.append(SettingFault("host", problem))
        if not api_key:
            faults.append(SettingFault("api_key", "not set", Remedy.SET_KEY))
        elif not re.fullmatch(r"[\x21-\x7e]+", api_key):
            faults.append(SettingFault("api_key", "holds a character that no header can carry (it is not shown here)"))
        per_minute = number("requests_per_minute")
        poll_min, poll_max = number("poll_min_seconds"), number("poll_max_seconds")
        answer_max = number("answer_max_seconds")
        shortest = cls.poll_min_seconds if poll_min is None else poll_min
        longest = max(cls.poll_max_seconds, shortest) if poll_max is None else poll_max
        if shortest > longest:
            faults.append(
                SettingFault("poll_max_seconds", f"got {longest:g}; expected at least {shortest:g}, the shortest pause")
                if poll_min is None
                else SettingFault(
                    "poll_min_seconds", f"got {shortest:g}; expected at most {longest:g}, the longest pause"
                )
            )
        if faults:
            raise ConfigError(faults)
        return cls(
            host.rstrip("/"),
            api_key,
            int(per_minute or cls.requests_per_minute),
            shortest,
            longest,
            answer_max or cls.answer_max_seconds,
        )


def is_loopback(host: str) -> bool:
    """Whether the URL `host` names this machine."""
    name = urlsplit(host).hostname or ""
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"


def _host_problem(host: str) -> str:
    if "@" in host:
        return "a user name or a password in the URL is not supported (it is not shown here)"
    try:
        url = urlsplit(host)
        _ = url.port
    except ValueError as error:
        return f"got {host!r}; expected a URL ({error})"
    if url.scheme not in ("http", "https") or not url.hostname or re.search(r"[\s\x00-\x1f\x7f]", host):
        return f"got {host!r}; expected a URL such as https://ai-for-process.example.com"
    if url.path.strip("/") or "?" in host or "#" in host:
        return f"got {host!r}; expected a URL without a path or a query"
    if url.scheme == "http" and not is_loopback(host):
        return f"got {host!r}, which would send the key unencrypted; expected https, or http to this machine"
    return ""
