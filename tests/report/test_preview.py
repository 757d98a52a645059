"""The report on a preview: what it says of each change, and that it keeps its shape and its bound."""

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pulumi_koreai.api.declared import DeployRequest
from pulumi_koreai.core import state as state_of
from pulumi_koreai.core.rules import ModelState, Record
from pulumi_koreai.core.spec import ProgramSpec, check, python_spelling
from pulumi_koreai.report.changes import ChangeKind
from pulumi_koreai.report.engine_json import MODEL_TYPE, SECRET, UNKNOWN_VALUE, Digest, ReadingError, read_engine_json
from pulumi_koreai.report.preview import MARKS, Preview
from pulumi_koreai.report.warnings import EIGHT_GPUS, is_production
from tests.report.test_markdown import cells, outside_code, texts

SECONDS = 725.0
LIMIT = 20_000


def inputs(**more: object) -> dict[str, object]:
    """What a program declares of a model, checked."""
    given = {
        "model_id": "cm-1",
        "deployment_name": "chat",
        "device_type": "g5.xlarge",
        "hyper_parameters": {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10},
        **more,
    }
    checked, faults = check(ProgramSpec, given, python_spelling)
    assert not faults
    return checked


def outputs(
    state: ModelState = ModelState.DEPLOYED,
    status: str = "SUCCESS",
    job: str = "ds-1",
    *,
    of: Mapping[str, object] = {},
) -> dict[str, object]:
    """What a stack remembers of a model; `of` is declared of it besides."""
    spec = ProgramSpec.model_validate(inputs(**of))
    action = "UNDEPLOY" if state in (ModelState.UNDEPLOYED, ModelState.UNDEPLOYING) else "DEPLOY"
    return state_of.outputs(spec, Record(state, spec.parameters(), job, action, status, SECONDS))


def step(
    name: str = "chat",
    old: Mapping[str, object] | None = None,
    new: Mapping[str, object] | None = None,
    op: str = "",
    stack: str = "test",
    **more: object,
) -> dict[str, Any]:
    """A step of a digest."""
    op = op or ("create" if old is None else "delete" if new is None else "update")
    given: dict[str, Any] = {"op": op, "urn": f"urn:pulumi:{stack}::project::{MODEL_TYPE}::{name}", **more}
    if old is not None:
        declared = {key: value for key, value in old.items() if key not in state_of.results(Record(ModelState.FAILED))}
        given["oldState"] = {"type": MODEL_TYPE, "inputs": declared, "outputs": dict(old)}
    if new is not None:
        given["newState"] = {"type": MODEL_TYPE, "inputs": dict(new)}
    return given


def preview(*steps: Mapping[str, object]) -> Preview:
    told = read_engine_json(json.dumps({"steps": steps}))
    assert isinstance(told, Digest)
    return Preview.of(told)


def only(*steps: Mapping[str, object]) -> tuple[ChangeKind | None, bool, str]:
    """What happens to the one model, whether its callers are cut off, and the words for it."""
    (change,) = preview(*steps).changes
    return change.kind, change.cuts_off, " ".join(change.words)


OTHER = {"temperature": 0.9, "max_tokens": 128, "top_p": 1, "top_k": 10}
OFF = {"deployed": False}
ADOPTED = {"adopt": True}
NEW_ID = inputs(model_id="cm-2")

