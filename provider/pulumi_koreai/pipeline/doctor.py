"""`koreai doctor`: what a deployment needs, looked at one by one. Changes nothing, here or on the platform."""

import platform
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from pulumi_koreai.api.errors import (
    AbsenceInDoubt,
    ApiError,
    ConfigError,
    Forbidden,
    ForeignAnswer,
    NotFound,
    RateLimited,
    Unauthorized,
    WrongJob,
)
from pulumi_koreai.api.settings import API_KEY_ENV, Settings
from pulumi_koreai.base.clock import Clock, SystemClock
from pulumi_koreai.journal import Journals, Trouble, journal_folder
from pulumi_koreai.pipeline.diagnosis import Detail, DoctorFinding
from pulumi_koreai.pipeline.project_engine import EngineFailed, ProjectEngine
from pulumi_koreai.pipeline.stack_settings import ConfiguredSettings, OpenClient, open_client
from pulumi_koreai.stackfile.project import short_name
from pulumi_koreai.stackfile.terms import PULUMI
from pulumi_koreai.stackfile.yamlfile import NotYaml, YamlFile

if TYPE_CHECKING:
    from pulumi_koreai.api.client import Client

ENGINE_OLDEST: Final = (3, 220)
"""The oldest engine that works."""
ENGINE_TESTED: Final = (3, 274)
"""The newest one that the tests run with."""

_PROJECT_FILES: Final = ("Pulumi.yaml", "Pulumi.yml")
_HOST: Final = "pulumi-resource-pulumi-python"
_PLUGIN: Final = "pulumi-python"
# What this package's host has in it, and no other.
_OWN: Final = b"pulumi_koreai"
_HOST_READ_BYTES: Final = 1 << 12
_ANSWER_SECONDS: Final = 20.0
_OF_THE_ID: Final = (400, 422)
# The platform has no job of this id.
_NO_JOB, _NO_MODEL = "ds-00000000-0000-0000-0000-000000000000", "cm-00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True)
class _Project:
    root: Path
    data: Mapping[str, object]

    @property
    def name(self) -> str:
        return str(self.data.get("name", ""))


def diagnose(
    folder: Path,
    environment: Mapping[str, str],
    stack: str | None = None,
    *,
    client: OpenClient | None = None,
    clock: Clock | None = None,
) -> list[DoctorFinding]:
    """Look at all of it; what is missing for one thing is no reason not to look at the others.

    Args:
        folder: the working directory.
        environment: the variables.
        stack: the stack; the one that is selected when not given.
        client: opens a client; the real one when not given.
        clock: time; the machine's when not given.
    """
    clock = clock or SystemClock()
    engine = ProjectEngine.find(folder, environment)
    found = [_engine(engine)]
    project, of_project = _project(folder)
    found += [_python(project), of_project]
    if project:
        found.append(_host(project))
    stack_settings = ConfiguredSettings({}, environment)
    if engine and project:
        found.append(_backend(engine))
        stack, stack_settings, of_stack = _stack(engine, stack)
        found += of_stack
    settings, of_settings = _settings(stack_settings)
    found += of_settings
    if settings:
        found += _platform(open_client(settings, clock, client), clock)
    else:
        found.append(DoctorFinding(Detail.NOT_LOOKED_AT))
    found += _journal(environment, f"{project.name if project else ''}.{short_name(stack or '')}")
    return found


def _engine(engine: ProjectEngine | None) -> DoctorFinding:
    if engine is None:
        return DoctorFinding(Detail.ENGINE_MISSING)
    facts = {"path": str(engine.program)}
    try:
        facts["version"] = engine.version()
    except EngineFailed as failure:
        return DoctorFinding(Detail.ENGINE_BROKEN, {**facts, "words": failure.words})
    numbers = re.match(r"(\d+)\.(\d+)\.", facts["version"])
    if numbers is None:
        return DoctorFinding(Detail.ENGINE_BROKEN, {**facts, "words": facts["version"]})
    release = int(numbers[1]), int(numbers[2])
    if release < ENGINE_OLDEST:
        return DoctorFinding(Detail.ENGINE_OLD, {**facts, "oldest": _dotted(ENGINE_OLDEST)})
    if release > ENGINE_TESTED:
        return DoctorFinding(Detail.ENGINE_NEWER, {**facts, "tested": _dotted(ENGINE_TESTED)})
    return DoctorFinding(Detail.ENGINE_FOUND, facts)


