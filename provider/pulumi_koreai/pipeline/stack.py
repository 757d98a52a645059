"""A stack of the project: what `up` would do to it, what a run came to, and what is astray, for people in Markdown."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pulumi_koreai.journal import CallTrace
from pulumi_koreai.pipeline import astray
from pulumi_koreai.pipeline.engine import Engine, interrupted, say
from pulumi_koreai.report import markdown
from pulumi_koreai.report.engine_json import Digest, ReadingError, Run, read_engine_json
from pulumi_koreai.report.fail_on import FailOn, is_refused
from pulumi_koreai.report.preview import Preview
from pulumi_koreai.report.run import Report
from pulumi_koreai.stackfile.check import check_files
from pulumi_koreai.stackfile.project import Project, short_name
from pulumi_koreai.stackfile.yamlfile import YamlFile

_API_KEY: Final = re.compile(r"koreai:(config:)?apiKey")  # the engine takes both
_KEY_IN_FILE: Final = (
    "**Refused**: {file} has `koreai:apiKey`, which would be decrypted here for code that nobody has reviewed."
    " Take it out (`pulumi config rm koreai:apiKey --stack {stack}`), let the platform issue another one, since this"
    " one stays in the repository's history, and give that to `up` and `drift` as `KOREAI_API_KEY`."
)
_VIOLATIONS_MAX_CHARS: Final = 3_500
_VIOLATION_MAX_CHARS: Final = 500


@dataclass(frozen=True)
class Outcome:
    """What came of a command, for people in Markdown.

    Attributes:
        stack: its name.
        summary: one paragraph.
        details: the rest, as long as it has to be.
        failed: it could not be done: by the check of the file, a policy, a protection.
        refused: it could be done and is not to be: by `--fail-on`, or for the key in the stack's file.
        changes: of a preview: `up` would change something.
        digest: of a preview: what the engine would do; None where it came to nothing.
        run: of a run: what the engine did; likewise.
    """

    stack: str
    summary: str
    details: str = ""
    failed: bool = False
    refused: bool = False
    changes: bool = False
    digest: Digest | None = None
    run: Run | None = None

    @property
    def is_good(self) -> bool:
        """Whether nothing stands in the way of going on."""
        return not self.failed and not self.refused

    @property
    def report(self) -> str:
        return f"## {self.stack}\n\n{self.summary}\n\n{self.details}".rstrip() + "\n"


class Stack:
    """A stack of the project, and the engine that works on it.

    Args:
        name: as the engine takes it: `prod`, `acme/prod` for one of an organisation. Files go by its last part alone.
        project: the project.
        env: the engine's environment.
        scratch: a folder of this stack's own.

    Raises:
        ProjectError: the project has no such stack.
    """

    def __init__(self, name: str, project: Project, env: Mapping[str, str], scratch: Path) -> None:
        self.name = name
        self.file = project.stack_file(name)
        self._engine = Engine(name, env)
        self._policies = Path("policy", f"{short_name(name)}.json")
        self._digest = scratch / "preview.json"
        self._events = scratch / "events.jsonl"
        self._exported = scratch / "state.json"
        self._journal = astray.StackJournal(project.name, short_name(name))

    def preview(
        self, *, keyless: bool = False, fail_on: Sequence[FailOn] = (), max_chars: int = markdown.MAX_CHARS
    ) -> Outcome:
        """What `up` would do. Sends nothing.

        Args:
            keyless: whether a stack whose file has the API key is refused.
            fail_on: what is refused.
            max_chars: of the report, at most; `LEAST_MAX_CHARS` or more.
        """
        if interrupted():
            return Outcome(self.name, "**There is no preview**: this run was interrupted before it.", failed=True)
        checked = check_files([str(self.file)])
        if checked.faults or checked.unreadable:
            summary = f"**The stack's file has faults**: `koreai check {self.file}` lists them."
            faults = "\n".join([*checked.lines, *checked.remarks])
            return Outcome(self.name, summary, markdown.fenced(faults), failed=True)
        if keyless and self._has_key():
            return Outcome(self.name, _KEY_IN_FILE.format(file=f"`{self.file}`", stack=self.name), refused=True)
        options = ("--json", "--show-sames", "--show-replacement-steps")
        with self._digest.open("w", encoding="utf-8") as stdout:
            code, errors = self._engine.run("preview", *options, *self._logged(), stdout=stdout)
        digest = _read(self._digest)
        if not isinstance(digest, Digest):  # nothing to tell: no such stack, no way to the state
            return Outcome(self.name, "**The preview failed.**", markdown.fenced(errors), failed=True)
        preview = Preview.of(digest)
        violations = self._violations()
        room = max(max_chars - len(violations), markdown.LEAST_MAX_CHARS)
        summary, _, rest = preview.markdown(room).partition("\n\n")
        refused = is_refused(preview, fail_on)
        if refused:
            summary = f"**Refused**: this pipeline is run with `--fail-on {' '.join(fail_on)}`. {summary}"
        if lost := astray.lines(self._astray()):
            rest = f"{lost}\n\n{rest}"
        if code and not preview.errors:  # the engine's reason is not in what it planned
            rest = f"{markdown.fenced(errors)}\n\n{rest}"
        details = f"{violations}\n\n{rest}".strip()
        failed = code != 0 or bool(preview.errors)
        return Outcome(self.name, summary, details, failed, refused, digest.changes, digest)

    def up(self) -> Outcome:
        """Bring the models to what is declared, and report on the run, however it ended.

        A run whose host or engine died is followed by another one, which takes up what the first one sent.
        """
        before = {call.call for call in self._journal.calls()}
        code, errors = self._engine.run("up", "--yes", "--skip-preview", *self._logged())
        lost = [call for call in self._astray() if call.call not in before] if code else []
        taken_up = ""
        if lost and not interrupted():
            say(f"{self.name}: the run ended before the state had what it sent. Once more.\n", sys.stderr)
            if code < 0:  # the engine was killed, and so it left its lock
                self._engine.run("cancel", "--yes")
            self._events.unlink(missing_ok=True)
            code, errors = self._engine.run("up", "--yes", "--skip-preview", *self._logged())
            taken_up = f"The first run ended early; this one took up what it had sent for {_models(lost)}."
        run = _read(self._events) if self._events.exists() else None
        if not isinstance(run, Run):
            return Outcome(self.name, "**Nothing was done.**", markdown.fenced(errors), failed=code != 0)
        summary, _, rest = Report.of(run).markdown(markdown.MAX_CHARS).partition("\n\n")
        details = (taken_up, astray.lines(self._astray()), self._violations(), rest)
        return Outcome(self.name, summary, "\n\n".join(filter(None, details)), failed=code != 0, run=run)

    def refresh(self) -> Outcome:
        """Ask the platform how the last jobs ended, and record it."""
        code, errors = self._engine.run("refresh", "--yes", "--skip-preview")
        summary = "**The refresh failed.**" if code else "The last jobs' ends are recorded."
        return Outcome(self.name, summary, markdown.fenced(errors), failed=code != 0)

    def _astray(self) -> list[CallTrace]:
        """What was sent for the models of the stack and is not in its state."""
        if not self._journal.calls():
            return []
        with self._exported.open("w", encoding="utf-8") as exported:
            self._engine.run("stack", "export", stdout=exported)
        return self._journal.astray(self._exported.read_text(encoding="utf-8"))

    def _has_key(self) -> bool:
        data = YamlFile.read(self.file.read_bytes()).data
        config = data.get("config") if isinstance(data, dict) else None
        return isinstance(config, dict) and any(map(_API_KEY.fullmatch, config))

    def _logged(self) -> list[str]:
        """Options: the log of events, and the policies where the stack has a configuration of them."""
        config = self._policies
        policy = ["--policy-pack", "policy", "--policy-pack-config", str(config)] if config.exists() else []
        return ["--event-log", str(self._events), *policy]

    def _violations(self) -> str:
        """What the policies say, which is in the log of events alone: the mandatory ones first, each text once."""
        said: dict[tuple[str, str, str], list[str]] = {}
        for line in self._events.read_text(encoding="utf-8").splitlines():
            try:
                violation = json.loads(line).get("policyEvent")
            except ValueError:  # the half line of a killed engine
                continue
            if violation:
                name = violation.get("resourceUrn", "").split("::", 3)[-1]
                _description, _, text = violation["message"].partition("\n")
                text = " ".join(text.split()).removeprefix(f"{name}: ")
                said.setdefault((violation["enforcementLevel"], violation["policyName"], text), []).append(name)
        gravest_first = sorted(said.items(), key=lambda one: one[0][0] != "mandatory")
        lines = [
            f"{level} policy {policy}: {markdown.listed(names)}: {text}"[:_VIOLATION_MAX_CHARS]
            for (level, policy, text), names in gravest_first
        ]
        shown = markdown.fitting(lines, _VIOLATIONS_MAX_CHARS)
        if not shown:
            return ""
        left_out = sum(len(names) for _, names in gravest_first[len(shown) :])
        more = f"\n\nLeft out here: {markdown.counted(left_out, 'more violation')}." if left_out else ""
        return markdown.fenced("\n".join(shown)) + more


def _read(file: Path) -> Digest | Run | None:
    """What the engine wrote; None where it came to nothing before there was anything to tell."""
    try:
        return read_engine_json(file.read_text(encoding="utf-8"))
    except ReadingError:
        return None


def _models(calls: Sequence[CallTrace]) -> str:
    return markdown.listed([markdown.code(call.model_id) for call in calls])
