"""A model that one previewed stack lets go of and another stack declares (report R10)."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pulumi_koreai.core.rules import ModelState
from pulumi_koreai.report.engine_json import SECRET, Digest, read_engine_json
from pulumi_koreai.report.moves import PreviewMove, StackPreview, preview_moves, refusal
from pulumi_koreai.stackfile.stack_models import DeclaredModel, StackModels
from pulumi_koreai.stackfile.yamlfile import Place
from tests.report.test_preview import inputs, outputs, step

HERE = "here.example.com:443"


def file(**models: str) -> StackModels:
    """A stack's file with these entries."""
    return StackModels(HERE, {model_id: DeclaredModel(name, Place()) for name, model_id in models.items()})


def held(name: str, old: Mapping[str, object], **more: Any) -> dict[str, Any]:
    """A step of a resource that the state has."""
    made = step(name, old, **more)
    made["oldState"]["id"] = old["model_id"]
    return made


def gone(name: str = "chat", old: Mapping[str, object] | None = None, **more: Any) -> dict[str, Any]:
    return held(name, outputs() if old is None else old, **more)


def previewed(stack: str, *steps: Mapping[str, object]) -> StackPreview:
    digest = read_engine_json(json.dumps({"steps": steps}))
    assert isinstance(digest, Digest)
    return StackPreview(stack, f"stacks/Pulumi.{stack}.yaml", digest)


def moves(*previews: StackPreview, **files: StackModels) -> list[PreviewMove]:
    all_files = {name: file() for name in ("one", "two")} | files
    return preview_moves(previews, {f"stacks/Pulumi.{name}.yaml": models for name, models in all_files.items()})


def test_a_model_that_goes_here_and_comes_there_is_refused_with_the_command() -> None:
    [move] = found = moves(previewed("one", gone()), previewed("two", step("talk", None, inputs())))
    assert (move.left_file, move.entered_file) == ("stacks/Pulumi.one.yaml", "stacks/Pulumi.two.yaml")
    assert refusal(found) == (
        "**Refused: 1 model would be undeployed while another stack declares it.**\n\n"
        "- `cm-1` moves from entry `chat` of stack `one` to entry `talk` of stack `two`: `pulumi up` of `one`"
        " undeploys it; first write `adopt: true` in the new entry and take the old one out of its stack's state with"
        " `pulumi state delete`: docs/moving.md\n\n"
        "```sh\npulumi state delete --stack one --yes \\\n"
        f"  {gone()['urn']}\n```"
    )


@pytest.mark.parametrize("order", [1, -1])
def test_the_order_of_the_previews_does_not_matter(order: int) -> None:
    both = [previewed("one", gone()), previewed("two", step("talk", None, inputs()))][::order]
    assert len(moves(*both)) == 1


@pytest.mark.parametrize(
    "there",
    [
        step("talk", None, inputs(adopt=True)),
        held("talk", outputs(), new=inputs(), op="same"),
        held("talk", outputs(), new=inputs(deployment_name="talk")),
    ],
    ids=["adopted", "there already", "changed there"],
)
def test_what_takes_it_as_it_runs_needs_no_more_than_the_other_state_s_word(there: Mapping[str, object]) -> None:
    [move] = found = moves(previewed("one", gone()), previewed("two", there))
    assert move.moved.adopted
    assert "adopt: true" not in refusal(found)


@pytest.mark.parametrize(
    "here",
    [
        gone(),
        gone(op="delete-replaced"),
        gone(old=outputs(ModelState.FAILED, "UNKNOWN", "")),
        gone(new=inputs(model_id="cm-3"), op="replace"),
    ],
    ids=["deleted", "left over", "in doubt", "replaced"],
)
def test_the_file_of_a_stack_that_is_not_previewed_is_enough(here: Mapping[str, object]) -> None:
    [move] = moves(previewed("one", here), two=file(talk="cm-1"))
    assert (move.moved.entered.stack, move.moved.entered.entry) == ("two", "talk")


@pytest.mark.parametrize(
    "here",
    [
        [],
        [held("chat", outputs(), new=inputs(), op="same")],
        [gone(), step("renamed", None, inputs())],
        [gone(new=inputs(), op="replace")],
        [gone(old=outputs(ModelState.UNDEPLOYED))],
        [{**gone(), "oldState": {**gone()["oldState"], "retainOnDelete": True}}],
        [gone(old=outputs(of={"model_id": "cm-9"}))],
        [{**gone(), "oldState": {**gone()["oldState"], "type": "other:index:Thing"}}],
    ],
    ids=["nothing", "kept", "renamed here", "replaced by itself", "undeployed", "retained", "another", "no model"],
)
def test_what_is_not_undeployed_here_is_no_move(here: list[Mapping[str, object]]) -> None:
    there = step("talk", None, inputs())
    assert moves(previewed("one", *here), previewed("two", there), two=file(talk="cm-1")) == []


@pytest.mark.parametrize(
    "there, declares",
    [
        (step("talk", None, inputs(deployed=False)), file(talk="cm-1")),
        (step("talk", None, {**inputs(), "model_id": SECRET}), file()),
        (gone("talk"), file()),
    ],
    ids=["undeployed there too, by the program", "a secret", "gone there too"],
)
def test_what_is_not_deployed_there_is_no_move(there: Mapping[str, object], declares: StackModels) -> None:
    assert moves(previewed("one", gone()), previewed("two", there), two=declares) == []


@pytest.mark.parametrize("platform", ["there.example.com:443", None, ""])
def test_a_stack_of_another_platform_or_perhaps_another_is_passed_over(platform: str | None) -> None:
    elsewhere = StackModels(platform, file(talk="cm-1").models)
    assert moves(previewed("one", gone()), two=elsewhere) == []
    assert moves(previewed("one", gone()), one=StackModels(platform), two=file(talk="cm-1")) == []


def test_stacks_of_which_no_platform_is_known_are_not_compared() -> None:
    unknown = StackModels(None, file(talk="cm-1").models)
    assert moves(previewed("one", gone()), one=StackModels(None), two=unknown) == []
    environment_s = StackModels("", file(talk="cm-1").models)
    assert len(moves(previewed("one", gone()), one=StackModels(""), two=environment_s)) == 1


def test_many_are_counted_and_no_name_is_more_than_text() -> None:
    steps = [gone(f"`@team` $(rm) {n}", outputs(of={"model_id": f"cm-{n}"})) for n in range(12)]
    found = moves(previewed("one", *steps), two=file(**{f"<b>{n}": f"cm-{n}" for n in range(12)}))
    told = refusal(found)
    assert told.startswith("**Refused: 12 models would be undeployed")
    assert "- and 2 more models" in told
    assert told.count("pulumi state delete --stack one") == 10
    outside = told.split("```")[0]
    assert "`<b>0`" in outside
    assert "`\\u0060@team\\u0060 $(rm) 0`" in outside
    assert f"'{steps[0]['urn']}'" in told, "quoted for the shell"
