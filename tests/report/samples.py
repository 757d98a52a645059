"""The sample changes of which reports are kept beside: what each declares, and how the real engine is made to tell it.

    PYTHONPATH=.:tools .venv/bin/python tests/report/samples.py

makes them all anew, in a few minutes: `previews/*.json` and `runs/*.jsonl`, as the engine printed them but for what
differs on each machine and in each run, and `golden/*.md`, the reports on them. Read what it changes before you commit.
"""

import json
import os
import re
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import engine as engine_tool
from pulumi_koreai.emulator import Emulator, Fail, Options
from pulumi_koreai.report.engine_json import Digest, read_engine_json
from pulumi_koreai.report.preview import Preview
from pulumi_koreai.report.run import Report
from tests.system.engine.workspace import Model, Workspace

HERE: Final = Path(__file__).resolve().parent
MAX_CHARS: Final = 60_000

_NOT_OF_THE_REPORT: Final = {
    "config",
    "created",
    "dependencies",
    "duration",
    "modified",
    "parent",
    "propertyDependencies",
    "provider",
    "sourcePosition",
    "stackTrace",
}
"""What in the engine's JSON tells of this machine or this hour, or is big and read by nobody here."""


class Production(Workspace):
    """A stack named `prod`."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.pulumi("stack", "rename", "prod")
        self.env["PULUMI_STACK"] = "prod"
        self.config["config"]["koreai:requestsPerMinute"] = "6000"

    @property
    def _stack_file(self) -> Path:
        named = self.folder / "stacks" / "Pulumi.prod.yaml"
        return named if named.exists() else super()._stack_file


def entry(
    number: int, name: str, device: str = "g5.xlarge", replicas: tuple[int, int] = (1, 3), **more: object
) -> Model:
    """An entry of the stack's file."""
    return {
        "modelId": f"cm-{number:08d}-0000-5000-8000-000000000000",
        "deploymentName": name,
        "deviceType": device,
        "hyperParameters": {"temperature": 0.7, "maxTokens": 512, "topP": 0.9, "topK": 40},
        "scalingParameters": {"minReplicas": replicas[0], "maxReplicas": replicas[1]},
        **more,
    }


def base() -> dict[str, Model]:
    """What is up before each of the single changes."""
    return {
        "support-chat": entry(1, "support-chat", "g5.12xlarge", (2, 8)),
        "summary": entry(2, "summary", updateStrategy="redeploy"),
        "rerank": entry(3, "rerank", "g6e.xlarge", modelType="fineTune", protect=True),
        "router": entry(4, "router", "g4dn.xlarge", (1, 2)),
        "old-classifier": entry(5, "old-classifier", "g4dn.xlarge", (1, 1), deployed=False),
    }


def with_(name: str, **more: object) -> dict[str, Model]:
    """The base with one entry changed; its `hyperParameters` and `scalingParameters` in part."""
    models = base()
    for key, given in more.items():
        before = models[name].get(key)
        models[name][key] = {**before, **given} if isinstance(before, dict) and isinstance(given, dict) else given
    return models


def without(name: str) -> dict[str, Model]:
    models = base()
    del models[name]
    return models


CHANGES: Final[Mapping[str, Mapping[str, Model]]] = {
    "deploy": {**base(), "translate": entry(6, "translate", "g5.48xlarge", (1, 4))},
    "redeploy": with_("support-chat", hyperParameters={"temperature": 0.2, "stopSequence": ["<|im_end|>", "###"]}),
    "redeploy-over": with_("summary", hyperParameters={"topK": 10}, optimizationInfo={"optimizationType": "vllm"}),
    "replace": with_("router", modelId="cm-00000009-0000-5000-8000-000000000000"),
    "undeploy": with_("rerank", deployed=False),
    "remove": without("router"),
    "rename": {**without("router"), "triage": base()["router"]},
    "move": {**with_("router", modelId="cm-00000009-0000-5000-8000-000000000000"), "triage": base()["router"]},
    "take-over": {**base(), "invoices": entry(7, "invoices", "g6e.xlarge", adopt=True)},
    "bring-back": with_("old-classifier", deployed=True),
    "fewer-replicas": with_("support-chat", scalingParameters={"minReplicas": 1, "maxReplicas": 4}),
    "record": with_("support-chat", timeouts={"update": "90m"}, updateStrategy="redeploy"),
    "protect": with_("summary", protect=True),
    "unprotect": with_("rerank", protect=False),
    "nothing": base(),
}
"""Each a pull request against `base`."""

REFUSED: Final[Mapping[str, Mapping[str, Model]]] = {
    "protected": without("rerank"),
    "faults": {**with_("router", deviceType="g5.huge", temperature=1), "again": entry(1, "again")},
}
"""Those that the engine or the program does not let pass."""