ROWS = [
    # new
    (None, inputs(), ChangeKind.DEPLOYED, False),
    (None, inputs(adopt=True), ChangeKind.ADOPTED, False),
    (None, inputs(deployed=False), ChangeKind.UNDEPLOYED, True),
    # gone
    (outputs(), None, ChangeKind.UNDEPLOYED, True),
    (outputs(ModelState.FAILED, "FAILED"), None, ChangeKind.UNDEPLOYED, True),
    (outputs(ModelState.DEPLOYING, "IN_PROGRESS"), None, ChangeKind.UNDEPLOYED, True),
    (outputs(ModelState.UNDEPLOYED, of=OFF), None, ChangeKind.RECORDED, False),
    (outputs(ModelState.UNDEPLOYING, "IN_PROGRESS", of=OFF), None, ChangeKind.RESUMED, False),
    # changed
    (outputs(), inputs(hyper_parameters=OTHER), ChangeKind.REDEPLOYED, True),
    (outputs(), inputs(hyper_parameters=OTHER, update_strategy="redeploy"), ChangeKind.REDEPLOYED, False),
    (outputs(), inputs(update_strategy="redeploy"), ChangeKind.RECORDED, False),
    (outputs(), inputs(adopt=True), ChangeKind.RECORDED, False),
    (outputs(), inputs(deployed=False), ChangeKind.UNDEPLOYED, True),
    (outputs(ModelState.UNDEPLOYED, of=OFF), inputs(), ChangeKind.DEPLOYED, False),
    (
        outputs(ModelState.UNDEPLOYED, of=OFF),
        inputs(deployed=False, hyper_parameters=OTHER),
        ChangeKind.RECORDED,
        False,
    ),
    (outputs(), NEW_ID, ChangeKind.REPLACED, True),
    (outputs(ModelState.UNDEPLOYED, of=OFF), NEW_ID, ChangeKind.REPLACED, False),
    # not settled
    (outputs(ModelState.FAILED, "FAILED"), inputs(), ChangeKind.DEPLOYED, False),
    (outputs(ModelState.FAILED, "UNKNOWN", job=""), inputs(), ChangeKind.REDEPLOYED, True),
    (outputs(ModelState.FAILED, "UNKNOWN", job=""), inputs(adopt=True), ChangeKind.ADOPTED, False),
    (outputs(ModelState.FAILED, "UNKNOWN", job="", of=ADOPTED), inputs(adopt=True), ChangeKind.REDEPLOYED, True),
    (outputs(ModelState.DEPLOYING, "IN_PROGRESS"), inputs(), ChangeKind.RESUMED, False),
    (outputs(ModelState.DEPLOYING, "IN_PROGRESS"), inputs(hyper_parameters=OTHER), ChangeKind.REDEPLOYED, True),
    (outputs(ModelState.UNDEPLOYING, "IN_PROGRESS"), inputs(), ChangeKind.DEPLOYED, False),
    (outputs(ModelState.UNDEPLOYED), inputs(), ChangeKind.DEPLOYED, False),
]  # fmt: skip


@pytest.mark.parametrize("old, new, kind, cuts_off", ROWS)
def test_each_row_of_the_lifecycle_has_its_kind(
    old: dict[str, object] | None, new: dict[str, object] | None, kind: ChangeKind, cuts_off: bool
) -> None:
    found, cut, words = only(step(old=old, new=new))
    assert (found, cut) == (kind, cuts_off)
    assert words.endswith((".", "again."))
    if kind in (ChangeKind.RECORDED, ChangeKind.RESUMED):
        assert "deployed;" not in words.replace("undeployed already;", "")


def test_each_kind_has_a_mark_and_all_of_them_are_in_the_rows_but_those_of_other_steps() -> None:
    assert set(MARKS) == set(ChangeKind)
    assert {kind for _, _, kind, _ in ROWS} == set(ChangeKind) - {ChangeKind.OPEN, ChangeKind.RELEASED}


def test_for_how_long_callers_are_cut_off_is_what_the_last_deploy_took() -> None:
    changed = inputs(hyper_parameters=OTHER)
    slower = {**outputs(), "last_job_seconds": 900.0}
    unknown = {**outputs(), "last_job_seconds": 0.0}
    one, two = (
        preview(step(old=outputs(), new=changed)),
        preview(step("a", outputs(), changed), step("b", slower, changed)),
    )
    assert "those of 1 model for about 12m05s." in one.markdown(LIMIT)
    assert "those of 2 models for about 12m05s to 15m00s." in two.markdown(LIMIT)
    assert "`a`, `b`" in two.markdown(LIMIT), "what happens is the same, so it is one row"
    assert "for as long as a deploy takes." in preview(step(old=unknown, new=changed)).markdown(LIMIT)


