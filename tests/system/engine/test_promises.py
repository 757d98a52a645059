"""What the report on a preview promises of each model, and what the platform sees of it in the `up` that follows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pulumi_koreai.report.changes import Change, ChangeKind
from pulumi_koreai.report.engine_json import Digest, read_engine_json
from pulumi_koreai.report.preview import Preview
from tests.system.engine.workspace import Workspace

PROGRAM: Final = """
import pulumi
from pulumi import ResourceOptions
from pulumi_koreai import ModelDeployment


def model(name, number, temperature=0.5, opts=None, **more):
    hyper_parameters = {"temperature": temperature, "max_tokens": 128, "top_p": 1, "top_k": 10}
    return ModelDeployment(
        name,
        model_id=f"cm-{number}",
        deployment_name=name,
        device_type="g5.xlarge",
        hyper_parameters=hyper_parameters,
        opts=opts,
        **more,
    )


"""
URN: Final = "urn:pulumi:test::koreai-models::pulumi-python:dynamic/koreai:ModelDeployment::"
NEXT: Final = 500
"""What an entry's number is raised by where another model takes its place."""


@dataclass(frozen=True)
class Variant:
    """A change of one entry. `{n}` is its number, `{m}` that of another model, and `e{n}` its name.

    Attributes:
        before: the program's line that is up.
        after: the line that is then declared; "" for none.
        taints: whether the resource is marked to be replaced.
        replaces: whether the command names the resource as one to be replaced.
    """

    before: str
    after: str
    taints: bool = False
    replaces: bool = False


_PLAIN: Final = 'model("e{n}", {n})'
VARIANTS: Final[Mapping[str, Variant]] = {
    "stays": Variant(_PLAIN, _PLAIN),
    "new": Variant("", _PLAIN),
    "new, adopted": Variant("", 'model("e{n}", {n}, adopt=True)'),
    "parameters": Variant(_PLAIN, 'model("e{n}", {n}, 0.9)'),
    "parameters, redeploy": Variant(_PLAIN, 'model("e{n}", {n}, 0.9, update_strategy="redeploy")'),
    "off": Variant(_PLAIN, 'model("e{n}", {n}, deployed=False)'),
    "on": Variant('model("e{n}", {n}, deployed=False)', _PLAIN),
    "gone": Variant(_PLAIN, ""),
    "off, then gone": Variant('model("e{n}", {n}, deployed=False)', ""),
    "renamed": Variant(_PLAIN, 'model("f{n}", {n})'),
    "another model": Variant(_PLAIN, 'model("e{n}", {m})'),
    "another model, old first": Variant(
        _PLAIN, 'model("e{n}", {m}, opts=ResourceOptions(delete_before_replace=True))'
    ),
    "another model, and the old one under another name": Variant(
        _PLAIN, 'model("e{n}", {m}); model("f{n}", {n})'
    ),
    "renewed by a parameter": Variant(
        _PLAIN, 'model("e{n}", {n}, 0.9, opts=ResourceOptions(replace_on_changes=["hyper_parameters"]))'
    ),
    "renewed by a parameter, old first": Variant(
        _PLAIN,
        'model("e{n}", {n}, 0.9, opts=ResourceOptions(replace_on_changes=["*"], delete_before_replace=True))',
    ),
    "renewed by --replace": Variant(_PLAIN, _PLAIN, replaces=True),
    "renewed by a taint": Variant(_PLAIN, 'model("e{n}", {n}, 0.9)', taints=True),
    "renewed, off": Variant(_PLAIN, 'model("e{n}", {n}, deployed=False)', taints=True),
    "retained": Variant('model("e{n}", {n}, opts=ResourceOptions(retain_on_delete=True))', ""),
    "retained, another model": Variant(
        'model("e{n}", {n}, opts=ResourceOptions(retain_on_delete=True))', 'model("e{n}", {m})'
    ),
    "gone with another": Variant(
        'model("e{n}", {n}, opts=ResourceOptions(deleted_with=model("f{n}", {m})))', ""
    ),
}  # fmt: skip


@dataclass
class Seen:
    """What was promised or seen of a model.

    Attributes:
        undeployed: it was undeployed while it ran.
        deployed: a deploy was sent.
        runs: it runs in the end.
    """

    undeployed: bool = False
    deployed: bool = False
    runs: bool = False


