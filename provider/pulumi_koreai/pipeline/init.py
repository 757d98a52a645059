"""`koreai init`: the files of a project, out of the templates in `project/`. What is there stays as it is.

In a template `%{name}` stands for a value, as GitHub's workflows have their own use for `$`.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path, PurePosixPath
from string import Template
from typing import Final, Literal

from pulumi_koreai.pipeline.requirements import (
    HASHED,
    REQUIREMENTS_FILE,
    WHEELS,
    HashOf,
    NoHashError,
    ask_index,
    requirements,
)
from pulumi_koreai.stackfile import schema
from pulumi_koreai.stackfile.yamlfile import NotYaml, YamlFile

CiSystem = Literal["github", "gitlab", "none"]

DEV_STACK: Final = "dev"
"""The stack that is for the emulator."""

_NAME: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]{1,100}")
_SAFE_PATH: Final = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_./-]*")
_READ_AS_TEXT: Final = re.compile(r"(?!(?i:true|false|yes|no|on|off|null|y|n|nan)$)[A-Za-z][A-Za-z0-9_-]*")
_PROJECT_FILE: Final = "Pulumi.yaml"
_HOST: Final = "pulumi-python"
_GITHUB: Final = {
    "github/action.yml": ".github/actions/koreai/action.yml",
    **{f"github/{name}.yml": f".github/workflows/{name}.yml" for name in ("preview", "up", "drift")},
}
_POLICY: Final = ("PulumiPolicy.yaml", "__main__.py", "README.md", "example.json")


class NameRefusedError(Exception):
    """A name can't be that of a project or a stack; the message says whose, and what it may have."""


class InitError(Exception):
    """The project can't be written; the message says why, and what to do."""


@dataclass(frozen=True)
class NewProject:
    """What is asked for.

    Attributes:
        folder: the project's; it is made where there is none.
        name: of the project; None: the folder's.
        stack: the first one; `DEV_STACK` has two models on the emulator.
        ci: whose pipelines are written.
        policy: whether the policy pack is written.
        package: where this package is to be had, as `requirements` takes it.
        hash_of: asks the index for a wheel's hash.
    """

    folder: Path
    name: str | None = None
    stack: str = DEV_STACK
    ci: CiSystem = "none"
    policy: bool = False
    package: str | None = None
    hash_of: HashOf = ask_index


@dataclass(frozen=True)
class KeptFile:
    """A file that was there, and has another content than it would have got.

    Attributes:
        path: from the project's folder.
        text: what it would have got; "" for a wheel.
    """

    path: str
    text: str


@dataclass(frozen=True)
class InitOutcome:
    """What has come of it. Paths are those from the project's folder.

    Attributes:
        stack: its name.
        written: the files that were written.
        kept: those that were there and differ.
        host: the lines that the project's own `Pulumi.yaml` lacks; "" where it names the host.
        no_hash: why requirements.txt has no hashes, where an index was asked for one.
        hashed: requirements.txt was written with hashes.
    """

    stack: str
    written: list[str] = field(default_factory=list)
    kept: list[KeptFile] = field(default_factory=list)
    host: str = ""
    no_hash: NoHashError | None = None
    hashed: bool = True


@dataclass(frozen=True)
class _Existing:
    """What a project that is there says of itself."""

    venv: str = ".venv"
    stack_folder: str = "stacks"
    program: str | None = "__main__.py"
    names_host: bool = True
    names_venv: bool = True


class _Text(Template):
    delimiter = "%"


def init_project(new: NewProject) -> InitOutcome:
    """Write the files of a project that are not there.

    Raises:
        NameRefusedError: a name can't be one.
        InitError: the folder is another language's project, or a file can't be read or written.
        PackageError: `package` can't be pinned.
    """
    stack_file = f"Pulumi.{new.stack.rpartition('/')[2]}.yaml"
    parts = new.stack.split("/")  # of an organisation and a project, where it is theirs
    if len(parts) > 3 or not all(map(_NAME.fullmatch, parts)):
        raise NameRefusedError("--stack: a stack's name has letters, digits, `_`, `.` and `-`, 100 at most.")
    folder = new.folder.absolute()
    name = new.name if new.name is not None else re.sub(r"[^A-Za-z0-9_.-]", "-", folder.resolve().name)[:100]
    if not _NAME.fullmatch(name):
        raise NameRefusedError("--name: a project's name has letters, digits, `_`, `.` and `-`, 100 at most.")
    existing = _existing(folder)
    extras = [*(["emulator"] if new.stack == DEV_STACK else []), *(["policy"] if new.policy else [])]
    pinned = requirements(new.package, extras, new.hash_of)
    stacks = PurePosixPath(existing.stack_folder)
    values = {
        "name": name,
        "yaml_name": name if _READ_AS_TEXT.fullmatch(name) else json.dumps(name),
        "stack": new.stack,
        "stack_file": str(stacks / stack_file),
        "stack_files": str(stacks / "Pulumi.*.yaml"),
        "venv": existing.venv,
        "hashes": HASHED if pinned.hashed else "",
        # No key gets to files that nobody can check because an index was away for a moment.
        "demanded": "" if new.package and not pinned.hashed else HASHED,
    }
    host = ""
    if (folder / _PROJECT_FILE).exists() and not (existing.names_host and existing.names_venv):
        host = _host_lines(_render(_PROJECT_FILE, values), existing)
    outcome = InitOutcome(new.stack, host=host, no_hash=pinned.no_hash, hashed=pinned.hashed)
    for path, text in _files(new, existing, values, pinned.text):
        _write(folder, path, text.encode(), outcome, text)
    if pinned.wheel is not None:
        _write(folder, f"{WHEELS}/{pinned.wheel.name}", pinned.wheel.read_bytes(), outcome)
    return outcome


