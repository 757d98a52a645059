"""A project's requirements.txt: this package, from where it is to be had, and all that it needs, each pinned."""

import hashlib
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import Final, TypeAlias

from pydantic import BaseModel, ValidationError

_NAME: Final = "pulumi-koreai"
_WHEEL: Final = re.compile(r"pulumi_koreai-([\w.+!]+)-py3-none-any\.whl")
_GIT: Final = re.compile(r"git\+(?:https|ssh|file)://[^\s#;\\]+@[0-9a-f]{40}")
_PIP_TIMEOUT_SECONDS: Final = 60.0

REQUIREMENTS_FILE: Final = "requirements.txt"

HASHED: Final = " --require-hashes"
"""pip's option, for commands that install a file of hashes."""

WHEELS: Final = "wheels"
"""The folder of a project for a wheel that no index has."""


class PackageError(Exception):
    """`--package` names nothing that can be pinned; the message says what is wrong and what it may be."""


class NoHashError(Exception):
    """No index gave the hash of the package's file; the message is pip's, and an attacker's until it is cleaned."""


class _ArchiveInfo(BaseModel):
    hashes: dict[str, str]


class _DownloadInfo(BaseModel):
    archive_info: _ArchiveInfo


class _Installed(BaseModel):
    download_info: _DownloadInfo


class _PipReport(BaseModel):
    """What pip would install, as https://pip.pypa.io/en/stable/reference/installation-report/ has it."""

    install: list[_Installed]


HashOf: TypeAlias = Callable[[str], str]
"""The SHA-256 of the wheel that an index has for a requirement; raises `NoHashError`."""


@dataclass(frozen=True)
class Requirements:
    """A requirements.txt.

    Attributes:
        text: the file's text.
        hashed: each package has the hashes of its files, so that pip refuses any other.
        wheel: this package's wheel, which the project has to have in `WHEELS`.
        no_hash: why not, where an index was asked.
    """

    text: str
    hashed: bool
    wheel: Path | None = None
    no_hash: NoHashError | None = None


def requirements(package: str | None, extras: Sequence[str], hash_of: HashOf) -> Requirements:
    """What a project needs.

    Args:
        package: where this package is to be had: a wheel's file, or the address of a repository, `git+https://…@COMMIT`;
            None: this version, from the index that pip asks.
        extras: of this package.
        hash_of: asks the index.

    Raises:
        PackageError: it is neither.
    """
    extra = f"[{','.join(extras)}]" if extras else ""
    if package is None:
        pinned = f"{_NAME}{extra}=={version(_NAME)}"
        try:
            return Requirements(_text(_hashed(pinned, hash_of(f"{_NAME}=={version(_NAME)}")), extras), hashed=True)
        except NoHashError as error:
            return Requirements(_text(pinned, extras, hashed=False), hashed=False, no_hash=error)
    if package.startswith("git+"):
        if not _GIT.fullmatch(package):
            raise PackageError("a git address ends with its commit, `git+https://…@COMMIT`, in 40 hexadecimal digits.")
        return Requirements(_text(f"{_NAME}{extra} @ {package}", extras, hashed=False), hashed=False)
    wheel = Path(package)
    if not (named := _WHEEL.fullmatch(wheel.name)):
        raise PackageError("expected a wheel's file, pulumi_koreai-….whl, or a git address, `git+https://…@COMMIT`.")
    if named[1] != version(_NAME):
        raise PackageError(
            f"it has version {named[1]}, and this `koreai` knows what {version(_NAME)} needs. Install that wheel, then"
            " run its `koreai init`."
        )
    try:
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    except OSError as error:
        raise PackageError(f"the wheel can't be read: {error.strerror}.") from None
    return Requirements(_text(_hashed(f"./{WHEELS}/{wheel.name}{extra}", digest), extras), hashed=True, wheel=wheel)


def ask_index(requirement: str) -> str:
    """The SHA-256 of the wheel that pip would install, from the index that it is configured for.

    Raises:
        NoHashError: pip can't be run, or has no answer.
    """
    options = ("--dry-run", "--ignore-installed", "--no-deps", "--only-binary=:all:", "--no-input", "--retries=1")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *options]
    try:
        ended = subprocess.run(
            [*command, "--timeout=10", "--report=-", requirement],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PIP_TIMEOUT_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        raise NoHashError("pip gave no answer") from None
    if ended.returncode:
        raise NoHashError(ended.stderr.strip().rpartition("\n")[2])
    try:
        (found,) = _PipReport.model_validate_json(ended.stdout).install
        return found.download_info.archive_info.hashes["sha256"]
    except (ValidationError, ValueError, KeyError):
        raise NoHashError("pip gave no hash") from None


def _hashed(requirement: str, digest: str) -> str:
    return f"{requirement} \\\n    --hash=sha256:{digest}"


def _text(package: str, extras: Sequence[str], *, hashed: bool = True) -> str:
    folder = files(__package__) / "project" / "requirements"
    others = [(folder / f"{part}.txt").read_text(encoding="utf-8") for part in ("runtime", *sorted(extras))]
    pins = "".join(others)
    if not hashed:  # pip takes hashes of all, or of none
        pins = re.sub(r" \\(\n    --hash=\S+( \\)?)+", "", pins)
    what = "every package, pinned" + (" with the hashes of its files" if hashed else "")
    return (
        f"# What this project runs with: {what}. To install it:\n#\n"
        f"#   .venv/bin/pip install{HASHED if hashed else ''} -r {REQUIREMENTS_FILE}\n#\n"
        "# For another version of pulumi-koreai: its `koreai init`, in an empty folder, writes this file for it.\n"
        f"{package}\n\n{pins}"
    )