@dataclass
class Stack:
    """A stack of entries, each with a variant.

    Attributes:
        workspace: where it is.
        variants: by the entry's number.
    """

    workspace: Workspace
    variants: dict[int, Variant] = field(default_factory=dict)

    def up(self) -> None:
        """Bring up what is there before the change."""
        self._declare(variant.before for variant in self.variants.values())
        self.workspace.up()
        for number, variant in self.variants.items():
            if variant.taints:
                self.workspace.pulumi("state", "taint", f"{URN}e{number}")

    def _declare(self, lines: Iterable[str]) -> None:
        made = [line.format(n=n, m=n + NEXT) for n, line in zip(self.variants, lines, strict=True)]
        self.workspace.program(PROGRAM + "\n".join(made))

    def change(self, *options: str) -> None:
        """Preview the change and carry it out; what is promised must be what is seen."""
        self._declare(variant.after for variant in self.variants.values())
        replaced = [f"--replace={URN}e{number}" for number, variant in self.variants.items() if variant.replaces]
        compare(self.workspace, *options, *replaced)


def running(workspace: Workspace) -> set[str]:
    models = {job.model_id for job in workspace.emulator.jobs()}
    return {model_id for model_id in models if workspace.emulator.model(model_id).deployment is not None}


def compare(workspace: Workspace, *options: str) -> Preview:
    """Preview what is declared, bring it up, and compare."""
    before = running(workspace)
    digest = read_engine_json(
        workspace.pulumi("preview", "--json", "--show-sames", "--show-replacement-steps", *options).output
    )
    assert isinstance(digest, Digest)
    told = Preview.of(digest)
    workspace.sent()
    workspace.pulumi("up", "--yes", "--skip-preview", *options)
    sent = workspace.sent()
    promised = promises(digest, told.changes, before)
    after = running(workspace)
    seen = {
        model_id: Seen(
            f"undeploy {model_id}" in sent and model_id in before, f"deploy {model_id}" in sent, model_id in after
        )
        for model_id in promised
    }
    assert promised == seen
    assert {line.split()[-1] for line in sent} <= set(promised), "nothing is sent that is not in the report"
    return told


def promises(digest: Digest, changes: Sequence[Change], before: set[str]) -> dict[str, Seen]:
    """What the report says of each model: an entry's one, or the two of a replacement."""
    ids: dict[str, list[tuple[Any, Any]]] = {}
    for step in digest.steps:
        if step.is_model and not step.is_left_out:
            old = step.old.outputs.get("model_id") if step.old else None
            ids.setdefault(step.name, []).append((old, step.new.inputs.get("model_id") if step.new else None))
    found: dict[str, Seen] = {}
    for change in changes:
        ((old, new),) = ids[change.name]
        for model_id in {old, new} - {None}:
            found.setdefault(model_id, Seen(runs=model_id in before))
        replaced = change.kind is ChangeKind.REPLACED
        if change.cuts_off:
            found[old or new].undeployed |= (old or new) in before
        if change.kind in (ChangeKind.DEPLOYED, ChangeKind.REDEPLOYED) or (replaced and change.after):
            found[new].deployed = True
    for one in found.values():
        one.runs = one.deployed or (one.runs and not one.undeployed)
    return found


@pytest.fixture
def stack(workspace: Workspace) -> Stack:
    workspace.config["config"]["koreai:requestsPerMinute"] = "6000"
    workspace.declare()
    return Stack(workspace)


@pytest.mark.engine
def test_each_change_is_seen_as_it_was_promised(stack: Stack) -> None:
    """All of them in one run: they have nothing to do with each other."""
    stack.variants = dict(zip(count(1), VARIANTS.values()))
    stack.up()
    stack.change()


@pytest.mark.engine
def test_what_is_not_among_the_targets_keeps_nothing_from_being_undeployed(workspace: Workspace) -> None:
    workspace.program(PROGRAM + 'model("chat", 1); model("mail", 2)')
    workspace.up()
    workspace.program(PROGRAM + 'model("talk", 1); model("post", 2)')
    told = compare(workspace, f"--target={URN}chat")
    (gone,) = told.changing
    assert (gone.kind, gone.cuts_off) == (ChangeKind.UNDEPLOYED, True), "nothing of `talk` is done in this run"
    assert told.left_out == ["post", "talk"]
    told = compare(workspace, f"--exclude={URN}mail", f"--exclude={URN}talk")
    assert [(one.name, one.kind) for one in told.changing] == [("post", ChangeKind.REDEPLOYED)]
    told = compare(workspace, f"--target={URN}mail")
    assert [(one.name, one.kind) for one in told.changing] == [("mail", ChangeKind.RECORDED)], "`post` has it now"


@pytest.mark.engine
@pytest.mark.nightly
@given(data=st.data())
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_generated_changes_are_seen_as_they_were_promised(stack: Stack, data: st.DataObject) -> None:
    first = max(stack.variants, default=0) + 1
    names = data.draw(st.lists(st.sampled_from(sorted(VARIANTS)), min_size=1, max_size=8))
    stack.variants = {first + index: VARIANTS[name] for index, name in enumerate(names)}
    stack.up()
    targets = data.draw(st.lists(st.sampled_from(sorted(stack.variants)), unique=True, max_size=2))
    stack.change(*(f"--exclude={URN}e{number}" for number in targets))
