"""What a pipeline does with a stack: preview it for a pull request, bring it up after the merge, look for drift.

The workflows of GitHub Actions and GitLab CI call this, the tests call it as they do, and so can you: outside of a
pipeline it says the same on the terminal. It works on the project in the working directory.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, Final, TextIO

import engine
from forge import TOKENS, Forge, ForgeError, forge

FINE: Final = 0
FAILED: Final = 1
DRIFT: Final = 3
"""`drift` found a stack that is not as declared. 2 is argparse's."""

COMMENT_MAX_CHARS: Final = 60_000
"""A forge takes some 65,000. All stacks share a comment; a report is no shorter than the least that it can be made."""
REPORT_LEAST_MAX_CHARS: Final = 20_000

REFUSED: Final = 3
"""Of `python -m pulumi_koreai.report`: there is what `--fail-on` names."""


@dataclass(frozen=True)
class Outcome:
    """What came of a preview.

    Attributes:
        report: in Markdown, for people.
        failed: it could not be made, or it is refused: by the check of the file, a policy, a protection, `--fail-on`.
        changes: `up` would change something.
    """

    report: str
    failed: bool
    changes: bool


class Stack:
    """A stack of the project, and the engine that works on it."""

    def __init__(self, name: str, env: dict[str, str], scratch: Path) -> None:
        self.name = name
        self._env = env
        self._digest = scratch / f"{name}.preview.json"
        self._events = scratch / f"{name}.events.jsonl"

    def preview(self, *options: str, fail_on: Sequence[str] = (), max_chars: int = COMMENT_MAX_CHARS) -> Outcome:
        """What `up` would do, in a report of at most so many characters. Sends nothing."""
        faults = self._tool("check", f"stacks/Pulumi.{self.name}.yaml")
        if faults.returncode:
            return Outcome(self._titled(_fenced(faults.stdout + faults.stderr)), failed=True, changes=False)
        with self._digest.open("w", encoding="utf-8") as digest:
            code, errors = self._pulumi("preview", "--json", "--show-sames", *self._logged(), *options, stdout=digest)
        try:
            told: dict[str, Any] = json.loads(self._digest.read_text(encoding="utf-8"))
        except ValueError:  # it came to nothing before there was anything to tell: no such stack, no way to the state
            return Outcome(self._titled(_fenced(errors)), failed=True, changes=False)
        changes = any(count for kind, count in told.get("changeSummary", {}).items() if kind != "same")
        report = self._tool(
            "report", f"--max-chars={max_chars}", *(f"--fail-on={what}" for what in fail_on), str(self._digest)
        )
        parts = [report.stdout or _fenced(report.stderr)]
        if violations := "\n".join(self._violations()):  # the engine leaves them out of the digest
            parts.insert(0, _fenced(violations))
        if report.returncode == REFUSED:
            parts.insert(0, f"**Refused**: this pipeline is run with `--fail-on {' '.join(fail_on)}`.")
        failed = report.returncode != 0 or (code != 0 and not changes)
        return Outcome(self._titled("\n\n".join(parts)), failed, changes)

    def up(self) -> Outcome:
        """Bring the models to what is declared, and report on the run, however it ended."""
        code, errors = self._pulumi("up", "--yes", "--skip-preview", *self._logged())
        text = _fenced(errors)
        if self._events.exists():
            report = self._tool("report", str(self._events))
            text = report.stdout or _fenced(report.stderr)
        return Outcome(self._titled(text), failed=code != 0, changes=True)

    def refresh(self) -> Outcome:
        """Ask the platform how the last jobs ended, and record it."""
        code, errors = self._pulumi("refresh", "--yes", "--skip-preview")
        return Outcome(self._titled(_fenced(errors)), failed=code != 0, changes=False)

    def _logged(self) -> list[str]:
        """Options: the log of events, and the policies where the stack has a configuration of them."""
        config = Path("policy", f"{self.name}.json")
        policy = ["--policy-pack", "policy", "--policy-pack-config", str(config)] if config.exists() else []
        return ["--event-log", str(self._events), *policy]

    def _violations(self) -> Iterator[str]:
        for line in self._events.read_text(encoding="utf-8").splitlines():
            if violation := json.loads(line).get("policyEvent"):
                _description, _, text = violation["message"].partition("\n")
                yield f"{violation['enforcementLevel']} policy {violation['policyName']}: {text.strip()}"

    def _pulumi(self, *arguments: str, stdout: TextIO | None = None) -> tuple[int, str]:
        """Run the engine; its exit status, and its errors, which the log has then too.

        A runner that cancels a job signals twice within seconds, and the engine takes a second signal for leave to
        forget what is under way. So the first is handed on, as Ctrl-C, and the others change nothing, then and later:
        the report is still to come.
        """
        command = ["pulumi", *arguments, "--stack", self.name, "--non-interactive", "--color", "never"]
        with subprocess.Popen(
            command,
            env=self._env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            told: list[int] = []

            def hand_on(number: int, _frame: FrameType | None) -> None:
                if not told:
                    process.send_signal(signal.SIGINT)
                told.append(number)

            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, hand_on)
            _, errors = process.communicate()
        print(errors, end="", file=sys.stderr)
        return process.returncode, errors

    def _tool(self, name: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [sys.executable, "-m", f"pulumi_koreai.{name}", *arguments]
        ended = subprocess.run(command, env=self._env, capture_output=True, text=True, check=False)
        print(ended.stderr, end="", file=sys.stderr)
        return ended

    def _titled(self, text: str) -> str:
        return f"## {self.name}\n\n{text.strip()}\n"


def preview(stacks: Sequence[Stack], to: Forge, fail_on: Sequence[str]) -> int:
    """Show what `up` would do, on the pull request if there is one; hand on which stacks it would change."""
    max_chars = max(COMMENT_MAX_CHARS // len(stacks), REPORT_LEAST_MAX_CHARS)
    outcomes = {stack.name: stack.preview(fail_on=fail_on, max_chars=max_chars) for stack in stacks}
    report = "\n".join(outcome.report for outcome in outcomes.values())
    _show(report, to)
    to.output("stacks", json.dumps([name for name, outcome in outcomes.items() if outcome.changes]))
    to.comment(report)
    return FAILED if any(outcome.failed for outcome in outcomes.values()) else FINE


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
        outcome = stack.preview("--expect-no-changes")
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
    print(report, flush=True)
    to.page(report)


def _fenced(text: str) -> str:
    """Text that shows as it is, whatever is in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{text.strip()}\n{fence}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    add = commands.add_parser("preview", help="say what `up` would do")
    add.add_argument("stacks", nargs="+", metavar="STACK")
    add.add_argument("--fail-on", action="append", default=[], help="as for `python -m pulumi_koreai.report`")
    add = commands.add_parser("up", help="bring a stack to what is declared")
    add.add_argument("stacks", nargs=1, metavar="STACK")
    add = commands.add_parser("drift", help=f"look whether a stack is as declared; exit status {DRIFT} when it is not")
    add.add_argument("stacks", nargs=1, metavar="STACK")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The program. Returns the exit status."""
    given = _parser().parse_args(arguments)
    # No program under review needs what lets one write on the forge. The log of events is a debug command's.
    base = {key: value for key, value in os.environ.items() if key not in TOKENS}
    base |= {"PULUMI_SKIP_UPDATE_CHECK": "true", "PULUMI_DEBUG_COMMANDS": "true"}
    try:
        env = engine.environment(engine.obtain(base), base)
        with tempfile.TemporaryDirectory(prefix="pulumi-koreai-") as scratch:
            stacks = [Stack(name, env, Path(scratch)) for name in given.stacks]
            match given.command:
                case "preview":
                    return preview(stacks, forge(), given.fail_on)
                case "up":
                    return up(stacks[0], forge())
                case _:
                    return drift(stacks[0], forge())
    except (engine.EngineError, ForgeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
