"""The API key reaches the wire and nothing else; what a program says is secret stays so.

Where Pulumi itself hands the key on is listed in `CONFIGURATION_IN_GRPC` and `CONFIGURATION_IN_ENVIRONMENT`: the whole
configuration of a stack, decrypted, goes to its program and to its providers. Nothing of this package is in between.
"""

import json
import threading
import uuid
from base64 import b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import quote

import psutil
import pytest

from pulumi_koreai.emulator import Emulator, Fail, ScriptedFault
from pulumi_koreai.emulator.faults import Answer, When
from tests.processes import command_line
from tests.system.engine.workspace import BOTH_HOSTS, KEY, Workspace, model, warmer

pytestmark = pytest.mark.engine

VERBOSE: Final = ("--logtostderr", "-v=11", "--logflow", "--debug")

CONFIGURATION_IN_GRPC: Final = {
    ("LanguageRuntime/Run", "request", "config"),
    ("ResourceMonitor/GetDeploymentInfo", "response", "config"),
    ("ResourceProvider/CheckConfig", "request", "news"),
    ("ResourceProvider/CheckConfig", "request", "olds"),
    ("ResourceProvider/DiffConfig", "request", "olds"),
    ("ResourceProvider/DiffConfig", "request", "news"),
    ("ResourceProvider/DiffConfig", "request", "oldInputs"),
    ("ResourceProvider/Configure", "request", "args"),
    ("ResourceProvider/Configure", "request", "variables"),
}
"""Calls of the engine's with the configuration in them, by method, message and field.

The engine writes its calls down, in plain, when `PULUMI_DEBUG_GRPC` names a file for it; its documentation warns of
that. No setting of a program or a provider keeps the configuration out.
"""

CONFIGURATION_IN_ENVIRONMENT: Final = (b"pulumi-language-python-exec", b"PULUMI_CONFIG")
"""The process that runs the program has the configuration in this variable: the language host has no other way."""


def spellings(secret: str) -> dict[str, bytes]:
    """How the secret may be spelt, base64 at each of the three places where it can begin in what is encoded."""
    raw = secret.encode()
    found = {"raw": raw, "url": quote(secret, safe="").encode(), "hex": raw.hex().encode()}
    for before in range(3):
        encoded = b64encode(b" " * before + raw)[(before * 8 + 5) // 6 : (before + len(raw)) * 8 // 6]
        found[f"base64 at {before}"] = encoded
        found[f"base64url at {before}"] = encoded.replace(b"+", b"-").replace(b"/", b"_")
    return found


def spelt(secret: str, text: bytes | str) -> list[str]:
    """How the secret is spelt in `text`; nothing where it isn't there."""
    content = text.encode() if isinstance(text, str) else text
    return [how for how, spelling in spellings(secret).items() if spelling in content]


class Processes:
    """Looks at the arguments and the environments of every process of this machine while the engine runs."""

    def __init__(self, secret: str) -> None:
        self.arguments: set[bytes] = set()
        self.with_secret: set[tuple[bytes, bytes]] = set()
        """Arguments, and which of them or which variable holds it."""
        self._secret = secret
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> "Processes":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.02):
            for process in psutil.process_iter():
                try:
                    arguments = command_line(process).encode(errors="surrogateescape")
                    variables = [f"{name}={value}" for name, value in process.environ().items()]
                except psutil.Error:
                    continue
                environment = b"\0" + "\0".join(variables).encode(errors="surrogateescape")
                self.arguments.add(arguments)
                if spelt(self._secret, arguments + environment):
                    for part in filter(lambda part: spelt(self._secret, part), (arguments + environment).split(b"\0")):
                        self.with_secret.add((arguments, part.partition(b"=")[0]))


@pytest.fixture
def key(workspace: Workspace) -> str:
    """A key of this test's own, in the configuration; with the characters that encodings change."""
    key = f"KEY+{uuid.uuid4()}/=="
    workspace.set_key(key)
    return key


