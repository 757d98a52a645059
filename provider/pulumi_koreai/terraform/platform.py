"""The provider's configuration, the one client of this process, and what its calls know of each other's models."""

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from random import Random
from typing import TYPE_CHECKING, Any, Literal

from tf.schema import Attribute, Schema  # type: ignore[import-untyped] # it has no types, here and below
from tf.types import String, Unknown  # type: ignore[import-untyped]
from tf.utils import Diagnostics  # type: ignore[import-untyped]

from ..api.errors import ConfigError, SettingFault
from ..api.settings import About, Settings
from ..core.lifecycle import Lifecycle, Record
from .schema import Number
from .terms import TERRAFORM
from .words import terraform

if TYPE_CHECKING:
    from ..api.client import Client

_diagnostics: ContextVar[Diagnostics] = ContextVar("diagnostics")


class Interrupted(BaseException):
    """Terraform asked to stop (Ctrl-C), or is gone. Not an `Exception`: no retry swallows it."""


Intent = Literal["declared", "unchanged", "deleted"]
"""What a plan means for a model: a resource has it, and maybe nothing is to be done; an object with it is deleted."""


@dataclass(frozen=True)
class Handed:
    """What the deletion of an object leaves to the call that follows for the same model.

    Attributes:
        record: what was recorded of the model.
        adopted: whether `adopt` was true before, and so counts no more.
    """

    record: Record
    adopted: bool


class Platform:
    """What all calls of this process share. Also the clock and the reporter of the core.

    Terraform has a process for the plan and another for the apply, in which it plans each thing again just before it
    is done, except for the deletion of an object that is not deposed. What the plan leaves unchanged is not in it.

    Attributes:
        handed: what a deletion left to the creation, or the update, of the same model.
        sent: the models that this process has brought to what is declared by a job of its own.
    """

    def __init__(self) -> None:
        self.handed: dict[str, Handed] = {}
        self.sent: set[str] = set()
        self._plans: defaultdict[str, set[Intent]] = defaultdict(set)
        self._in_hand: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._rng = Random()  # noqa: S311 - jitter
        self._config: Mapping[str, Any] = {}
        self._client: Client | None = None

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take the configuration of the provider's block.

        Raises:
            ConfigError: the host or the key is missing or wrong, as far as it is known yet.
        """
        self._config, self._client = config, None
        if Unknown not in config.values():
            self._settings()

    def _settings(self) -> Settings:
        if unknown := [name for name, value in self._config.items() if value is Unknown]:
            raise ConfigError(SettingFault(name, "not known before other resources are applied") for name in unknown)
        texts = {name: str(value) for name, value in self._config.items() if value is not None}
        try:
            return Settings.read(texts.get, os.environ.get)
        except ConfigError as error:
            raise TERRAFORM.config_error(error) from None

    def plans(self, model_id: str) -> frozenset[Intent]:
        """What the plans made in this process mean for a model."""
        with self._lock:
            return frozenset(self._plans[model_id])

    def intend(self, model_id: str, intent: Intent) -> frozenset[Intent]:
        """Note what a plan means for a model. The answer: what those before it mean."""
        with self._lock:
            before = frozenset(self._plans[model_id])
            self._plans[model_id].add(intent)
            return before

    def lifecycle(self, model_id: str, record: Record | None) -> Lifecycle:
        """The rules for one model, for the length of one call."""
        from ..api.client import Client  # noqa: PLC0415 - only when it is needed: see pulumi_koreai.api

        with self._lock:
            if self._client is None:
                self._client = Client(self._settings(), self, self._rng, self)
        return Lifecycle(self._client, model_id, record, clock=self, rng=self._rng, reporter=self)

    @contextmanager
    def in_hand(self, model_id: str, diagnostics: Diagnostics) -> Iterator[None]:
        """One call at a time for a model; what the core notes meanwhile are warnings of this call.

        An object under a new name is created and the one under the old name deleted in any order, or at once.
        """
        with self._lock:
            lock = self._in_hand[model_id]
        with lock:
            _diagnostics.set(diagnostics)
            yield

    def stop(self) -> None:
        """End every wait, now and to come."""
        self._stop.set()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._stop.wait(max(seconds, 0.0)):
            raise Interrupted

    def progress(self, text: str) -> None:
        # Terraform has no place for it but its log: TF_LOG=info.
        print(f"[INFO] {text}", file=sys.stderr, flush=True)  # noqa: T201 - a provider's stderr is Terraform's log

    def note(self, text: str) -> None:
        _diagnostics.get().add_warning(terraform(text))


def provider_schema() -> Schema:
    """The schema of the provider's block: the settings."""
    about = Settings.about()
    return Schema(
        attributes=[
            Attribute(
                TERRAFORM.settings[field.name],
                String() if about[field.name].limits is None else Number(),
                description=_description(field.name, about[field.name]),
                optional=True,
                sensitive=not field.repr,
            )
            for field in fields(Settings)
        ]
    )


def _description(name: str, about: About) -> str:
    says = [about.description]
    if about.environment:
        says.append(f"In the environment: {about.environment}.")
    if about.limits:
        low, high = about.limits
        says += [f"Allowed: a number from {low:.12g} to {high:.12g}.", f"Default: {getattr(Settings, name):g}."]
    return " ".join(says)
