"""The engine, asked what it knows: its version, its backend, the stacks of a project, their configuration and state.

What it is asked changes nothing. Its answers hold secrets, so they are read and never printed; the commands hold none.
"""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, TypeAdapter, ValidationError

from pulumi_koreai.api.messages import clean

_ANSWER_SECONDS: Final = 60.0
# The backend's URL may hold a password, and the engine names it where it can't be reached.
_LOGIN_IN_URL: Final = re.compile(r"://[^/\s]*@")


class EngineFailed(Exception):
    """The engine could not do what it was asked.

    Attributes:
        command: what it was asked, as typed.
        words: what it said, cleaned; what it did not do where it said nothing.
    """

    def __init__(self, command: str, words: str) -> None:
        self.command, self.words = command, words
        super().__init__(f'`{command}` failed: "{words}"')


class ConfigValue(BaseModel):
    """A value of a stack's configuration.

    Attributes:
        value: its text; None where it is a secret that is not decrypted.
        secret: whether it is stored encrypted.
    """

    value: str | None = None
    secret: bool = False


class Backend(BaseModel):
    """Where the engine keeps states, and who it is there.

    Attributes:
        url: as the engine has it; it may hold a password.
        user: who.
    """

    url: str = ""
    user: str = ""

    @property
    def place(self) -> str:
        """The URL without what may be a secret in it."""
        try:
            url = urlsplit(self.url)
            port = f":{url.port}" if url.port else ""
        except ValueError:
            return "a URL that can't be read"
        return f"{url.scheme}://{url.hostname or ''}{port}{url.path}"


class _Listed(BaseModel):
    name: str


@dataclass(frozen=True)
class ProjectEngine:
    """The engine of the PATH, at work on a project.

    Attributes:
        program: the engine.
        folder: where it works: in the project.
        environment: its environment.
    """

    program: Path
    folder: Path
    environment: Mapping[str, str]

    @classmethod
    def find(cls, folder: Path, environment: Mapping[str, str] | None = None) -> Self | None:
        """The engine; None where there is none on the PATH.

        Args:
            folder: where it is to work.
            environment: the variables; those of this process when not given.
        """
        variables = dict(os.environ if environment is None else environment)
        # As for `koreai up`: what is installed beside this program comes first.
        path = os.pathsep.join([sysconfig.get_path("scripts"), variables.get("PATH", os.defpath)])
        program = shutil.which("pulumi", path=path)
        if program is None:
            return None
        return cls(Path(program), folder, {**variables, "PATH": path, "PULUMI_SKIP_UPDATE_CHECK": "true"})

    def version(self) -> str:
        """Its version, as `3.274.1`.

        Raises:
            EngineFailed: it can't tell.
        """
        return clean(self._run("version").decode(errors="replace")).removeprefix("v")

    def backend(self) -> Backend:
        """Its backend.

        Raises:
            EngineFailed: it is not logged in, or the backend doesn't answer.
        """
        command = ("whoami", "--verbose", "--json")
        try:
            return Backend.model_validate_json(self._run(*command))
        except ValidationError:
            raise _unreadable(command) from None

    def selected(self) -> str:
        """The stack that is selected.

        Raises:
            EngineFailed: none is.
        """
        return clean(self._run("stack", "--show-name").decode(errors="replace"))

    def stacks(self) -> list[str]:
        """The stacks of the project.

        Raises:
            EngineFailed: they can't be listed.
        """
        command = ("stack", "ls", "--json")
        try:
            return [one.name for one in TypeAdapter(list[_Listed]).validate_json(self._run(*command))]
        except ValidationError:
            raise _unreadable(command) from None

    def config(self, stack: str, *, secrets: bool = True) -> dict[str, ConfigValue]:
        """The configuration of a stack.

        Args:
            stack: its name.
            secrets: whether they are decrypted.

        Raises:
            EngineFailed: there is no such stack, or its secrets can't be decrypted.
        """
        command = ("config", "--json", *(("--show-secrets",) if secrets else ()), "--stack", stack)
        try:
            return TypeAdapter(dict[str, ConfigValue]).validate_json(self._run(*command))
        except ValidationError:
            raise _unreadable(command) from None

    def state(self, stack: str) -> bytes:
        """The state of a stack; what is secret in it stays encrypted.

        Raises:
            EngineFailed: there is no such stack, or no way to its backend.
        """
        return self._run("stack", "export", "--stack", stack)

    def _run(self, *arguments: str) -> bytes:
        try:
            ended = subprocess.run(
                [str(self.program), *arguments, "--non-interactive", "--color", "never"],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_ANSWER_SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise EngineFailed(_typed(arguments), f"no answer within {_ANSWER_SECONDS:.0f} s") from None
        except OSError as error:
            raise EngineFailed(_typed(arguments), clean(error.strerror or type(error).__name__)) from error
        if ended.returncode:
            words = clean(_LOGIN_IN_URL.sub("://", ended.stderr.decode(errors="replace")))
            raise EngineFailed(_typed(arguments), words or f"exit status {ended.returncode}")
        return ended.stdout


def _typed(arguments: tuple[str, ...]) -> str:
    return clean(" ".join(["pulumi", *arguments]))


def _unreadable(arguments: tuple[str, ...]) -> EngineFailed:
    return EngineFailed(_typed(arguments), "an answer that is not of the form that is known here")