@pytest.mark.parametrize("before", range(5))
@pytest.mark.parametrize("encode", [lambda raw: raw, b64encode, lambda raw: quote(raw, safe="").encode()])
def test_the_search_finds_each_spelling(encode: Callable[[bytes], bytes], before: int) -> None:
    assert spelt("KEY+3f9c/==", encode(b"x" * before + b"KEY+3f9c/==" + b"y" * before))
    assert not spelt("KEY+3f9c/==", encode(b"x" * before + b"KEY+3f8c/==" + b"y" * before))


@BOTH_HOSTS
def test_the_key_is_found_nowhere(workspace: Workspace, key: str, tmp_path: Path) -> None:
    """The whole life of a model, with a platform that tells the key in its errors, at the highest verbosity.

    Takes half a minute: the engine writes some megabytes of logs.
    """
    platform, grpc = workspace.emulator, tmp_path / "grpc.json"
    (tmp_path / "tmp").mkdir()
    workspace.env |= {"PULUMI_DEBUG_GRPC": str(grpc), "TMPDIR": str(tmp_path / "tmp")}
    said: list[str] = []

    def run(*command: str, fails: bool = False) -> str:
        said.append(workspace.pulumi(*command, *VERBOSE, fails=fails, noisy=True).output)
        return said[-1]

    def up(*, fails: bool = False) -> str:
        return run("up", "--yes", "--skip-preview", fails=fails)

    with Processes(key) as processes:
        workspace.declare(chat=model())
        run("preview", "--diff")
        up()
        workspace.declare(chat=warmer(updateStrategy="redeploy"))
        platform.use(
            ScriptedFault(
                then=[Answer(status=400, body={"message": f"not with {key}"})],
                operation=["deploy"],
                when=When(times=1),
            )
        )
        assert "not with [koreai:apiKey]" in up(fails=True)
        platform.set_model("cm-1", fail=Fail(deploy=f"no GPU for {key}", once=True))
        assert "no GPU for [koreai:apiKey]" in up(fails=True)
        run("refresh", "--yes", "--skip-preview")
        run("preview", "--json")
        up()
        said.append(workspace.pulumi("stack", "export").output)
        with_secrets = json.loads(workspace.pulumi("stack", "export", "--show-secrets").output)
        run("destroy", "--yes", "--skip-preview")

    assert len(platform.requests()) > 8, "the key did reach the wire: the emulator refuses calls without one"
    assert [spelt(key, output) for output in said if spelt(key, output)] == []
    files = [path for path in tmp_path.rglob("*") if path.is_file() and ".venv" not in path.parts and path != grpc]
    assert any("state" in path.parts for path in files)
    assert {path: spelt(key, path.read_bytes()) for path in files if spelt(key, path.read_bytes())} == {}

    # Decrypted, the state has the key as the configuration of the default provider and in no resource.
    holding = [resource["type"] for resource in with_secrets["deployment"]["resources"] if spelt(key, str(resource))]
    assert holding == ["pulumi:providers:pulumi-python"]

    host = b"pulumi.dynamic" if workspace.host == "stock" else b"pulumi_koreai.host"
    assert any(host in arguments for arguments in processes.arguments), "it did look"
    program, variable = CONFIGURATION_IN_ENVIRONMENT
    assert [
        (arguments, place)
        for arguments, place in processes.with_secret
        if program not in arguments or place != variable
    ] == []

    told = {
        (call["method"].removeprefix("/pulumirpc."), message, name)
        for call in map(json.loads, grpc.read_text().splitlines())
        for message, content in call.items()
        for name, value in (content.items() if isinstance(content, dict) else [("", content)])
        if spelt(key, json.dumps({name: value}))
    }
    assert told, "it did look"
    assert told <= CONFIGURATION_IN_GRPC


def test_a_refused_key_is_told_by_its_name_alone(workspace: Workspace) -> None:
    accept_only("another", workspace.emulator)
    workspace.declare(chat=model())
    output = workspace.up(fails=True)
    assert "does not accept the key in koreai:apiKey" in output
    assert KEY not in output


def accept_only(key: str, platform: Emulator) -> None:
    with platform.lock:
        object.__setattr__(platform.options, "api_keys", {key: frozenset()})