def test_a_renamed_entry_is_no_undeploy() -> None:
    told = preview(step("old", old=outputs()), step("new", new=inputs()))
    assert [(change.name, change.kind, change.cuts_off) for change in told.changes] == [
        ("new", ChangeKind.REDEPLOYED, False),
        ("old", ChangeKind.RECORDED, False),
    ]


def leftover(model_id: str) -> dict[str, Any]:
    """The engine's step for what a replacement has left."""
    given = step(old={**outputs(), "model_id": model_id}, op="delete-replaced")
    given["oldState"]["id"] = model_id
    return given


def halves(old_id: str, new_id: str) -> list[dict[str, Any]]:
    """The engine's steps for a replacement."""
    old, new = {**outputs(), "model_id": old_id}, inputs(model_id=new_id)
    steps = [step(old=old, new=new, op="create-replacement"), step(old=old, new=new, op="replace")]
    for half in steps:
        half["oldState"]["id"] = old_id
    return [*steps, leftover(old_id)]


def test_a_replacement_is_one_change_and_what_an_earlier_one_left_another() -> None:
    assert [change.kind for change in preview(*halves("cm-1", "cm-2")).changes] == [ChangeKind.REPLACED]
    kinds = [change.kind for change in preview(*halves("cm-2", "cm-3"), leftover("cm-1")).changes]
    assert kinds == [ChangeKind.UNDEPLOYED, ChangeKind.REPLACED]
    kinds = [change.kind for change in preview(*halves("cm-1", "cm-3"), leftover("cm-1")).changes]
    assert kinds == [ChangeKind.UNDEPLOYED, ChangeKind.REPLACED], "of the same model"


def test_what_a_replacement_left_is_not_undeployed_when_it_is_declared_again() -> None:
    told = preview(*halves("cm-2", "cm-1"), leftover("cm-1"))
    assert [(change.kind, change.cuts_off) for change in told.changes] == [
        (ChangeKind.REPLACED, True),
        (ChangeKind.RECORDED, False),
    ]


def test_a_model_that_moves_to_another_entry_is_not_cut_off() -> None:
    moved = [*halves("cm-1", "cm-2"), step("other", new=inputs(model_id="cm-1"))]
    assert {(change.kind, change.cuts_off) for change in preview(*moved).changes} == {
        (ChangeKind.REPLACED, False),
        (ChangeKind.REDEPLOYED, False),
    }


@pytest.mark.parametrize(
    "gone, new, kinds",
    [
        (outputs(), inputs(), {ChangeKind.REDEPLOYED, ChangeKind.RECORDED}),
        (outputs(ModelState.UNDEPLOYED, of=OFF), inputs(), {ChangeKind.DEPLOYED, ChangeKind.RECORDED}),
        (outputs(ModelState.UNDEPLOYED, of=OFF), inputs(deployed=False), {ChangeKind.RECORDED}),
    ],
    ids=["running", "brought back", "off"],
)
def test_a_renamed_entry_cuts_nobody_off(
    gone: Mapping[str, object], new: Mapping[str, object], kinds: set[ChangeKind]
) -> None:
    told = preview(step("talk", new=new), step(old=gone))
    assert {change.kind for change in told.changes} == kinds
    assert "No caller is cut off" in told.markdown(LIMIT)