OTHERS: Final = """
import pulumi
from pulumi.dynamic import CreateResult, Resource, ResourceProvider
from pulumi_koreai import ModelDeployment


class Provider(ResourceProvider):
    def create(self, props):
        return CreateResult("x", props)


class Bucket(Resource):
    def __init__(self, name):
        super().__init__(Provider(), name, {"size": 1})


Bucket("logs")
Bucket("data")
hyper_parameters = {"temperature": 0.7, "max_tokens": 512, "top_p": 1, "top_k": 5}
common = {"device_type": "g5.xlarge", "hyper_parameters": hyper_parameters}
first = ModelDeployment("first", model_id="cm-1", deployment_name=pulumi.Output.secret("a-secret-name"), **common)
ModelDeployment("second", model_id="cm-2", deployment_name=first.state.apply(lambda state: "after"), **common)
ModelDeployment("third", model_id="cm-3", deployment_name="third", deployed=first.state.apply(lambda _: True), **common)
"""
"""A program with other resources too, a secret, and values that are known only in the run."""

MANY: Final = 110


def many() -> dict[str, Model]:
    """A hundred models and ten, on two kinds of hardware."""
    devices = ("g5.xlarge", "g5.2xlarge", "g6e.xlarge")
    return {f"model-{n:03d}": entry(n, f"model-{n:03d}", devices[n % 3], (1 + n % 2, 4)) for n in range(1, MANY + 1)}


def mixed() -> dict[str, Model]:
    """Of the many, a few of each change, and one change that forty of them have in common."""
    models = many()
    for n in range(1, 41):
        models[f"model-{n:03d}"]["hyperParameters"]["temperature"] = 0.2
    for n in range(41, 71):
        models[f"model-{n:03d}"]["hyperParameters"] |= {"maxTokens": 100 + n, "stopSequence": [f"<|{n}|>"]}
        models[f"model-{n:03d}"]["scalingParameters"]["maxReplicas"] = 5 + n % 3
    for n in range(71, 76):
        models[f"model-{n:03d}"]["deployed"] = False
    for n in range(76, 79):
        models[f"model-{n:03d}"]["modelId"] = f"cm-{n:08d}-1111-5000-8000-000000000000"
    for n in range(79, 84):
        models[f"model-{n:03d}"]["scalingParameters"]["minReplicas"] = 1
        models[f"model-{n:03d}"]["updateStrategy"] = "redeploy"
    for n in range(84, 90):
        del models[f"model-{n:03d}"]
    for n in range(90, 94):
        models[f"model-{n:03d}"]["timeouts"] = {"update": "90m"}
    for n in range(201, 205):
        models[f"model-{n}"] = entry(n, f"model-{n}", "g5.48xlarge", (1, 8))
    for n in range(205, 208):
        models[f"model-{n}"] = entry(n, f"model-{n}", adopt=True)
    return models


def trimmed(printed: str) -> str:
    """What the engine printed, without what differs on each machine and in each run; one step or event a line."""
    printed = re.sub(r"http://127\.0\.0\.1:\d+", "http://127.0.0.1:8731", printed)
    for number, job in enumerate(
        dict.fromkeys(re.findall(r"ds-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", printed)), 1
    ):
        printed = printed.replace(job, f"ds-00000000-0000-5000-8000-{number:012d}")
    if printed.lstrip().startswith("{\n"):
        digest = _trimmed(json.loads(printed))
        steps = ",\n".join(json.dumps(step, ensure_ascii=False) for step in digest.pop("steps", []))
        rest = json.dumps(digest, ensure_ascii=False).removeprefix("{")
        return f'{{"steps": [\n{steps}\n],\n{rest}\n'
    lines = [json.loads(line) for line in printed.splitlines() if line.startswith("{")]
    kept = [line for line in lines if line.get("diagnosticEvent", {}).get("severity") != "debug"]
    for line in kept:
        if "preludeEvent" in line:  # of the configuration the report reads the models' names alone
            models = json.loads(line["preludeEvent"]["config"]["koreai:models"])
            line["preludeEvent"] = {"config": {"koreai:models": json.dumps({name: {} for name in models})}}
    return "".join(json.dumps(_trimmed(line, events=True), ensure_ascii=False) + "\n" for line in kept)


def _trimmed(value: Any, *, events: bool = False) -> Any:
    """Without what is not read, and in a preview with durations that depend on the model alone."""
    match value:
        case dict():
            left = (_NOT_OF_THE_REPORT - {"config"}) | {"inputs"} if events else _NOT_OF_THE_REPORT
            kept = {key: _trimmed(inner, events=events) for key, inner in value.items() if key not in left}
            if kept.get("last_job_seconds") and not events:
                kept["last_job_seconds"] = 400.0 + 11 * (sum(map(ord, str(kept.get("model_id")))) % 37)
            return kept
        case list():
            return [_trimmed(inner, events=events) for inner in value]
        case _:
            return value


def rendered(printed: str) -> str:
    """The report on what the engine printed."""
    told = read_engine_json(printed)
    return (Preview.of(told) if isinstance(told, Digest) else Report.of(told)).markdown(MAX_CHARS)


