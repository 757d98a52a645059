"""The promises of the report follow the engine's steps: their order, their options, and who else has a model."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from pulumi_koreai.core.rules import ModelState
from pulumi_koreai.report.changes import Change, ChangeKind, Hardware
from pulumi_koreai.report.engine_json import SECRET, UNKNOWN_VALUE, Digest
from pulumi_koreai.report.preview import Preview
from tests.report.test_preview import LIMIT, NEW_ID, OFF, OTHER, SECONDS, inputs, outputs, preview, step, warned

UP = outputs()
IS_OFF = outputs(ModelState.UNDEPLOYED, of=OFF)
CHANGED = inputs(hyper_parameters=OTHER)


def replacing(
    old: Mapping[str, object], new: Mapping[str, object], *ops: str, **options: object
) -> list[dict[str, Any]]:
    """The engine's steps for a replacement, in this order; `options` of the old resource."""
    steps = []
    for op in ops:
        one = step(old=old, new=None if op == "delete-replaced" else new, op=op)
        one["oldState"] |= {"id": old["model_id"], **options}
        steps.append(one)
    return steps


NEW_FIRST = ("create-replacement", "replace", "delete-replaced")
OLD_FIRST = ("delete-replaced", "replace", "create-replacement")
OLD_GONE = ("replace", "create-replacement")


def one(*steps: Mapping[str, object], name: str = "chat") -> Change:
    (found,) = (change for change in preview(*steps).changes if change.name == name)
    return found


RENEWALS = [
    (UP, CHANGED, NEW_FIRST, ChangeKind.REDEPLOYED, False, "over the running deployment; nothing is undeployed"),
    (UP, inputs(), NEW_FIRST, ChangeKind.REDEPLOYED, False, "over the running deployment; nothing is undeployed"),
    (UP, CHANGED, OLD_FIRST, ChangeKind.REDEPLOYED, True, "is undeployed, then deployed as declared"),
    (UP, CHANGED, OLD_GONE, ChangeKind.DEPLOYED, False, "the model is deployed."),
    (IS_OFF, inputs(), NEW_FIRST, ChangeKind.DEPLOYED, False, "the model is deployed."),
    (IS_OFF, inputs(), OLD_FIRST, ChangeKind.DEPLOYED, False, "the model is deployed."),
    (UP, inputs(deployed=False), NEW_FIRST, ChangeKind.UNDEPLOYED, True, "every active instance is cut off"),
    (UP, inputs(deployed=False), OLD_FIRST, ChangeKind.UNDEPLOYED, True, "every active instance is cut off"),
    (IS_OFF, inputs(deployed=False), NEW_FIRST, ChangeKind.RECORDED, False, "undeployed already"),
    (UP, inputs(adopt=True), NEW_FIRST, ChangeKind.ADOPTED, False, "adopted as declared; nothing is sent"),
    (UP, inputs(adopt=True), OLD_FIRST, ChangeKind.UNDEPLOYED, True, "it is not deployed again"),
    (outputs(ModelState.FAILED, "FAILED"), inputs(), NEW_FIRST, ChangeKind.DEPLOYED, False, "over what may be running"),
]  # fmt: skip


@pytest.mark.parametrize("old, new, ops, kind, cuts_off, words", RENEWALS)
def test_a_resource_that_is_replaced_by_itself_is_no_update(
    old: dict[str, object],
    new: dict[str, object],
    ops: tuple[str, ...],
    kind: ChangeKind,
    cuts_off: bool,
    words: str,
) -> None:
    found = one(*replacing(old, new, *ops))
    assert (found.kind, found.cuts_off) == (kind, cuts_off)
    assert found.cut_seconds == (SECONDS if kind is ChangeKind.REDEPLOYED and cuts_off else 0)
    assert found.words[0] == "the resource of the model is replaced by another of the same model."
    assert words in found.words[-1] or words in found.words[1]


def test_whose_deletion_does_nothing_is_deployed_over_though_it_is_deleted_first() -> None:
    kept = one(*replacing(UP, CHANGED, *OLD_FIRST, retainOnDelete=True))
    held = one(*replacing(UP, CHANGED, *OLD_FIRST), step("mail", UP, inputs(), op="same"))
    assert {(found.kind, found.cuts_off) for found in (kept, held)} == {(ChangeKind.REDEPLOYED, False)}


def test_the_order_is_that_of_the_steps_or_is_marked_on_the_old_resource() -> None:
    whole = replacing(UP, NEW_ID, "replace")
    assert "is deployed first, then" in one(*whole).words[0]
    whole[0]["oldState"]["pendingReplacement"] = True
    for steps in (whole, replacing(UP, NEW_ID, *OLD_FIRST)):
        (said,) = one(*steps).words
        assert said.startswith("the present model is undeployed first and its callers are cut off; then another model,")
        assert one(*steps).cuts_off


def test_what_an_earlier_run_has_undeployed_cuts_nobody_off_and_runs_nowhere() -> None:
    going = one(*replacing(UP, NEW_ID, *OLD_GONE))
    gone = one(step(old=UP, op="remove-pending-replace"))
    assert (going.kind, going.cuts_off, going.before) == (ChangeKind.REPLACED, False, None)
    assert "which an earlier run has undeployed" in going.words[0]
    assert (gone.kind, gone.cuts_off, gone.before) == (ChangeKind.RECORDED, False, None)


