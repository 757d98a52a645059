"""A `pulumi` that answers what a test wrote down: what it is asked takes the real one a second each."""

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pulumi_koreai.pipeline.project_engine import ProjectEngine

_SCRIPT = """#!{python} -IS
import json, sys, pathlib
asked = [one for one in sys.argv[1:] if one not in ("--non-interactive", "--color", "never")]
answers = json.loads(pathlib.Path(__file__).with_name("answers.json").read_text())
with pathlib.Path(__file__).with_name("asked.txt").open("a") as log:
    log.write(" ".join(asked) + "\\n")
code, out, err = answers.get(" ".join(asked), [1, "", "error: no such thing here"])
sys.stdout.write(out)
sys.stderr.write(err)
sys.exit(code)
"""


@dataclass
class FakeEngine:
    """The fake engine and its answers, by the command."""

    folder: Path
    variables: dict[str, str] = field(default_factory=dict)
    answers: dict[str, tuple[int, str, str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.bin = self.folder / "engine"
        self.bin.mkdir()
        program = self.bin / "pulumi"
        program.write_text(_SCRIPT.format(python=sys.executable))
        program.chmod(0o755)
        self.answer("version", "v3.274.1\n")
        self.answer("whoami --verbose --json", json.dumps({"user": "ada", "url": "https://api.pulumi.com"}))
        self.answer("stack --show-name", "test\n")
        self.answer("stack ls --json", json.dumps([{"name": "test"}]))
        self.config("test", {})

    @property
    def environment(self) -> dict[str, str]:
        return {"PATH": os.pathsep.join([str(self.bin), "/usr/bin", "/bin"]), **self.variables}

    @property
    def asked(self) -> list[str]:
        return (self.bin / "asked.txt").read_text().splitlines()

    def answer(self, command: str, output: str = "", *, fails: str = "") -> None:
        self.answers[command] = (1 if fails else 0, output, fails)
        (self.bin / "answers.json").write_text(json.dumps(self.answers))

    def config(self, stack: str, values: dict[str, str], *, secret: dict[str, str] | None = None) -> None:
        """The configuration of a stack, its secrets decrypted where that is asked for."""
        plain = {key: {"value": value, "secret": False} for key, value in values.items()}
        opened = {key: {"value": value, "secret": True} for key, value in (secret or {}).items()}
        sealed = {key: {"secret": True} for key in secret or {}}
        self.answer(f"config --json --show-secrets --stack {stack}", json.dumps({**plain, **opened}))
        self.answer(f"config --json --stack {stack}", json.dumps({**plain, **sealed}))

    def state(self, stack: str, *resources: dict[str, object], pending: tuple[dict[str, object], ...] = ()) -> None:
        """The state of a stack."""
        operations = [{"type": "creating", "resource": one} for one in pending]
        deployment = {"resources": resources, "pending_operations": operations}
        self.answer(f"stack export --stack {stack}", json.dumps({"version": 3, "deployment": deployment}))

    def find(self) -> ProjectEngine:
        engine = ProjectEngine.find(self.folder, self.environment)
        assert engine is not None
        return engine