@pytest.mark.parametrize(
    "gone, kind, doubtful",
    [
        (outputs(), ChangeKind.RECORDED, False),
        (outputs(of={"hyper_parameters": OTHER}), ChangeKind.RECORDED, True),
        (outputs(ModelState.UNDEPLOYED, of=OFF), ChangeKind.RECORDED, True),
        (outputs(ModelState.DEPLOYING, "IN_PROGRESS"), ChangeKind.RESUMED, True),
    ],
    ids=["the same", "other parameters", "undeployed", "under way"],
)
def test_what_goes_beside_an_entry_that_has_had_the_model_before_may_be_what_holds(
    gone: Mapping[str, object], kind: ChangeKind, doubtful: bool
) -> None:
    told = preview(step(old=outputs(), new=inputs(), op="same"), step("talk", old=gone))
    left, stays = told.changes
    assert (left.name, left.kind, left.before, stays.kind) == ("talk", kind, None, None)
    assert ("may be later than what was sent" in " ".join(left.words)) is doubtful
    assert ("is resumed" in " ".join(left.words)) is (kind is ChangeKind.RESUMED)
    assert "models now" not in told.markdown(LIMIT), "the model is counted once"


@pytest.mark.parametrize("before, after", [(False, True), (True, False)])
def test_a_protection_alone_is_a_change(*, before: bool, after: bool) -> None:
    given = step(old=outputs(), new=inputs(), op="same")
    given["oldState"]["protect"], given["newState"]["protect"] = before, after
    told = preview(given)
    (change,) = told.changes
    assert (change.kind, change.unprotected, told.anything) == (ChangeKind.RECORDED, before, True)
    assert [(one.path, one.old, one.new) for one in change.differences] == [("protect", before, after)]


def test_a_resource_of_another_kind_is_a_change_too() -> None:
    bucket = {"op": "create", "urn": "urn:pulumi:test::project::a:b:C::logs", "newState": {"type": "a:b:C"}}
    provider = {"op": "update", "urn": "urn:p::x::y::z", "newState": {"type": "pulumi:providers:pulumi-python"}}
    assert preview(bucket).anything
    assert not preview(provider, step(old=outputs(), new=inputs(), op="same")).anything


OPEN_ROWS = [
    (outputs(), {"deployed": UNKNOWN_VALUE}, True, True),
    (outputs(), {"deployment_name": UNKNOWN_VALUE}, True, False),
    (outputs(), {"deployment_name": UNKNOWN_VALUE, "update_strategy": "redeploy"}, False, False),
    (outputs(), {"update_strategy": UNKNOWN_VALUE}, True, False),
    (outputs(ModelState.UNDEPLOYED), {"deployed": UNKNOWN_VALUE}, False, False),
    (None, {"deployed": UNKNOWN_VALUE}, True, True),
    (None, {"adopt": UNKNOWN_VALUE}, False, False),
]


@pytest.mark.parametrize("old, declared, cut_off, undeploy", OPEN_ROWS)
def test_what_is_decided_in_the_run_may_cut_callers_off(
    old: Mapping[str, object] | None, declared: Mapping[str, object], *, cut_off: bool, undeploy: bool
) -> None:
    told = preview(step(old=old, new={**inputs(), **declared}))
    (change,) = told.changes
    assert (change.kind, change.cuts_off) == (ChangeKind.OPEN, False)
    assert (change.may_cut_off, change.may_undeploy) == (cut_off, undeploy)
    assert ("for 1 model that is decided in the run" in told.markdown(LIMIT)) is cut_off


def test_what_is_not_known_before_the_run_is_said_to_be_decided_in_it() -> None:
    later = {**inputs(), "deployment_name": UNKNOWN_VALUE}
    assert only(step(old=outputs(), new=later))[0] is ChangeKind.OPEN
    assert only(step(new=later))[0] is ChangeKind.DEPLOYED, "a new model is deployed whatever it is called"
    assert only(step(new={**inputs(), "adopt": UNKNOWN_VALUE}))[0] is ChangeKind.OPEN
    assert only(step(old=outputs(), new={**later, "deployed": False}))[0] is ChangeKind.UNDEPLOYED
    assert (
        only(step(old=outputs(), new={**inputs(), "model_id": UNKNOWN_VALUE}, op="replace"))[0] is ChangeKind.REPLACED
    )
    shown = preview(step(old=outputs(), new=later)).markdown(LIMIT)
    assert "`deploymentName`: `chat` → known in the run" in shown
    assert UNKNOWN_VALUE not in shown


