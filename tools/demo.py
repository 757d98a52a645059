"""The main job, from start to finish: a stack of models comes up, changes and goes, on the built-in emulator.

Everything happens in a temporary folder and on this machine; nothing is left when it ends, however it ends.
"""

import contextlib
import difflib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import engine

CLONE = Path(__file__).resolve().parent.parent
EMULATOR = [sys.executable, "-m", "pulumi_koreai", "emulator", "--job-seconds", "4", "--undeploy-seconds", "1"]
STOP_SECONDS = 30.0


class DemoError(Exception):
    """A step did not do what it should; the message says which."""


def main() -> int:
    """Run the demo. 0: every step did what it says; 1: one did not; 130 and 143: interrupted."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        pulumi_env = engine.environment(engine.obtain(), os.environ)
        with tempfile.TemporaryDirectory(prefix="pulumi-koreai-demo-") as folder, emulator() as url:
            Demo(Path(folder), url, pulumi_env).run()
    except (DemoError, engine.EngineError) as error:
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is stopped and removed.", file=sys.stderr)
        return 130
    return 0


def _stop(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


@contextlib.contextmanager
def emulator() -> Iterator[str]:
    """The platform's stand-in on a free port of this machine, as a process of its own."""
    say("starting the emulator, which stands in for the platform")
    # A session of its own: Ctrl-C in the terminal shall not end it before the stack that needs it.
    process = subprocess.Popen(EMULATOR, stdout=subprocess.PIPE, text=True, start_new_session=True)
    try:
        assert process.stdout is not None
        ready = process.stdout.readline()
        if "http://" not in ready:
            raise DemoError("the emulator did not start.")
        url = ready.split()[-1]
        print(f"  it listens at {url}")
        yield url
    finally:
        process.terminate()
        process.wait()


class Demo:
    """A copy of this project's program and of its `dev` stack, with a state and a key of its own."""

    def __init__(self, folder: Path, url: str, env: dict[str, str]) -> None:
        self.url = url
        self.project = folder / "project"
        self.stack_file = self.project / "stacks" / "Pulumi.dev.yaml"
        self.stack_file.parent.mkdir(parents=True)
        for name in ("Pulumi.yaml", "__main__.py", "stacks/Pulumi.dev.yaml"):
            try:
                shutil.copy(CLONE / name, self.project / name)
            except FileNotFoundError:
                raise DemoError(f"{name} is missing; the demo works on a copy of it.") from None
        (self.project / ".venv").symlink_to(CLONE / ".venv")
        state = folder / "state"
        state.mkdir()
        self.env = {
            **env,
            "PULUMI_BACKEND_URL": state.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            # As many models at once as there are; the engine's default is a few for each core.
            "PULUMI_PARALLEL": "64",
        }

    def run(self) -> None:
        """All the steps.

        Raises:
            DemoError: one failed.
        """
        say("making a stack in a temporary folder: state in a file, no account; the key goes in encrypted")
        self.pulumi("stack", "init", "dev", quiet=True)
        self.pulumi("config", "set", "koreai:host", self.url)
        self.pulumi("config", "set", "--secret", "koreai:apiKey", given=secrets.token_hex(16))

        say("bringing the stack's models up: each is deployed, and waited for")
        self.pulumi("up", "--yes", "--skip-preview")
        self.expect("chat", "summary", "rerank", "router")

        say("a pull request changes one parameter of `chat`")
        self.edit("temperature: 0.7", "temperature: 0.2")
        say("its preview shows what that means; nothing is sent")
        self.pulumi("preview", "--diff")
        say("merged: `chat` is undeployed, then deployed with the new parameter; the others stay as they are")
        self.pulumi("up", "--yes", "--skip-preview")
        self.expect("chat", "summary", "rerank", "router")

        say("another pull request declares `summary` undeployed")
        self.edit("deploymentName: summary", "deploymentName: summary\n      deployed: false")
        self.pulumi("up", "--yes", "--skip-preview")
        self.expect("chat", "rerank", "router")

        say("all is destroyed")
        self.pulumi("destroy", "--yes", "--skip-preview")
        self.expect()
        if left := self.resources():
            raise DemoError(f"the state still has {', '.join(left)}.")
        say("done: the emulator holds no deployed model, the state no resource. README.md says how to go on")

    def pulumi(self, *arguments: str, given: str | None = None, quiet: bool = False) -> None:
        """Run the engine as a user would; a Ctrl-C goes to it once, and it ends its way."""
        print(f"$ pulumi {' '.join(arguments)}", flush=True)
        # A session of its own, so that the terminal's Ctrl-C reaches the engine through here, once.
        on_stack = [] if arguments[0] == "stack" else ["--stack", "dev"]
        process = subprocess.Popen(
            ["pulumi", *arguments, *on_stack, "--non-interactive"],
            cwd=self.project,
            env=self.env,
            stdin=subprocess.PIPE if given else subprocess.DEVNULL,
            stdout=subprocess.DEVNULL if quiet else None,
            text=True,
            start_new_session=True,
        )
        try:
            process.communicate(given)
        except BaseException:
            stop(process)
            raise
        if process.returncode:
            raise DemoError(f"`pulumi {' '.join(arguments)}` ended with {process.returncode}, see above.")

    def edit(self, old: str, new: str) -> None:
        """Change the stack's file and show the change as a pull request would."""
        before = self.stack_file.read_text()
        after = before.replace(old, new, 1)
        if after == before:
            raise DemoError(f"stacks/Pulumi.dev.yaml has no `{old}` to change.")
        self.stack_file.write_text(after)
        for line in list(difflib.unified_diff(before.splitlines(), after.splitlines(), n=1, lineterm=""))[2:]:
            print(f"  {line}")

    def expect(self, *names: str) -> None:
        """Ask the emulator itself what is deployed now."""
        with urllib.request.urlopen(f"{self.url}/emulator/models", timeout=10) as answer:
            models = json.load(answer)
        deployed = sorted(model["deployment"]["name"] for model in models if model["deployment"])
        print(f"  deployed on the emulator now: {', '.join(deployed) or 'nothing'}")
        if deployed != sorted(names):
            raise DemoError(f"expected on the emulator: {', '.join(sorted(names)) or 'nothing'}.")

    def resources(self) -> list[str]:
        """The URNs in the state."""
        exported = subprocess.run(
            ["pulumi", "stack", "export", "--stack", "dev"],
            cwd=self.project,
            env=self.env,
            check=True,
            capture_output=True,
        )
        return [resource["urn"] for resource in json.loads(exported.stdout)["deployment"].get("resources", [])]


def stop(process: subprocess.Popen[str]) -> None:
    """End the engine as Ctrl-C does, and by force when it does not end within half a minute."""
    process.send_signal(signal.SIGINT)
    deadline = time.monotonic() + STOP_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(KeyboardInterrupt, subprocess.TimeoutExpired):
            process.wait(timeout=1)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def say(what: str) -> None:
    """A line before each step."""
    print(f"\n== {what}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