def _dotted(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"


def _project(folder: Path) -> tuple[_Project | None, DoctorFinding]:
    """The project that the engine finds from a folder: in it, or above it."""
    here = folder.absolute()
    files = (above / name for above in (here, *here.parents) for name in _PROJECT_FILES)
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        return None, DoctorFinding(Detail.PROJECT_MISSING, {"path": str(here)})
    try:
        data = YamlFile.read(file.read_bytes()).data
    except OSError as error:
        return None, _unreadable(file, error.strerror or type(error).__name__)
    except NotYaml as error:
        return None, _unreadable(file, f"line {error.place.line}: {error.reason}")
    if not isinstance(data, dict):
        return None, _unreadable(file, "it is not a map")
    project = _Project(file.parent, data)
    return project, DoctorFinding(Detail.PROJECT_FOUND, {"name": project.name, "path": str(file)})


def _unreadable(file: Path, words: str) -> DoctorFinding:
    return DoctorFinding(Detail.PROJECT_UNREADABLE, {"path": str(file), "words": words})


def _python(project: _Project | None) -> DoctorFinding:
    facts = {
        "version": platform.python_version(),
        "path": sys.executable,
        "package": version("pulumi-koreai"),
        "sdk": version("pulumi"),
    }
    runtime = project.data.get("runtime") if project else None
    options = runtime.get("options") if isinstance(runtime, dict) else None
    named = options.get("virtualenv") if isinstance(options, dict) else None
    if project is None or not isinstance(named, str):
        return DoctorFinding(Detail.PYTHON_FOUND, facts)
    virtualenv = project.root / named
    if not virtualenv.is_dir():
        return DoctorFinding(Detail.VIRTUALENV_MISSING, {**facts, "virtualenv": str(virtualenv)})
    if virtualenv.resolve() != Path(sys.prefix).resolve():
        return DoctorFinding(Detail.PYTHON_OF_ANOTHER, {**facts, "virtualenv": str(virtualenv)})
    return DoctorFinding(Detail.PYTHON_FOUND, facts)


def _host(project: _Project) -> DoctorFinding:
    """Which program serves dynamic resources in the project."""
    named = _named_host(project.data)
    if named is None:
        return DoctorFinding(Detail.HOST_NOT_NAMED)
    # A path of the search is a folder: it holds no more than the one.
    found = shutil.which(_HOST, path=str(project.root / named))
    if found is None:
        return DoctorFinding(Detail.HOST_MISSING, {"path": named})
    return DoctorFinding(Detail.HOST_OWN if _is_own(Path(found)) else Detail.HOST_OF_ANOTHER, {"path": found})


def _named_host(data: Mapping[str, object]) -> str | None:
    plugins = data.get("plugins")
    providers = plugins.get("providers") if isinstance(plugins, dict) else None
    for provider in providers if isinstance(providers, list) else ():
        if isinstance(provider, dict) and provider.get("name") == _PLUGIN and isinstance(provider.get("path"), str):
            return str(provider["path"])
    return None


def _is_own(program: Path) -> bool:
    try:
        with program.open("rb") as file:
            return _OWN in file.read(_HOST_READ_BYTES)
    except OSError:
        return False


def _backend(engine: ProjectEngine) -> DoctorFinding:
    try:
        backend = engine.backend()
    except EngineFailed as failure:
        return DoctorFinding(Detail.BACKEND_FAILED, {"command": failure.command, "words": failure.words})
    return DoctorFinding(Detail.BACKEND_FOUND, {"place": backend.place, "user": backend.user})


def _stack(engine: ProjectEngine, stack: str | None) -> tuple[str | None, ConfiguredSettings, list[DoctorFinding]]:
    nothing = ConfiguredSettings({}, engine.environment)
    if stack is None:
        try:
            stack = engine.selected()
        except EngineFailed:
            return None, nothing, [DoctorFinding(Detail.STACK_NOT_SELECTED)]
    facts = {"stack": stack}
    try:
        found = ConfiguredSettings.of(engine, stack)
    except EngineFailed as failure:
        facts |= {"command": failure.command, "words": failure.words}
        return stack, nothing, [DoctorFinding(Detail.STACK_FAILED, facts)]
    about = [DoctorFinding(Detail.STACK_FOUND, facts)]
    if found.sealed:
        about = [DoctorFinding(Detail.SECRETS_SEALED, {**facts, "words": found.sealed.words})]
    return stack, found, about


def _settings(found: ConfiguredSettings) -> tuple[Settings | None, list[DoctorFinding]]:
    try:
        settings = found.settings()
    except ConfigError as error:
        return None, [DoctorFinding(Detail.SETTING_FAULT, cause=fault) for fault in error.faults]
    shown = {"host": settings.host, "api_key": "set, not shown"}
    about = [
        DoctorFinding(
            Detail.SETTING_SET, {"setting": PULUMI.settings[name], "value": value, "source": found.source(name)}
        )
        for name, value in shown.items()
    ]
    if found.key_in_plain:
        facts = {"setting": PULUMI.settings["api_key"], "variable": API_KEY_ENV}
        about.append(DoctorFinding(Detail.KEY_IN_PLAIN, facts))
    return settings, about


def _platform(client: "Client", clock: Clock) -> Iterator[DoctorFinding]:
    """Ask for a job that does not exist: its refusal tells a platform, a key and a scope apart."""
    answers = DoctorFinding(Detail.PLATFORM_ANSWERS, {"host": client.settings.host})
    try:
        client.job(_NO_JOB, _NO_MODEL, "DEPLOY", clock.monotonic() + _ANSWER_SECONDS)
    except (NotFound, WrongJob):
        pass
    except Unauthorized as error:
        yield from (answers, DoctorFinding(Detail.KEY_REFUSED, cause=error))
        return
    except Forbidden as error:
        yield from (answers, DoctorFinding(Detail.KEY_ACCEPTED), DoctorFinding(Detail.SCOPE_LACKING, cause=error))
        return
    except ForeignAnswer as error:
        yield DoctorFinding(Detail.PLATFORM_FAILED, cause=error)
        return
    except (AbsenceInDoubt, RateLimited) as error:
        yield DoctorFinding(Detail.PLATFORM_DOUBTFUL, cause=error)
        return
    except ApiError as error:
        # A platform may refuse the very form of that id.
        doubtful = error.status in _OF_THE_ID
        yield DoctorFinding(Detail.PLATFORM_DOUBTFUL if doubtful else Detail.PLATFORM_FAILED, cause=error)
        return
    yield from (answers, DoctorFinding(Detail.KEY_ACCEPTED), DoctorFinding(Detail.SCOPES_UNTOLD))


def _journal(environment: Mapping[str, str], stack: str) -> list[DoctorFinding]:
    folder, troubles = journal_folder(environment.get), list[Trouble]()
    journals = Journals(folder, lambda: 0.0, troubles.append)
    if trouble := journals.trouble():
        troubles.append(trouble)
    else:
        journals.of(stack).last_calls()
    if troubles:
        return [DoctorFinding(Detail.JOURNAL_TROUBLE, cause=trouble) for trouble in troubles]
    return [DoctorFinding(Detail.JOURNAL_USABLE, {"path": str(folder)})]