def test_a_secret_is_not_shown_and_counts_as_changed_only_where_the_engine_says_so() -> None:
    old, new = {**outputs(), "deployment_name": SECRET}, {**inputs(), "deployment_name": SECRET}
    same = step(old=old, new={**new, "update_strategy": "redeploy"}, detailedDiff={"update_strategy": {}})
    other = step(old=old, new=new, detailedDiff={"deployment_name": {}})
    assert only(same)[0] is ChangeKind.RECORDED
    assert only(other)[0] is ChangeKind.REDEPLOYED
    assert "`deploymentName`: another secret" in preview(other).markdown(LIMIT)


@pytest.mark.parametrize("kept", ["ciphertext", "plaintext", "value"])
def test_a_secret_in_clear_is_not_read(kept: str) -> None:
    marked = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", kept: '"hunter2"'}
    told = preview(
        step(new={**inputs(), "deployment_name": marked}), step("b", outputs(), {**inputs(), "model_id": marked})
    )
    assert "hunter2" not in repr(told)
    assert "hunter2" not in told.markdown(LIMIT)


def test_why_a_model_is_not_as_it_was_declared_is_said_before_what_happens() -> None:
    assert only(step(old=outputs(ModelState.UNDEPLOYED), new=inputs()))[2] == (
        "the last update of the model was not finished: it is undeployed now. the model is deployed."
    )
    assert only(step(old=outputs(ModelState.FAILED, "FAILED"), new=inputs()))[2] == (
        "the last deploy of the model failed (job ds-1). the model is deployed over what may be running."
    )


def test_a_declaration_by_other_rules_is_left_to_the_run() -> None:
    new = {**inputs(), "device_type": "g9.huge"}
    assert only(step(old=outputs(), new=new))[0] is ChangeKind.OPEN
    assert "`deviceType`: `g5.xlarge` → `g9.huge`" in preview(step(old=outputs(), new=new)).markdown(LIMIT)


def test_hardware_that_is_not_known_is_counted_as_such() -> None:
    text = preview(
        step(new={**inputs(), "device_type": SECRET}), step("b", {**outputs(), "device_type": "g9"})
    ).markdown(LIMIT)
    assert "| hardware not known yet | 0 | 0 | 1 |" in text
    assert "| other hardware | 1 |" in text


def test_a_group_of_parameters_that_comes_or_goes_is_told_of_by_each_name_in_the_file() -> None:
    scaled = {"scaling_parameters": {"min_replicas": 1, "max_replicas": 2}, "custom_timeouts": {"update": "90m"}}
    shown = preview(step(old=outputs(), new=inputs(**scaled))).markdown(LIMIT)
    assert "`scalingParameters.minReplicas`: not set → `1`<br>`scalingParameters.maxReplicas`: not set → `2`" in shown
    assert "`timeouts.update`: not set → `90m`" in shown
    back = preview(step(old=outputs(of=scaled), new=inputs())).markdown(LIMIT)
    assert "`scalingParameters.minReplicas`: `1` → not set" in back


def test_a_state_of_another_version_is_told_of_as_far_as_it_is_understood() -> None:
    old = {**outputs(), "device_type": "g9.huge", "hyper_parameters": {"heat": 3}, "state": "melting"}
    kind, cuts_off, _ = only(step(old=old, new=inputs()))
    assert (kind, cuts_off) == (ChangeKind.REDEPLOYED, True)
    assert "`deviceType`: `g9.huge` → `g5.xlarge`" in preview(step(old=old, new=inputs())).markdown(LIMIT)


def scaled(low: int, high: int, device: str = "g5.xlarge") -> dict[str, object]:
    return {"device_type": device, "scaling_parameters": {"min_replicas": low, "max_replicas": high}}


