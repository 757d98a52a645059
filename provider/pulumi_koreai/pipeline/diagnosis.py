"""What `koreai doctor` finds, as facts, and the one place that makes lines or JSON of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto
from typing import Final

from pulumi_koreai.api.errors import KoreaiError, SettingFault
from pulumi_koreai.api.messages import clean
from pulumi_koreai.journal import Trouble
from pulumi_koreai.report.markdown import counted
from pulumi_koreai.stackfile.terms import PULUMI

Json = dict[str, object]


class Verdict(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


class Topic(StrEnum):
    """What was looked at."""

    ENGINE = "engine"
    PYTHON = "Python"
    PROJECT = "project"
    HOST = "provider host"
    BACKEND = "backend"
    STACK = "stack"
    SETTINGS = "settings"
    PLATFORM = "platform"
    KEY = "API key"
    SCOPES = "scopes"
    JOURNAL = "journal"


class Detail(Enum):
    """What was found. `_SAYINGS` has how bad it is, its words and what to do."""

    ENGINE_FOUND = auto()
    ENGINE_NEWER = auto()
    ENGINE_OLD = auto()
    ENGINE_MISSING = auto()
    ENGINE_BROKEN = auto()
    PYTHON_FOUND = auto()
    PYTHON_OF_ANOTHER = auto()
    VIRTUALENV_MISSING = auto()
    PROJECT_FOUND = auto()
    PROJECT_MISSING = auto()
    PROJECT_UNREADABLE = auto()
    HOST_OWN = auto()
    HOST_OF_ANOTHER = auto()
    HOST_NOT_NAMED = auto()
    HOST_MISSING = auto()
    BACKEND_FOUND = auto()
    BACKEND_FAILED = auto()
    STACK_FOUND = auto()
    STACK_NOT_SELECTED = auto()
    STACK_FAILED = auto()
    SECRETS_SEALED = auto()
    SETTING_SET = auto()
    SETTING_FAULT = auto()
    KEY_IN_PLAIN = auto()
    PLATFORM_ANSWERS = auto()
    PLATFORM_FAILED = auto()
    PLATFORM_DOUBTFUL = auto()
    KEY_ACCEPTED = auto()
    KEY_REFUSED = auto()
    SCOPES_UNTOLD = auto()
    SCOPE_LACKING = auto()
    JOURNAL_USABLE = auto()
    JOURNAL_TROUBLE = auto()
    NOT_LOOKED_AT = auto()


@dataclass(frozen=True)
class _Saying:
    topic: Topic
    verdict: Verdict
    text: str
    remedy: str = ""


_OK, _WARNING, _PROBLEM = Verdict
_INSTALL: Final = "Install it (www.pulumi.com/docs/install), then run this again."
_NAME_HOST: Final = (
    "Name the host in `Pulumi.yaml`: under `plugins: providers:` an entry `name: pulumi-python` with `path:` the folder"
    " of `pulumi-resource-pulumi-python`, as `.venv/libexec/koreai`."
)
_SAYINGS: Final[Mapping[Detail, _Saying]] = {
    Detail.ENGINE_FOUND: _Saying(Topic.ENGINE, _OK, "pulumi {version}, {path}"),
    Detail.ENGINE_NEWER: _Saying(
        Topic.ENGINE, _OK, "pulumi {version}, {path}; newer than {tested}, the newest that is tested"
    ),
    Detail.ENGINE_OLD: _Saying(
        Topic.ENGINE,
        _PROBLEM,
        "pulumi {version}, {path}; older than {oldest}, the oldest that works",
        "Install a newer one (www.pulumi.com/docs/install), then run this again.",
    ),
    Detail.ENGINE_MISSING: _Saying(Topic.ENGINE, _PROBLEM, "`pulumi` is not on the PATH", _INSTALL),
    Detail.ENGINE_BROKEN: _Saying(
        Topic.ENGINE, _PROBLEM, '{path} does not tell its version: "{words}"', "Install it again, then run this again."
    ),
    Detail.PYTHON_FOUND: _Saying(Topic.PYTHON, _OK, "{version}, {path}; pulumi-koreai {package}, Pulumi's SDK {sdk}"),
    Detail.PYTHON_OF_ANOTHER: _Saying(
        Topic.PYTHON,
        _WARNING,
        "{version}, {path}; the project's programs run in another virtual environment, {virtualenv}",
        "Run the `koreai` of that environment, so that both are of one version.",
    ),
    Detail.VIRTUALENV_MISSING: _Saying(
        Topic.PYTHON,
        _PROBLEM,
        "`Pulumi.yaml` names a virtual environment that is not there: {virtualenv}",
        "Make it (`python3 -m venv`) and install the project's requirements into it.",
    ),
    Detail.PROJECT_FOUND: _Saying(Topic.PROJECT, _OK, "{name}, {path}"),
    Detail.PROJECT_MISSING: _Saying(
        Topic.PROJECT,
        _PROBLEM,
        "no `Pulumi.yaml` in {path} or a folder above it",
        "Go to the project's folder, or make a project with `koreai init`.",
    ),
    Detail.PROJECT_UNREADABLE: _Saying(
        Topic.PROJECT, _PROBLEM, "{path} can't be read: {words}", "Correct it, then run this again."
    ),
    Detail.HOST_OWN: _Saying(Topic.HOST, _OK, "this package's, {path}"),
    Detail.HOST_OF_ANOTHER: _Saying(
        Topic.HOST,
        _WARNING,
        "another than this package's, {path}: it serves a few models at a time, shows no progress and ignores Ctrl-C",
        _NAME_HOST,
    ),
    Detail.HOST_NOT_NAMED: _Saying(
        Topic.HOST,
        _WARNING,
        "`Pulumi.yaml` names none, so the engine takes the first of the PATH, or its own: that serves a few models at a"
        " time, shows no progress and ignores Ctrl-C",
        _NAME_HOST,
    ),
    Detail.HOST_MISSING: _Saying(
        Topic.HOST,
        _PROBLEM,
        "`Pulumi.yaml` names {path}, and there is no program `pulumi-resource-pulumi-python` that can be run",
        "Install the project's requirements into that environment, or correct the path.",
    ),
    Detail.BACKEND_FOUND: _Saying(Topic.BACKEND, _OK, "{place}, as {user}"),
    Detail.BACKEND_FAILED: _Saying(
        Topic.BACKEND,
        _PROBLEM,
        '`{command}` failed: "{words}"',
        "Log in with `pulumi login`, or set PULUMI_BACKEND_URL to your backend.",
    ),
    Detail.STACK_FOUND: _Saying(Topic.STACK, _OK, "{stack}"),
    Detail.STACK_NOT_SELECTED: _Saying(
        Topic.STACK,
        _WARNING,
        "none is selected, so only the environment's settings are looked at",
        "Name a stack, or select one with `pulumi stack select`.",
    ),
    Detail.STACK_FAILED: _Saying(
        Topic.STACK,
        _PROBLEM,
        '{stack}: `{command}` failed: "{words}"',
        "`pulumi stack ls` lists the stacks; `pulumi stack init {stack}` makes one.",
    ),
    Detail.SECRETS_SEALED: _Saying(
        Topic.STACK,
        _WARNING,
        '{stack}: its secrets can\'t be decrypted: "{words}"',
        "Set PULUMI_CONFIG_PASSPHRASE, or get access to the stack's secrets provider.",
    ),
    Detail.SETTING_SET: _Saying(Topic.SETTINGS, _OK, "{setting}: {value} (from {source})"),
    Detail.SETTING_FAULT: _Saying(Topic.SETTINGS, _PROBLEM, ""),
    Detail.KEY_IN_PLAIN: _Saying(
        Topic.SETTINGS,
        _WARNING,
        "{setting} is in the stack's file as it is, for everybody who can read the file",
        "Let the platform issue another key and set it with `pulumi config set --secret {setting}` or in {variable}.",
    ),
    Detail.PLATFORM_ANSWERS: _Saying(Topic.PLATFORM, _OK, "{host} answers"),
    Detail.PLATFORM_FAILED: _Saying(Topic.PLATFORM, _PROBLEM, ""),
    Detail.PLATFORM_DOUBTFUL: _Saying(Topic.PLATFORM, _WARNING, ""),
    Detail.KEY_ACCEPTED: _Saying(Topic.KEY, _OK, "accepted"),
    Detail.KEY_REFUSED: _Saying(Topic.KEY, _PROBLEM, ""),
    Detail.SCOPES_UNTOLD: _Saying(
        Topic.SCOPES,
        _OK,
        "the key may read the dock status; whether it has the scopes Deploy Model and Undeploy Model (and Export Model,"
        " for `koreai adopt`) only such a request tells, and none is sent here",
    ),
    Detail.SCOPE_LACKING: _Saying(Topic.SCOPES, _PROBLEM, ""),
    Detail.JOURNAL_USABLE: _Saying(Topic.JOURNAL, _OK, "{path}"),
    Detail.JOURNAL_TROUBLE: _Saying(Topic.JOURNAL, _WARNING, ""),
    Detail.NOT_LOOKED_AT: _Saying(
        Topic.PLATFORM, _WARNING, "not asked, as the settings can't be used", "Correct the settings above."
    ),
}


@dataclass(frozen=True)
class DoctorFinding:
    """One thing that was found.

    Attributes:
        detail: what.
        facts: what its words need; no secret is among them.
        cause: where the words are those of an error, a setting or a journal: that.
    """

    detail: Detail
    facts: Mapping[str, str] = field(default_factory=dict)
    cause: KoreaiError | SettingFault | Trouble | None = None

    @property
    def topic(self) -> Topic:
        return _SAYINGS[self.detail].topic

    @property
    def verdict(self) -> Verdict:
        return _SAYINGS[self.detail].verdict

    def text(self) -> str:
        """What was found, on one line."""
        match self.cause:
            case KoreaiError():
                return clean(str(self.cause))
            case SettingFault():
                return clean(f"{PULUMI.settings[self.cause.setting]}: {self.cause.problem}")
            case Trouble():
                return clean(PULUMI.journal_trouble(self.cause))
            case None:
                return self._filled(_SAYINGS[self.detail].text)

    def remedies(self) -> list[str]:
        """What to do about it, a sentence each."""
        match self.cause:
            case KoreaiError():
                return list(map(PULUMI.advice, self.cause.advice))
            case SettingFault():
                return [f"{PULUMI.how_to_set[self.cause.remedy.value]}."] if self.cause.remedy else []
            case _:
                remedy = _SAYINGS[self.detail].remedy
                return [self._filled(remedy)] if remedy else []

    def _filled(self, text: str) -> str:
        return text.format_map({name: clean(fact) for name, fact in self.facts.items()})


def findings_lines(diagnostics: Sequence[DoctorFinding]) -> list[str]:
    """What was found as lines for a terminal, and at the end how many problems there are."""
    verdicts, topics = max(map(len, Verdict)), max(map(len, Topic))
    shown: list[str] = []
    for one in diagnostics:
        shown.append(f"{one.verdict:<{verdicts}}  {one.topic:<{topics}}  {one.text()}")
        shown += [f"{'':<{verdicts + topics + 4}}{remedy}" for remedy in one.remedies()]
    return [*shown, "", f"{_count(diagnostics, Verdict.PROBLEM)}, {_count(diagnostics, Verdict.WARNING)}"]


def findings_json(diagnostics: Sequence[DoctorFinding]) -> list[Json]:
    """The same for a script."""
    return [
        {
            "topic": one.topic.value,
            "verdict": one.verdict.value,
            "detail": one.detail.name.lower(),
            "text": one.text(),
            "remedies": one.remedies(),
            "facts": dict(one.facts),
        }
        for one in diagnostics
    ]


def has_problem(diagnostics: Sequence[DoctorFinding]) -> bool:
    """Whether something has to be done before a stack can be brought up."""
    return any(one.verdict is Verdict.PROBLEM for one in diagnostics)


def _count(diagnostics: Sequence[DoctorFinding], verdict: Verdict) -> str:
    return counted(sum(one.verdict is verdict for one in diagnostics), verdict.value)