def test_a_new_key_reaches_what_does_not_run_the_program_once_the_program_was_run(workspace: Workspace) -> None:
    # Otherwise the engine configures a provider with what it had when the program was last run.
    workspace.declare(chat=model())
    workspace.up()
    accept_only("a-new-key", workspace.emulator)
    workspace.set_key("a-new-key")
    assert "does not accept the key" in workspace.pulumi("refresh", "--yes", "--skip-preview", fails=True).output
    assert "does not accept the key" in workspace.destroy(fails=True)
    workspace.pulumi("refresh", "--yes", "--skip-preview", "--run-program")
    workspace.destroy()
    assert workspace.emulator.model("cm-1").deployment is None


SECRET_NAME, SECRET_STOP = "the-name-is-secret", "the-stop-is-secret"
WITH_SECRETS = f"""
import pulumi
from pulumi_koreai import ModelDeployment

chat = ModelDeployment(
    "chat",
    model_id="cm-1",
    deployment_name=pulumi.Output.secret("{SECRET_NAME}"),
    device_type="g5.xlarge",
    hyper_parameters={{
        "temperature": 0.5,
        "max_tokens": 128,
        "top_p": 1,
        "top_k": 10,
        "stop_sequence": [pulumi.Output.secret("{SECRET_STOP}")],
    }},
)
pulumi.export("name", chat.deployment_name)
pulumi.export("parameters", chat.hyper_parameters)
"""


def test_a_secret_argument_stays_secret_through_the_life_of_a_model(workspace: Workspace) -> None:
    said: list[str] = []

    def look(output: str) -> None:
        said.extend([output, workspace.pulumi("stack", "export").output])

    workspace.program(WITH_SECRETS)
    look(workspace.preview("--diff"))
    look(workspace.up())
    deploy = workspace.emulator.requests()[0]
    assert SECRET_NAME in str(deploy.body)
    assert SECRET_STOP in str(deploy.body)
    look(workspace.refresh())
    assert "unchanged" in workspace.preview("--expect-no-changes")
    workspace.program(WITH_SECRETS.replace("0.5", "0.9").replace(SECRET_NAME, f"{SECRET_NAME}-too"))
    look(workspace.preview("--diff"))
    look(workspace.preview("--json"))
    workspace.emulator.set_model("cm-1", fail=Fail(deploy="no GPU is free", once=True))
    look(workspace.up(fails=True))
    look(workspace.refresh())
    look(workspace.up())
    look(workspace.pulumi("stack", "output", "--json").output)
    look(workspace.destroy())
    assert [output for output in said if spelt(SECRET_NAME, output) or spelt(SECRET_STOP, output)] == []


def test_a_secret_model_id_is_masked_as_an_argument_and_shown_as_the_id(workspace: Workspace) -> None:
    # The engine has no secret ids; so the README says that this one is in plain.
    secret = WITH_SECRETS.replace('model_id="cm-1"', 'model_id=pulumi.Output.secret("cm-secret")')
    workspace.program(f'{secret}pulumi.export("model", chat.model_id)\n')
    assert "cm-secret" not in workspace.preview("--diff"), "there is no id yet"
    workspace.up()
    chat = workspace.resource("chat")
    assert chat.pop("id") == "cm-secret"
    assert "ciphertext" in chat["inputs"]["model_id"]
    assert "ciphertext" in chat["outputs"]["model_id"]
    assert "cm-secret" not in str(chat)
    assert json.loads(workspace.pulumi("stack", "output", "--json").output)["model"] == "[secret]"
    workspace.program(secret.replace("0.5", "0.9"))
    preview = workspace.preview("--diff")
    assert "[id=cm-secret]" in preview
    assert "cm-secret is undeployed, then deployed" in preview


def test_a_faulty_secret_argument_is_not_shown(workspace: Workspace) -> None:
    workspace.program(WITH_SECRETS.replace(SECRET_NAME, f"{SECRET_NAME} "))
    output = workspace.up(fails=True)
    assert SECRET_NAME not in output
    assert "deployment_name: got a value that is not shown (it may be secret); expected one line of text" in output