def test_hardware_is_counted_before_and_after_unchanged_models_included() -> None:
    def of(number: int, **more: object) -> dict[str, object]:
        return {"model_id": f"cm-{number}", **more}

    told = preview(
        step("stays", outputs(of=scaled(1, 2)), inputs(**scaled(1, 2)), op="same"),
        step("moves", outputs(of=of(2, **scaled(2, 3))), inputs(**of(2, **scaled(2, 4, "g6e.xlarge")))),
        step("free", new=inputs(**of(3, device_type="g6e.xlarge"))),
        step("gone", outputs(ModelState.UNDEPLOYED, of=of(4, **OFF)), None),
    ).markdown(LIMIT)
    assert told.splitlines()[-7:-2] == [
        "| hardware | models now | replicas now | models after | replicas after |",
        "| --- | --- | --- | --- | --- |",
        "| `g5.xlarge` | 2 | 3–5 | 1 | 1–2 |",
        "| `g6e.xlarge` | 0 | 0 | 2 | 2–4 + 1 as the platform scales |",
        "| **all** | 2 | 3–5 | 3 | 3–6 + 1 as the platform scales |",
    ]
    assert told.endswith("\n\n1 model stays as it is: `stays`.\n")


def test_where_the_unchanged_are_not_told_of_their_number_is_and_totals_do_not_claim_to_be_the_stack_s() -> None:
    digest = {"steps": [step(new=inputs())], "changeSummary": {"create": 1, "same": 9}}
    told = Preview.of(Digest.model_validate(digest)).markdown(LIMIT)
    assert "| hardware of these |" in told
    assert "9 resources unchanged; `pulumi preview --json --show-sames`" in told


def warned(*steps: Mapping[str, object]) -> list[str]:
    return [re.sub(r"\*\*(.*?)\*\*.*", r"\1", line) for line in preview(*steps).warnings]


def test_warnings_name_what_a_reviewer_shall_not_overlook_and_nothing_else() -> None:
    gone = step(old=outputs(), new=inputs(deployed=False), stack="eu-prod")
    assert warned(gone) == ["1 model undeployed in a production stack"]
    assert warned(step(old=outputs(), new=inputs(deployed=False), stack="dev")) == []
    assert warned(step(old=outputs(ModelState.UNDEPLOYED, of=OFF), stack="prod")) == []
    largest = inputs(**scaled(1, 4, "g5.48xlarge"))
    assert warned(step(new=largest)) == ["1 model put on hardware of eight GPUs a replica"]
    assert warned(step(old=outputs(of=scaled(1, 2, "g5.48xlarge")), new=largest)) == [
        "1 model put on hardware of eight GPUs a replica"
    ]
    assert warned(step(old=outputs(of=scaled(1, 4, "g5.48xlarge")), new=largest, op="same")) == []
    assert warned(step(new=inputs(**scaled(1, 4, "g5.12xlarge")))) == []
    before = outputs(of=scaled(4, 8))
    assert warned(step(old=before, new=inputs(**scaled(3, 5)))) == ["1 model with `minReplicas` lowered"]
    assert warned(step(old=before, new=inputs(**scaled(4, 4)))) == ["1 model with `maxReplicas` halved or less"]
    assert warned(step(old=before, new=inputs(**scaled(5, 18)))) == ["The stack may grow to 18 replicas, from 8."]
    assert warned(step(old=before, new=inputs(**scaled(5, 16)))) == []
    guarded = step(old=outputs(), new=inputs(), op="same")
    guarded["oldState"]["protect"] = True
    assert warned(guarded) == ["1 model no longer protected"]


def test_many_models_cut_off_in_one_run_are_warned_of() -> None:
    ids: list[dict[str, object]] = [{"model_id": f"cm-{n}"} for n in range(6)]
    changed = [step(f"m{n}", outputs(of=ids[n]), inputs(**ids[n], hyper_parameters=OTHER)) for n in range(3)]
    stays = [step(f"s{n}", outputs(of=ids[n]), inputs(**ids[n]), op="same") for n in range(3, 6)]
    assert warned(*changed, *stays[:2]) == ["Callers of 3 of the 5 running models are cut off in one run."]
    assert warned(*changed, *stays) == []
    assert warned(*changed[:2]) == []