@contextmanager
def workspace(folder: Path, env: Mapping[str, str], own_host: Path, **options: float) -> Iterator[Production]:
    """A stack named `prod`, on a platform of its own."""
    speed: dict[str, Any] = {"job_seconds": 0.5, "undeploy_seconds": 0.3, "requests_per_minute": None, **options}
    with Emulator(Options(**speed)) as emulator:
        yield Production(folder, {**env, "PULUMI_DEBUG_COMMANDS": "true"}, emulator, "own", own_host)


def preview(stack: Workspace, *, fails: bool = False) -> str:
    """What `pulumi preview --json --show-sames --show-replacement-steps` prints."""
    return trimmed(stack.pulumi("preview", "--json", "--show-sames", "--show-replacement-steps", fails=fails).output)


def run(stack: Workspace, command: str, *, fails: bool = False) -> str:
    """The events of a run."""
    log = stack.folder.parent / f"{command}.jsonl"
    stack.pulumi(command, "--yes", "--skip-preview", "--event-log", str(log), fails=fails)
    return trimmed(log.read_text(encoding="utf-8"))


def single(stack: Production) -> Iterator[tuple[str, str]]:
    """The single changes, and a run that fails and what a preview says after it."""
    stack.declare(base())
    stack.up()
    for name, models in CHANGES.items():
        stack.declare(models)
        yield f"previews/{name}.json", preview(stack)
    for name, models in REFUSED.items():
        stack.declare(models)
        yield f"previews/{name}.json", preview(stack, fails=True)
    stack.emulator.set_model("cm-00000011-0000-5000-8000-000000000000", fail=Fail(deploy="no GPU is free", once=True))
    stack.emulator.set_model("cm-00000012-0000-5000-8000-000000000000", job_seconds=600)
    unsettled = {
        **with_("router", hyperParameters={"topK": 5}),
        "no-gpu": entry(11, "no-gpu"),
        "slow": entry(12, "slow", timeouts={"create": "3s"}),
        "after": entry(13, "after", dependsOn=["no-gpu"]),
    }
    stack.declare(unsettled)
    yield "runs/failed.jsonl", run(stack, "up", fails=True)
    unsettled["slow"] = entry(12, "slow")
    stack.declare(unsettled)
    yield "previews/unsettled.json", preview(stack)


def leftover(stack: Production) -> Iterator[tuple[str, str]]:
    """What a replacement has left whose undeploy failed."""
    stack.declare(base())
    stack.up()
    stack.emulator.set_model("cm-00000004-0000-5000-8000-000000000000", fail=Fail(undeploy="it is stuck", once=True))
    stack.declare(CHANGES["replace"])
    stack.up(fails=True)
    yield "previews/leftover.json", preview(stack)


def others(stack: Production) -> Iterator[tuple[str, str]]:
    stack.program(OTHERS)
    yield "previews/others.json", preview(stack)


def hundred(stack: Production) -> Iterator[tuple[str, str]]:
    """The mix over more than a hundred models: its preview, its run, and the run that takes all of them down."""
    stack.declare(many())
    stack.up()
    stack.declare(mixed())
    yield "previews/mix-over-100.json", preview(stack)
    for n in (3, 45, 203):
        stack.emulator.set_model(f"cm-{n:08d}-0000-5000-8000-000000000000", job_seconds=4 + n / 20)
    yield "runs/mix-over-100.jsonl", run(stack, "up")


def main() -> int:
    """Make all of it anew."""
    engine = engine_tool.obtain()
    assert engine.folder is not None
    makers: list[tuple[Callable[[Production], Iterator[tuple[str, str]]], dict[str, float]]] = [
        (single, {}),
        (leftover, {}),
        (others, {}),
        (hundred, {"job_seconds": 2.0}),
    ]
    for make, options in makers:
        with tempfile.TemporaryDirectory() as folder:
            state = Path(folder) / "state"
            state.mkdir()
            env = engine_tool.environment(
                engine,
                {
                    **{key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KOREAI_"))},
                    "PULUMI_BACKEND_URL": state.as_uri(),
                    "PULUMI_CONFIG_PASSPHRASE": "x",
                    "PULUMI_HOME": str(Path(folder) / "home"),
                    "PULUMI_PARALLEL": "128",
                    "PULUMI_SKIP_UPDATE_CHECK": "true",
                    "NO_COLOR": "1",
                },
            )
            with workspace(Path(folder) / "project", env, engine.folder, **options) as stack:
                for path, text in make(stack):
                    print(path, flush=True)
                    (HERE / path).parent.mkdir(exist_ok=True)
                    (HERE / path).write_text(text, encoding="utf-8")
    (HERE / "golden").mkdir(exist_ok=True)
    for sample in samples():
        golden(sample).write_text(rendered(sample.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def samples() -> list[Path]:
    """What is kept of the engine's words."""
    return sorted([*HERE.glob("previews/*.json"), *HERE.glob("runs/*.jsonl")])


def golden(sample: Path) -> Path:
    """Where the report on it is kept."""
    return HERE / "golden" / f"{sample.parent.name.removesuffix('s')}-{sample.stem}.md"


if __name__ == "__main__":
    sys.exit(main())