@pytest.mark.parametrize("options", [{"retainOnDelete": True}, {"deletedWith": step("mail")["urn"]}])
def test_what_is_retained_runs_on_and_is_counted(options: dict[str, object]) -> None:
    gone, mail = step(old=UP), step("mail", outputs(of={"model_id": "cm-2"}))
    gone["oldState"] |= options
    found = one(gone, mail)
    assert (found.kind, found.cuts_off, found.unmanaged) == (ChangeKind.RELEASED, False, Hardware("g5.xlarge"))
    assert found.words[-1] == "the model is no longer managed and goes on as it is; nothing is sent."
    replaced = one(*replacing(UP, NEW_ID, *NEW_FIRST, **options), mail)
    assert (replaced.kind, replaced.cuts_off, replaced.unmanaged) == (ChangeKind.REPLACED, False, Hardware("g5.xlarge"))
    assert "goes on as it is" in replaced.words[-1]


def test_what_is_retained_is_warned_of_and_what_does_not_run_is_not() -> None:
    gone = step(old=UP)
    gone["oldState"]["retainOnDelete"] = True
    assert warned(gone) == ["1 model no longer managed, and running on"]
    text = preview(gone, step("post", new=inputs(model_id="cm-3"))).markdown(LIMIT)
    assert "| `g5.xlarge` | 1 | as the platform scales | 2 | as the platform scales |" in text
    assert "1 model that this stack no longer manages, running as before." in text
    off = step(old=IS_OFF)
    off["oldState"]["retainOnDelete"] = True
    assert (one(off).kind, warned(off)) == (ChangeKind.RECORDED, [])


def test_a_new_resource_that_is_no_target_has_no_model_and_is_named() -> None:
    told = preview(step(old=UP), step("talk", {}, {}, op="same"), step("post", {}, {}, op="same"))
    (gone,) = told.changes
    assert (gone.kind, gone.cuts_off) == (ChangeKind.UNDEPLOYED, True)
    assert "2 new models not in this run, as it has other targets: `post`, `talk`." in told.markdown(LIMIT)


def test_what_stays_under_another_name_is_not_undeployed_unless_that_is_left_over_itself() -> None:
    stays = step("talk", UP, inputs(), op="same")
    assert one(step(old=UP), stays).cuts_off is False
    stays["oldState"]["delete"] = True
    assert one(step(old=UP), stays).cuts_off is True


def test_beside_what_keeps_the_model_a_new_resource_deploys_over_it_and_it_is_counted_once() -> None:
    told = preview(step("talk", new=inputs()), step(old=UP, new=inputs(), op="same"))
    change, stays = told.changes
    assert (change.kind, stays.kind) == (ChangeKind.REDEPLOYED, None)
    assert "as another entry has it too" in change.words[0]
    assert "| models |" in told.markdown(LIMIT)
    assert "models now" not in told.markdown(LIMIT)


@pytest.mark.parametrize("new", [UNKNOWN_VALUE, SECRET])
def test_a_model_whose_id_is_not_shown_may_be_the_one_that_goes(new: str) -> None:
    gone = one(step(old=UP), step("talk", new={**inputs(), "model_id": new}))
    assert (gone.kind, gone.cuts_off) == (ChangeKind.UNDEPLOYED, True)
    assert "another resource of the stack has it" in gone.words[-1]
    assert "another resource of the stack" not in " ".join(one(step(old=UP), step("talk", new=NEW_ID)).words)


def test_two_secret_ids_are_not_the_same_model() -> None:
    hidden = {**UP, "model_id": SECRET}
    gone, stays = step(old=hidden), step("talk", hidden, {**inputs(), "model_id": SECRET}, op="same")
    gone["oldState"]["id"], stays["oldState"]["id"] = "cm-1", "cm-2"
    assert one(gone, stays).cuts_off is True
    stays["oldState"]["id"] = "cm-1"
    assert one(gone, stays).cuts_off is False
    changes = stays | {"op": "update", "detailedDiff": {"model_id": {"kind": "update"}}}
    assert "another resource of the stack has it" in one(gone, changes).words[-1], "to which one is not shown"


def test_where_the_unchanged_are_not_shown_one_of_them_may_have_the_model() -> None:
    digest = {"steps": [step(old=UP)], "changeSummary": {"delete": 1, "same": 2}}
    (gone,) = Preview.of(Digest.model_validate(json.loads(json.dumps(digest)))).changes
    assert (gone.kind, gone.cuts_off) == (ChangeKind.UNDEPLOYED, True)
    assert "which this preview does not show" in gone.words[-1]


def test_what_is_decided_in_the_run_of_a_replacement_is_only_what_matters_to_it() -> None:
    later = {**inputs(), "deployment_name": UNKNOWN_VALUE}
    assert one(*replacing(UP, later, *NEW_FIRST)).kind is ChangeKind.REDEPLOYED, "a new resource is deployed anyway"
    unsaid = {**NEW_ID, "update_strategy": "redeploy", "adopt": UNKNOWN_VALUE}
    assert one(*replacing(UP, unsaid, *NEW_FIRST)).may_cut_off, "the old model goes whatever the strategy"