@pytest.mark.parametrize("name", ["prod", "PROD", "eu-prod", "prod2", "acme/models/production", "prod.eu"])
def test_a_stack_with_the_word_in_its_name_is_production(name: str) -> None:
    assert is_production(name)


@pytest.mark.parametrize("name", ["dev", "product", "preprod", "reproduction", ""])
def test_another_is_not(name: str) -> None:
    assert not is_production(name)


names = st.one_of(texts, st.text(min_size=50, max_size=90))
changed_inputs = st.builds(
    lambda text, stop, spread: {
        **inputs(**spread),
        "deployment_name": text,
        "hyper_parameters": {"stop_sequence": stop},
    },
    texts,
    st.lists(names, max_size=3),
    st.sampled_from([{}, {"deployed": False}, {"model_id": "cm-9"}, scaled(1, 2, "g5.48xlarge"), scaled(1, 50)]),
)
recorded = st.builds(
    lambda state, text, job, spread: {
        **outputs(state, "IN_PROGRESS", of=spread),
        "deployment_name": text,
        "dock_status_id": job,
    },
    st.sampled_from(ModelState),
    texts,
    names,
    st.sampled_from([{}, scaled(2, 4), scaled(1, 1)]),
)
steps = st.builds(
    step,
    names,
    st.none() | recorded,
    st.none() | changed_inputs,
    st.sampled_from(["", "", "same"]),
    st.sampled_from(["prod", "dev"]),
).filter(lambda one: "oldState" in one or "newState" in one)
digests = st.fixed_dictionaries(
    {
        "steps": st.lists(steps, max_size=12),
        "diagnostics": st.lists(
            st.fixed_dictionaries({"message": texts, "severity": st.sampled_from(["info", "error"])}), max_size=8
        ),
    }
)


@given(digests, st.sampled_from([1, 12]))
def test_whatever_names_and_values_hold_the_report_keeps_its_shape_and_its_bound(
    digest: dict[str, Any], times: int
) -> None:
    told = Preview.of(Digest.model_validate({**digest, "steps": digest["steps"] * times}))
    text = told.markdown(LIMIT)
    assert len(text) <= LIMIT
    assert re.match(r"\*\*(\d+ models? changes?|No model changes|The preview failed)", text)
    fenced = False
    open_folds = 0
    for line in text.splitlines():
        if line.startswith("```"):
            fenced = not fenced
        elif not fenced:
            left = outside_code(line)
            open_folds += (line == "<details>") - (line == "</details>")
            if line.startswith("| "):
                assert len(cells(line)) in (4, 5)
                left = left.replace("<br>", "").replace("**all**", "")
            elif line.startswith("<"):
                assert re.fullmatch(r"</?details>|<summary>[\w ]+</summary>", line)
                continue
            assert not re.search(r"[<&@#$\\]|https?:|www\.", left.replace("\\|", "")), line
    assert not fenced
    assert open_folds == 0
    listed = sum(change.kind is not None for change in told.changes)
    assert not listed or "| models |" in text or "Left out here" in text


def test_what_finds_no_room_is_counted() -> None:
    many = [step(f"model-{n:04d}", outputs(), inputs(deployment_name=f"another-name-{n}")) for n in range(700)]
    text = preview(*many).markdown(LIMIT)
    shown = len(re.findall(r"^\| ~", text, re.MULTILINE))
    left_out = re.search(r"Left out here, for want of room: (\d+) more models that change", text)
    assert left_out
    assert shown + int(left_out[1]) == 700
    assert LIMIT * 0.8 < len(text) <= LIMIT
    assert text.startswith("**700 models change: 700 redeployed.**")


