"""What a pipeline does with a stack: preview it for a pull request, bring it up after the merge, look for drift.

The workflows of GitHub Actions and GitLab CI call this, the tests call it as they do, and so can you: outside of a
pipeline it says the same on the terminal. It works on the project in the working directory.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Final, TextIO

from pulumi_koreai.journal import JOURNAL_ENV, CallTrace, journal_folder
from pulumi_koreai.pipeline import astray
from pulumi_koreai.pipeline.forge import TOKENS, Forge, ForgeError, forge
from pulumi_koreai.report import markdown
from pulumi_koreai.report.command import LEAST_MAX_CHARS, MAX_CHARS, REFUSED
from pulumi_koreai.report.engine_json import Digest, ReadingError, read_engine_json
from pulumi_koreai.report.moves import PreviewMove, StackPreview, preview_moves, refusal
from pulumi_koreai.stackfile.stack_models import StackModels
from pulumi_koreai.stackfile.yamlfile import YamlFile

FINE: Final = 0
FAILED: Final = 1
DRIFT: Final = 3
"""`drift` found a stack that is not as declared. 2 is argparse's."""

_API_KEY: Final = re.compile(r"koreai:(config:)?apiKey")  # the engine takes both
_KEY_IN_FILE: Final = (
    "**Refused**: {file} has `koreai:apiKey`, which would be decrypted here for code that nobody has reviewed."
    " Take it out (`pulumi config rm koreai:apiKey --stack {stack}`), let the platform issue another one, since this"
    " one stays in the repository's history, and give that to `up` and `drift` as `KOREAI_API_KEY`."
)
_DRAIN_SECONDS: Final = 5.0
_VIOLATIONS_MAX_CHARS: Final = 3_500
_VIOLATION_MAX_CHARS: Final = 500

_signals: Final[list[int]] = []
"""What has asked this process to end: not the engine of that moment alone, so no further stack is previewed."""


class NoEngineError(Exception):
    """`pulumi` is not on the PATH."""

    def __init__(self) -> None:
        super().__init__("`pulumi` is not on the PATH. Install it (www.pulumi.com/docs/install) and run this again.")


@dataclass(frozen=True)
class Outcome:
    """What came of a command, for people in Markdown.

    Attributes:
        stack: its name.
        summary: one paragraph.
        details: the rest, as long as it has to be.
        failed: it could not be done, or it is refused: by the check of the file, a policy, a protection, `--fail-on`.
        changes: of a preview: `up` would change something.
        digest: of a preview: what the engine would do; None where it came to nothing.
    """

    stack: str
    summary: str
    details: str = ""
    failed: bool = False
    changes: bool = False
    digest: Digest | None = None

    @property
    def report(self) -> str:
        return f"## {self.stack}\n\n{self.summary}\n\n{self.details}".rstrip() + "\n"


