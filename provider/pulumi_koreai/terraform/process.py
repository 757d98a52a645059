"""The provider's configuration, the one client of this process, and what its calls know of each other's models."""

import os
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields
from random import Random
from typing import Any, Literal

from tf.schema import Attribute, Schema  # type: ignore[import-untyped] # it has no types, here and below
from tf.types import String, Unknown  # type: ignore[import-untyped]
from tf.utils import Diagnostics  # type: ignore[import-untyped]

from ..api.errors import ConfigError, SettingFault
from ..api.settings import About, Settings
from ..base.clock import wait_in_steps
from ..base.progress import Note, NoteKind, Progress, formatted
from ..core.rules import Record
from ..core.service import ClientFactory, Service, Witness
from ..journal import Journals, Trouble, journal_folder
from .schema import Number
from .terms import TERRAFORM

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
        left_alone: whether the model goes on as it was, for the creation that follows.
    """

    record: Record
    adopted: bool
    left_alone: bool = False


class ProviderProcess:
    """What all calls of this process share. Also the clock and the reporter of its service.

    Terraform has a process for the plan and another for the apply, in which it plans each thing again just before it
    is done, except for the deletion of an object that is not deposed. What the plan leaves unchanged is not in it.

    Attributes:
        service: what both front ends do with the platform.
        handed: what a deletion left to the creation, or the update, of the same model.
        came_up: the models that this process has brought to what is declared.
    """

    def __init__(
        self,
        client: ClientFactory | None = None,
        rng: Random | None = None,
        journals: Callable[[Callable[[Trouble], None]], Journals] | None = None,
        witness: Witness = lambda _: None,
    ) -> None:
        journal = journals(self._warn_of_the_journal).of("terraform") if journals else None
        self.service = Service(
            self._settings,
            clock=self,
            rng=rng or Random(),  # noqa: S311 - jitter
            reporter=self,
            interruption=Interrupted,
            client=client,
            journal=lambda _: journal,
            witness=witness,
            creates_first=False,
        )
        self.handed: dict[str, Handed] = {}
        self.came_up: set[str] = set()
        self._plans: defaultdict[str, set[Intent]] = defaultdict(set)
        self._in_hand: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._config: Mapping[str, Any] = {}

    def configure(self, config: Mapping[str, Any]) -> None:
        """Take the configuration of the provider's block.

        Raises:
            ConfigError: the host or the key is missing or wrong, as far as it is known yet.
        """
        self._config = config
        self.service.reconfigure()
        if Unknown not in config.values():
            self._settings()

    def _settings(self) -> Settings:
        if unknown := [name for name, value in self._config.items() if value is Unknown]:
            raise ConfigError(SettingFault(name, "not known before other resources are applied") for name in unknown)
        texts = {name: str(value) for name, value in self._config.items() if value is not None}
        return Settings.read(texts.get, os.environ.get)

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

    @contextmanager
    def in_hand(self, model_id: str, diagnostics: Diagnostics) -> Iterator[None]:
        """One call at a time for a model; what the core notes meanwhile are warnings of this call.

        An object under a new name is created and the one under the old name deleted in any order, or at once.
        """
        with self._lock:
            lock = self._in_hand[model_id]
        with lock:
            self.hear(diagnostics)
            yield

    def hear(self, diagnostics: Diagnostics) -> None:
        """From now on what the core notes in this call goes there."""
        _diagnostics.set(diagnostics)

    def stop(self) -> None:
        """End every wait, now and to come."""
        self._stop.set()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        if self._stop.wait(max(seconds, 0.0)):
            raise Interrupted

    def wait(self, done: threading.Event, seconds: float) -> bool:
        return wait_in_steps(self, done, seconds)

    def progress(self, progress: Progress) -> None:
        # Terraform has no place for it but its log: TF_LOG=info.
        print(f"[INFO] {formatted(progress)}", file=sys.stderr, flush=True)  # noqa: T201 - a provider's stderr is Terraform's log

    def _warn_of_the_journal(self, trouble: Trouble) -> None:
        _diagnostics.get().add_warning(TERRAFORM.journal_trouble(trouble))

    def note(self, note: Note) -> None:
        if note.kind is NoteKind.STARTED:  # no warning
            print(f"[INFO] {TERRAFORM.note(note)}", file=sys.stderr, flush=True)  # noqa: T201 - likewise
            return
        _diagnostics.get().add_warning(TERRAFORM.note(note))


def journals(tell: Callable[[Trouble], None]) -> Journals:
    """Those of the root module, whose folder is the working directory of Terraform and of its providers."""
    return Journals(journal_folder(os.environ.get), time.time, tell)


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