def test_the_names_of_a_long_row_are_all_in_a_fold() -> None:
    many = [step(f"model-{n}", outputs(), inputs(hyper_parameters=OTHER)) for n in range(100)]
    text = preview(*many).markdown(LIMIT)
    assert text.count("\n| ~") == 1
    assert "and 94 more" in text
    assert all(f"`model-{n}`" in text.partition("<details>")[2] for n in range(100))


def test_names_that_find_no_room_are_said_to_be_missing() -> None:
    many = [step(f"{n:055d}", outputs(), inputs(deployment_name=f"to-{n % 3}")) for n in range(900)]
    text = preview(*many).markdown(LIMIT)
    assert "Left out here, for want of room: all the names of 3 rows." in text
    errors = [{"severity": "error", "message": f"{n}\n" * 3000} for n in range(9)]
    assert "Left out here: 8 more errors." in Preview.of(Digest.model_validate({"diagnostics": errors})).markdown(LIMIT)


def test_the_stream_of_a_preview_says_what_its_digest_says() -> None:
    digest = step(old=outputs(), new=NEW_ID, op="replace")
    events: list[dict[str, object]] = []
    for op in ("create-replacement", "replace", "delete-replaced"):
        metadata = {"op": op, "urn": digest["urn"], "old": digest["oldState"], "new": digest["newState"]}
        events.append({"timestamp": 1, "resourcePreEvent": {"metadata": metadata, "planning": True}})
    note = {"message": "something that was shown for a moment", "severity": "error", "ephemeral": True}
    events += [{"timestamp": 2, "diagnosticEvent": note}, {"timestamp": 3, "summaryEvent": {"isPreview": True}}]
    told = read_engine_json("Previewing update\n" + "\n".join(map(json.dumps, events)) + '\n{"timestamp": 4, "resour')
    assert isinstance(told, Digest)
    assert Preview.of(told) == preview(digest)


def test_a_preview_that_failed_says_so_first_and_why() -> None:
    error = {"severity": "error", "message": "error: 2 errors in the file:\n  a: b\n"}
    noise = {
        "severity": "error",
        "message": "error: an unhandled error occurred: program exited with non-zero exit code: 1\n",
    }
    text = Preview.of(Digest.model_validate({"diagnostics": [error, noise]})).markdown(LIMIT)
    assert (
        text
        == "**The preview failed; nothing can be done as it stands.**\n\n```text\n2 errors in the file:\n  a: b\n```\n"
    )
    alone = Preview.of(Digest.model_validate({"diagnostics": [noise]}))
    assert "program exited" in alone.markdown(LIMIT)


@pytest.mark.parametrize(
    "text, says",
    [
        ("", "there is no JSON in it"),
        ("error: no stack selected", "there is no JSON in it"),
        ("[1]", "there is no JSON in it"),
        ('{"a": 1}', "is no preview's"),
        ('{"steps": [{"op": "create"}]}', "the JSON is not the engine's: steps.0.urn: Field required."),
        ('{"timestamp": "soon"}', "the JSON is not the engine's: timestamp"),
    ],
)
def test_what_is_no_preview_is_said_to_be_none_without_showing_it(text: str, says: str) -> None:
    with pytest.raises(ReadingError, match=re.escape(says)):
        read_engine_json(text)


def test_the_devices_of_the_largest_hardware_are_among_those_that_can_be_declared() -> None:
    assert set(EIGHT_GPUS) <= set(get_args(DeployRequest.model_fields["device_type"].annotation))


@pytest.mark.parametrize("before", ["", "Installing policy pack models 0.1.0...\n", "warning: a new version\n{\n"])
@pytest.mark.parametrize("after", ["", "\n", "\nwarning: A new version of Pulumi is available.\n{}\n"])
def test_lines_around_the_document_are_passed_over(before: str, after: str) -> None:
    document = json.dumps({"steps": [], "diagnostics": [], "changeSummary": {}}, indent=2)
    assert isinstance(read_engine_json(before + document + after), Digest)