def _files(new: NewProject, existing: _Existing, values: Mapping[str, str], pinned: str) -> Iterator[tuple[str, str]]:
    """Each file's path and text."""
    yield _PROJECT_FILE, _render(_PROJECT_FILE, values)
    if existing.program:
        yield existing.program, _render("__main__.py", values)
    yield REQUIREMENTS_FILE, pinned
    yield values["stack_file"], _render("dev.yaml" if new.stack == DEV_STACK else "stack.yaml", values)
    yield str(PurePosixPath(existing.stack_folder) / "schema.json"), schema.text()
    yield ".gitignore", _render("gitignore", values)
    yield "CODEOWNERS", _render("CODEOWNERS", values)
    more = _render(f"{new.ci}/README.md", values) if new.ci != "none" else ""
    yield "README.md", _render("README.md", values) + more
    for name in _POLICY if new.policy else ():
        yield f"policy/{name}", _template(f"policy/{name}")
    if new.ci == "github":
        yield from ((path, _render(name, values)) for name, path in _GITHUB.items())
    if new.ci == "gitlab":
        yield ".gitlab-ci.yml", _render("gitlab/gitlab-ci.yml", values)


def _template(name: str) -> str:
    return (files(__package__) / "project" / f"{name}.in").read_text(encoding="utf-8")


def _render(name: str, values: Mapping[str, str]) -> str:
    return _Text(_template(name)).substitute(values)


def _write(folder: Path, path: str, content: bytes, outcome: InitOutcome, text: str = "") -> None:
    """Write a file that is not there.

    Args:
        folder: the project's.
        path: the file's, from there.
        content: what it gets.
        outcome: learns of it.
        text: the content, where it is one.

    Raises:
        InitError: it can't be written, or one that is there can't be read.
    """
    target = folder / path
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InitError(
            f"{path}: its folder can't be made: {error.strerror}. Make room for it and run this again."
        ) from None
    try:
        with target.open("xb") as file:  # not even one that somebody writes at this moment is overwritten
            file.write(content)
        outcome.written.append(path)
    except FileExistsError:
        if _content(target) != content:
            outcome.kept.append(KeptFile(path, text))
    except OSError as error:
        raise InitError(f"{path}: can't be written: {error.strerror}. What was written stays; run it again.") from None


def _content(path: Path) -> bytes | None:
    """What a file has; None where it is none, or can't be read: it is in the way, whatever it has."""
    try:
        return path.read_bytes()
    except OSError:
        return None


def _existing(folder: Path) -> _Existing:
    """The project that is in a folder, or the one that is to come.

    Raises:
        InitError: its file can't be read, or it is in another language.
    """
    try:
        data = YamlFile.read((folder / _PROJECT_FILE).read_bytes()).data
    except FileNotFoundError:
        return _Existing()
    except OSError as error:
        raise InitError(f"{_PROJECT_FILE}: can't be read: {error.strerror}.") from None
    except NotYaml as error:
        raise InitError(
            f"{_PROJECT_FILE}:{error.place.line}:{error.place.column}: this is not YAML. Correct it."
        ) from None
    project = _mapping(data)
    runtime = project.get("runtime")
    language = _mapping(runtime).get("name", runtime)
    if language != "python":
        raise InitError(f"{_PROJECT_FILE}: this project's language is not Python. Choose another folder.")
    options = _mapping(_mapping(runtime).get("options"))
    venv = _inside(options.get("virtualenv", ".venv"))
    providers = _mapping(project.get("plugins")).get("providers")
    host = [
        _mapping(one).get("path")
        for one in (providers if isinstance(providers, list) else [])
        if _mapping(one).get("name") == _HOST
    ]
    return _Existing(
        venv=venv or ".venv",
        stack_folder=_inside(project.get("stackConfigDir", ".")) or ".",
        program=_program(project.get("main", ".")),
        names_host=host == [f"{venv or '.venv'}/libexec/koreai"],
        names_venv="virtualenv" in options or "toolchain" in options,
    )


def _program(main: object) -> str | None:
    """Where the program of a project with this `main` is; None where nothing is to be written."""
    inside = _inside(main)
    if inside is None:
        return None
    return inside if inside.endswith(".py") else str(PurePosixPath(inside) / "__main__.py")


def _inside(path: object) -> str | None:
    """A path below the project, of letters that mean nothing to a shell; None where it is another."""
    if not isinstance(path, str) or not _SAFE_PATH.fullmatch(path):
        return None
    pure = PurePosixPath(path)
    return None if ".." in pure.parts else str(pure)


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _host_lines(project: str, existing: _Existing) -> str:
    """The blocks of the template that this project's file lacks."""
    wanted = {"plugins": not existing.names_host, "runtime": not existing.names_venv}
    blocks = re.split(r"^(?=\S)", project, flags=re.MULTILINE)
    return "".join(block for block in blocks if wanted.get(block.partition(":")[0]))