class Stack:
    """A stack of the project, and the engine that works on it.

    Args:
        name: as the engine takes it: `prod`, `acme/prod` for one of an organisation. Files go by its last part alone.
        env: the engine's.
        scratch: a folder of this stack's own.
    """

    def __init__(self, name: str, env: dict[str, str], scratch: Path) -> None:
        self.name = name
        self._env = env
        short = name.rpartition("/")[2]
        self.file = Path("stacks", f"Pulumi.{short}.yaml")
        self._policies = Path("policy", f"{short}.json")
        self._digest = scratch / "preview.json"
        self._events = scratch / "events.jsonl"
        self._exported = scratch / "state.json"
        self._journal = astray.StackJournal(short)

    def preview(self, *, keyless: bool = False, fail_on: Sequence[str] = (), max_chars: int = MAX_CHARS) -> Outcome:
        """What `up` would do. Sends nothing.

        Args:
            keyless: whether a stack whose file has the API key is refused.
            fail_on: as for `koreai report`.
            max_chars: of the report, at most; `LEAST_MAX_CHARS` or more.
        """
        if _signals:
            return Outcome(self.name, "**There is no preview**: this run was interrupted before it.", failed=True)
        faults = self._tool("check", str(self.file))
        if faults.returncode:
            summary = f"**The stack's file has faults**: `koreai check {self.file}` lists them."
            return Outcome(self.name, summary, markdown.fenced(faults.stdout + faults.stderr), failed=True)
        if keyless and self._has_key():
            return Outcome(self.name, _KEY_IN_FILE.format(file=f"`{self.file}`", stack=self.name), failed=True)
        options = ("--json", "--show-sames", "--show-replacement-steps")
        with self._digest.open("w", encoding="utf-8") as digest:
            code, errors = self._pulumi("preview", *options, *self._logged(), stdout=digest)
        try:
            engine_json = read_engine_json(self._digest.read_text(encoding="utf-8"))
        except ReadingError:  # it came to nothing before there was anything to tell: no such stack, no way to the state
            return Outcome(self.name, "**The preview failed.**", markdown.fenced(errors), failed=True)
        violations = self._violations()
        room = max(max_chars - len(violations), LEAST_MAX_CHARS)
        status, summary, rest = self._report(
            self._digest, f"--max-chars={room}", *(f"--fail-on={what}" for what in fail_on)
        )
        if status == REFUSED:
            summary = f"**Refused**: this pipeline is run with `--fail-on {' '.join(fail_on)}`. {summary}"
        if lost := astray.lines(self._astray()):
            rest = f"{lost}\n\n{rest}"
        if code and not status:  # the engine's reason is not in what it planned
            rest = f"{markdown.fenced(errors)}\n\n{rest}"
        planned = engine_json if isinstance(engine_json, Digest) else None
        changes = planned is not None and planned.changes
        details = f"{violations}\n\n{rest}".strip()
        return Outcome(self.name, summary, details, code != 0 or status != 0, changes, planned)

    def up(self) -> Outcome:
        """Bring the models to what is declared, and report on the run, however it ended.

        A run whose host or engine died is followed by another one, which takes up what the first one sent.
        """
        before = {call.call for call in self._journal.calls()}
        code, errors = self._pulumi("up", "--yes", "--skip-preview", *self._logged())
        lost = [call for call in self._astray() if call.call not in before] if code else []
        taken_up = ""
        if lost and not _signals:
            _say(f"{self.name}: the run ended before the state had what it sent. Once more.\n", sys.stderr)
            if code < 0:  # the engine was killed, and so it left its lock
                self._pulumi("cancel", "--yes")
            self._events.unlink(missing_ok=True)
            code, errors = self._pulumi("up", "--yes", "--skip-preview", *self._logged())
            taken_up = f"The first run ended early; this one took up what it had sent for {_models(lost)}."
        if not self._events.exists():
            return Outcome(self.name, "**Nothing was done.**", markdown.fenced(errors), failed=code != 0)
        _, summary, rest = self._report(self._events)
        details = (taken_up, astray.lines(self._astray()), self._violations(), rest)
        return Outcome(self.name, summary, "\n\n".join(filter(None, details)), failed=code != 0)

    def refresh(self) -> Outcome:
        """Ask the platform how the last jobs ended, and record it."""
        code, errors = self._pulumi("refresh", "--yes", "--skip-preview")
        summary = "**The refresh failed.**" if code else "The last jobs' ends are recorded."
        return Outcome(self.name, summary, markdown.fenced(errors), failed=code != 0)

    def _astray(self) -> list[CallTrace]:
        """What was sent for the models of the stack and is not in its state."""
        if not self._journal.calls():
            return []
        with self._exported.open("w", encoding="utf-8") as exported:
            self._pulumi("stack", "export", stdout=exported)
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

    def _report(self, file: Path, *options: str) -> tuple[int, str, str]:
        """The exit status of the report's program, the report's first paragraph, which is its summary, and the rest."""
        ended = self._tool("report", *options, str(file))
        if not ended.stdout:
            return ended.returncode, "**There is no report on it.**", markdown.fenced(ended.stderr)
        summary, _, rest = ended.stdout.partition("\n\n")
        return ended.returncode, summary, rest

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

    def _pulumi(self, *arguments: str, stdout: TextIO | None = None) -> tuple[int, str]:
        """Run the engine; its exit status, and its errors, which the log has then too.

        A runner that cancels a job signals twice within seconds, and the engine takes a second signal for leave to
        forget what is under way. So the first is handed on, as Ctrl-C, and the others change nothing, then and later:
        the report is still to come.
        """
        command = ["pulumi", *arguments, "--stack", self.name, "--non-interactive", "--color", "never"]
        running: list[subprocess.Popen[str]] = []
        before = len(_signals)

        def hand_on(number: int, _frame: FrameType | None) -> None:
            for engine in running if len(_signals) == before else ():
                engine.send_signal(signal.SIGINT)
            _signals.append(number)

        # SIGHUP: a terminal that is closed, a connection that is lost. The engine would die of it at once.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, hand_on)
        with subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=stdout or subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        ) as process:
            running.append(process)
            if len(_signals) > before:  # while it was started
                process.send_signal(signal.SIGINT)
            # Not the engine's own: it dies with whoever reads its log, and this program does not.
            copying = threading.Thread(target=_copy, args=(process.stdout,), daemon=True)
            copying.start()
            assert process.stderr is not None
            errors = process.stderr.read()
            process.wait()
            copying.join(_DRAIN_SECONDS)
        _say(errors, sys.stderr)
        return process.returncode, errors

    def _tool(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", "pulumi_koreai.cli", name, *arguments]
        # A session of its own, as the engine's: the terminal's Ctrl-C does not end the report on what it has ended.
        ended = subprocess.run(
            command, env=self._env, capture_output=True, text=True, check=False, start_new_session=True
        )
        _say(ended.stderr, sys.stderr)
        return ended


def preview(stacks: Sequence[Stack], to: Forge, fail_on: Sequence[str]) -> int:
    """Show what `up` would do, on the pull request if there is one; hand on which stacks it can change."""
    max_chars = max(MAX_CHARS // len(stacks), LEAST_MAX_CHARS)  # all of them share a comment
    outcomes = [stack.preview(keyless=to.unattended, fail_on=fail_on, max_chars=max_chars) for stack in stacks]
    moves = _moves(stacks, outcomes)
    moving = {file for move in moves for file in (move.left_file, move.entered_file)}
    outcomes = [
        replace(outcome, failed=outcome.failed or str(stack.file) in moving)
        for stack, outcome in zip(stacks, outcomes, strict=True)
    ]
    report = "\n".join(outcome.report for outcome in outcomes)
    if len(outcomes) > 1:  # the end of a long comment is cut off
        lines = [f"- {markdown.code(outcome.stack)}: {outcome.summary}" for outcome in outcomes]
        report = "\n".join([*lines, "", report])
    if moves:
        report = f"{refusal(moves)}\n\n{report}"
    _show(report, to)
    failed = any(outcome.failed for outcome in outcomes)
    to.output("stacks", json.dumps([one.stack for one in outcomes if one.changes and not one.failed]))
    to.comment(report, anew=failed or any(outcome.changes for outcome in outcomes))
    return FAILED if failed else FINE


def _moves(stacks: Sequence[Stack], outcomes: Sequence[Outcome]) -> list[PreviewMove]:
    """The models that a previewed stack would undeploy while another stack of the project declares them."""
    files = {str(file): StackModels.read(file.read_bytes()) for file in sorted(Path("stacks").glob("Pulumi.*.yaml"))}
    previews = [
        StackPreview(stack.name, str(stack.file), outcome.digest)
        for stack, outcome in zip(stacks, outcomes, strict=True)
        if outcome.digest
    ]
    return preview_moves(previews, files)


def up(stack: Stack, to: Forge) -> int:
    """Bring the stack up, unless the branch has moved on: then a later run has its own preview and approval."""
    if newer := to.newer():
        _show(f"{stack.name}: nothing is done. The branch is at {newer} by now, and the run for that does it.", to)
        return FINE
    outcome = stack.up()
    _show(outcome.report, to)
    return FAILED if outcome.failed else FINE


def drift(stack: Stack, to: Forge) -> int:
    """Look whether the models are as declared, as far as the platform can be asked; an issue says when they are not."""
    outcome = stack.refresh()
    if not outcome.failed:
        outcome = stack.preview()
    _show(outcome.report, to)
    if outcome.failed:
        return FAILED
    if not outcome.changes:
        to.close_issue(stack.name, f"The models of {stack.name} are as declared again.")
        return FINE
    says = f"The models of {stack.name} are not as declared. A run of the workflow `up` would do this:"
    to.open_issue(stack.name, f"{stack.name}: models are not as declared", f"{says}\n\n{outcome.report}")
    return DRIFT


def _show(report: str, to: Forge) -> None:
    _say(f"{report}\n", sys.stdout)
    to.page(report)


def _copy(lines: TextIO | None) -> None:
    for line in lines or ():
        _say(line, sys.stdout)


def _say(text: str, to: TextIO) -> None:
    """Print, unless nobody reads it any more."""
    try:
        to.write(text)
        to.flush()
    except BrokenPipeError:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123 - a device
            os.dup2(nowhere.fileno(), to.fileno())


def _models(calls: Sequence[CallTrace]) -> str:
    return markdown.listed([markdown.code(call.model_id) for call in calls])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="koreai", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("preview", help="say what `up` would do")
    add.add_argument("stacks", nargs="+", metavar="STACK")
    add.add_argument("--fail-on", action="append", default=[], help="as for `koreai report`")
    add = commands.add_parser("up", help="bring a stack to what is declared")
    add.add_argument("stacks", nargs=1, metavar="STACK")
    add = commands.add_parser("drift", help=f"look whether a stack is as declared; exit status {DRIFT} when it is not")
    add.add_argument("stacks", nargs=1, metavar="STACK")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit status."""
    options = _parser().parse_args(arguments)
    # No program under review needs what lets one write on the forge. The log of events is a debug command's.
    base = {key: value for key, value in os.environ.items() if key not in TOKENS}
    base |= {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DEBUG_COMMANDS": "true"}
    to = forge()
    try:
        env = _environment(base, to, comments=options.command == "preview")
        with tempfile.TemporaryDirectory(prefix="pulumi-koreai-") as scratch:
            stacks = [Stack(name, env, Path(tempfile.mkdtemp(dir=scratch))) for name in options.stacks]
            match options.command:
                case "preview":
                    return preview(stacks, to, options.fail_on)
                case "up":
                    return up(stacks[0], to)
                case _:
                    return drift(stacks[0], to)
    except (NoEngineError, ForgeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED


def _environment(base: dict[str, str], to: Forge, *, comments: bool) -> dict[str, str]:
    """The engine's: this virtual environment comes first on the PATH, for the language host and the provider host.

    Without an engine, `comments` says so on the pull request, whose comment would otherwise be an older commit's.
    """
    env = {**base, "PATH": os.pathsep.join([sysconfig.get_path("scripts"), base.get("PATH", os.defpath)])}
    env |= {"VIRTUAL_ENV": sys.prefix, JOURNAL_ENV: str(journal_folder(os.environ.get))}
    env.pop("PYTHONHOME", None)
    if not shutil.which("pulumi", path=env["PATH"]):
        error = NoEngineError()
        if comments:
            to.comment(f"**There is no preview.**\n\n{markdown.fenced(str(error))}")
        raise error
    return env


if __name__ == "__main__":
    sys.exit(main())
