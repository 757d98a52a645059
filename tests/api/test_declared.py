"""What goes over the wire: every spelling of the contract, what is new, and what a terminal must not be sent."""

import json
import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import JsonValue, ValidationError

from pulumi_koreai.api.declared import UNKNOWN, DeployRequest, HyperParameters, OptimizationInfo, ScalingParameters
from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.messages import clean, message_in, says_already_deployed

ID_SPELLINGS = ("dock-statusId", "dockStatusId", "dockstatusId", "_id")

# Answers

SAMPLES: dict[str, dict[str, JsonValue]] = {
    "undeploy": {
        "dock-statusId": "ds-1",
        "modelId": "cm-1",
        "jobType": "MODELS",
        "action": "UNDEPLOY",
        "status": "SUCCESS",
    },
    "status": {
        "_id": "ds-1",
        "modelId": "cm-1",
        "jobType": "MODELS",
        "action": "UNDEPLOY",
        "status": "SUCCESS",
        "percentageComplete": 100,
        "response": {},
    },
    "workflow": {
        "dockStatusId": "ds-1",
        "workflowId": "a-1",
        "jobType": "WORKFLOWS",
        "action": "UNDEPLOY",
        "status": "SUCCESS",
    },
}


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_the_answers_of_the_contract_are_understood(sample: dict[str, JsonValue]) -> None:
    job = DockJob.parse(sample)
    assert (job.id, job.action, job.status) == ("ds-1", "UNDEPLOY", "SUCCESS")
    assert job.model_id == sample.get("modelId", "")
    assert job.percent == sample.get("percentageComplete")
    assert job.raw == sample


@pytest.mark.parametrize("spelling", ID_SPELLINGS)
def test_each_spelling_of_the_job_s_id_is_understood(spelling: str) -> None:
    assert DockJob.parse({spelling: "ds-1", "status": "IN_PROGRESS"}).id == "ds-1"


@pytest.mark.parametrize("spelling", ["id", "jobId", "dockStatusID", "dock_status_id"])
def test_another_spelling_is_no_id(spelling: str) -> None:
    with pytest.raises(ValidationError):
        DockJob.parse({spelling: "ds-1", "status": "IN_PROGRESS"})


@pytest.mark.parametrize("status", ["IN_PROGRESS", "SUCCESS", "FAILED", "QUEUED"])
@pytest.mark.parametrize("form", [str, str.lower, str.title, " {} ".format], ids=["as is", "lower", "title", "spaces"])
def test_the_status_is_read_in_any_case(status: str, form: type[str]) -> None:
    job = DockJob.parse({"_id": " ds-1 ", "status": form(status), "action": form("deploy")})
    assert (job.id, job.status, job.action) == ("ds-1", status, "DEPLOY")
    assert job.succeeded == (status == "SUCCESS")
    assert job.failed == (status == "FAILED")
    assert job.ended == (status in ("SUCCESS", "FAILED"))


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"status": "SUCCESS"},
        {"_id": "ds-1"},
        {"_id": "", "status": "SUCCESS"},
        {"_id": "  ", "status": "SUCCESS"},
        {"_id": "ds-1", "status": ""},
        {"_id": "ds-1", "status": None},
        {"_id": None, "status": "SUCCESS"},
        {"_id": {"a": 1}, "status": "SUCCESS"},
        {"_id": "ds-1", "status": 3},
        {"message": "no such job"},
    ],
    ids=json.dumps,
)
def test_without_an_id_or_a_status_it_is_no_job(answer: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        DockJob.parse(answer)


@pytest.mark.parametrize(
    "given_percent, percent",
    [
        (0, 0),
        (41.5, 41.5),
        (100, 100),
        ("42", 42),
        ("42 %", 42),
        ("42%", 42),
        (-3, 0),
        (180, 100),
        (None, None),
        ("soon", None),
        ("", None),
        ([], None),
        ({}, None),
        (float("nan"), None),
        (float("inf"), 100),
        (10**400, 100),
    ],
    ids=lambda value: str(value)[:12],
)
def test_a_percentage_is_read_where_it_can_be_and_never_ends_a_wait(
    given_percent: JsonValue, percent: float | None
) -> None:
    job = DockJob.parse({"_id": "ds-1", "status": "IN_PROGRESS", "percentageComplete": given_percent})
    if given_percent == 10**400:
        assert job.percent in (None, 100)
    else:
        assert job.percent == percent


@pytest.mark.parametrize("odd", [None, 3, ["cm-1"], {"id": "cm-1"}])
def test_a_subject_or_an_action_that_is_no_text_is_none(odd: JsonValue) -> None:
    job = DockJob.parse({"_id": "ds-1", "status": "SUCCESS", "modelId": odd, "action": odd})
    assert (job.model_id, job.action) == ("", "")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(
    st.dictionaries(
        st.sampled_from(["response", "percentageComplete", "modelId", "action", "new", "message"]), json_values
    )
)
def test_fields_never_seen_before_are_kept_and_do_no_harm(extra: dict[str, JsonValue]) -> None:
    answer: dict[str, JsonValue] = {**extra, "dockStatusId": "ds-1", "status": "IN_PROGRESS"}
    job = DockJob.parse(answer)
    assert (job.id, job.status, job.ended) == ("ds-1", "IN_PROGRESS", False)
    assert repr(job.raw) == repr(answer)
    assert job.percent is None or 0 <= job.percent <= 100
    assert isinstance(job.reason, str)


# Reasons and messages

SHAPES: dict[str, JsonValue] = {
    "errors with msg": {"errors": [{"msg": "no quota", "code": 4001}]},
    "message": {"message": "no quota"},
    "error text": {"error": "no quota"},
    "error object": {"error": {"code": 4001, "message": "no quota"}},
    "detail": {"detail": "no quota"},
    "details list": {"details": [{"description": "no quota"}]},
    "list": ["no quota"],
    "text": "no quota",
    "nested errors": {"errors": {"errors": [{"msg": "no quota"}]}},
    "failureReason": {"failureReason": "no quota"},
    "reason": {"code": 7, "reason": "no quota"},
    "statusMessage": {"status": "FAILED", "statusMessage": "no quota"},
    "empty before full": {"msg": "", "message": None, "error": {}, "detail": "no quota"},
    "number before text": {"message": 42, "errorMessage": "no quota"},
    "OAuth": {"error_description": "no quota"},
    "problem": {"type": "about:blank", "title": "no quota"},
    "HTML": "<html><head><title>Bad</title><style>p {x}</style></head><body><p>no&nbsp;</p>".replace("&nbsp;", " quota")
    + "</body></html>",
}


@pytest.mark.parametrize("body", SHAPES.values(), ids=SHAPES)
def test_the_message_is_found_whatever_the_shape(body: JsonValue) -> None:
    assert message_in(body) == "no quota"


def test_several_messages_are_all_told() -> None:
    assert message_in({"errors": [{"msg": "too hot"}, {"msg": "too cold"}]}) == "too hot; too cold"


@pytest.mark.parametrize("body", [None, {}, [], "", 3, True, {"code": 4}, {"errors": []}, {"errors": [{}]}, [[[]]]])
def test_a_body_that_says_nothing_has_no_message(body: JsonValue) -> None:
    assert message_in(body) == ""


@given(json_values)
def test_any_body_gives_one_short_line(body: JsonValue) -> None:
    message = message_in(body)
    assert len(message) <= 400
    assert message == clean(message)


@pytest.mark.parametrize(
    "message",
    [
        "temperature must be <= 2 and >= 0",
        "maxTokens < 512 and topK > 0 are needed",
        "2 < 3",
        "replicas <1 or >10",
    ],
)
def test_a_comparison_in_a_message_is_no_markup(message: str) -> None:
    assert message_in({"message": message}) == message


@pytest.mark.parametrize(
    "answer",
    [
        {"response": {"message": "no quota"}},
        {"response": {"errors": [{"msg": "no quota"}]}},
        {"response": "no quota"},
        {"response": {}, "message": "no quota"},
        {"error": {"message": "no quota"}},
        {"failureReason": "no quota"},
        {"response": {"downloadUrl": "https://x.example.com"}, "statusMessage": "no quota"},
    ],
    ids=json.dumps,
)
def test_the_job_s_reason_is_found_in_many_shapes(answer: dict[str, JsonValue]) -> None:
    assert DockJob.parse({"_id": "ds-1", "status": "FAILED", **answer}).reason == "no quota"


def test_a_job_without_a_reason_has_none() -> None:
    assert DockJob.parse({"_id": "ds-1", "status": "FAILED", "response": {"downloadUrl": "x"}}).reason == ""


@pytest.mark.parametrize(
    "text, expected",
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b[2J\x1b[1;1Hgone", "gone"),
        ("\x1b]0;title\x07text", "]0;title text"),
        ("a\x9b31mb", "a 31mb"),
        ("a\nb\r\nc\td", "a b c d"),
        ("a\x00b\x07c\x08d\x7fe", "a b c d e"),
        ("zero\u200bwidth", "zero width"),
        ("right\u202eleft", "right left"),
        ("one\u2028two\u2029three", "one two three"),
        ("\u2066isolated\u2069", "isolated"),
        ("  spaces   within  ", "spaces within"),
        ("Zürich, 東京 ✓", "Zürich, 東京 ✓"),
    ],
)
def test_control_characters_never_reach_the_terminal(text: str, expected: str) -> None:
    assert clean(text) == expected


@given(st.text(st.characters(categories=["Cc", "Cf", "Zl", "Zp", "Lu"]), max_size=40))
def test_no_control_character_whatever_is_left(text: str) -> None:
    assert not [
        char for char in clean(text) if ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or char in "\u2028\u2029\u202e"
    ]


@pytest.mark.parametrize("length, cut", [(399, False), (400, False), (401, True), (10_000, True)])
def test_a_long_message_is_cut_at_400_characters(length: int, cut: bool) -> None:
    message = clean("x" * length)
    assert len(message) == min(length, 400)
    assert message.endswith("…") == cut


@pytest.mark.parametrize("piece", ["<head", "<script>", "<style ", "<a ", "</script "])
def test_the_time_for_a_page_grows_with_its_length_and_not_with_its_square(piece: str) -> None:
    def seconds(length: int) -> float:
        page = (piece * length)[:length]
        began = time.thread_time()
        message_in(page)
        return time.thread_time() - began

    seconds(1024)
    assert seconds(64 * 1024) < 24 * seconds(8 * 1024) + 0.02


def test_what_a_page_hides_is_not_in_the_message() -> None:
    page = "<HEAD><title>x</title></head ><body>a<script>1<2</script>b<style>c</Style><p>d<script>e"
    assert message_in(page) == "a b d e"


# Requests

FULL: dict[str, object] = {
    "deployment_name": "chat",
    "model_type": "fineTune",
    "device_type": "g5.xlarge",
    "hyper_parameters": {
        "temperature": 0.5,
        "max_tokens": 256,
        "top_p": 1.0,
        "top_k": 50,
        "stop_sequence": ["###"],
    },
    "scaling_parameters": {
        "max_batch_size": 8,
        "min_replicas": 1,
        "max_replicas": 2,
        "scale_up_delay": 10,
        "scale_down_delay": 60,
    },
    "optimization_info": {"optimization_type": "vllm", "quantization_type": "no_quantization"},
}


def test_the_body_of_a_deploy_has_the_vendor_s_names() -> None:
    assert DeployRequest.model_validate(FULL).body() == {
        "name": "chat",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 0.5, "maxTokens": 256, "topP": 1.0, "topK": 50, "stopSequence": ["###"]},
        "scalingParameters": {
            "maxBatchSize": 8,
            "minReplicas": 1,
            "maxReplicas": 2,
            "scaleUpDelay": 10,
            "scaleDownDelay": 60,
        },
        "optimizationInfo": {"optimizationType": "vllm", "quantizationType": "no_quantization"},
    }


def test_what_was_left_out_is_not_sent() -> None:
    hyper = {"temperature": 0, "max_tokens": 0, "top_p": 0, "top_k": 1}
    request = DeployRequest.model_validate(
        {
            "deployment_name": "chat",
            "device_type": "g4dn.metal",
            "hyper_parameters": hyper,
            "scaling_parameters": {"min_replicas": 2},
        }
    )
    assert request.model_type == "openSource"
    assert request.body() == {
        "name": "chat",
        "deviceType": "g4dn.metal",
        "hyperParameters": {"temperature": 0.0, "maxTokens": 0, "topP": 0.0, "topK": 1},
        "scalingParameters": {"minReplicas": 2},
    }


def test_whole_numbers_go_out_as_whole_numbers() -> None:
    # The engine hands every number over as a float.
    request = DeployRequest.model_validate(
        {**FULL, "hyper_parameters": {"temperature": 1.0, "max_tokens": 256.0, "top_p": 1.0, "top_k": 50.0}}
    )
    assert (
        json.dumps(request.body()["hyperParameters"])
        == '{"temperature": 1.0, "maxTokens": 256, "topP": 1.0, "topK": 50}'
    )


@pytest.mark.parametrize("alias", [False, True], ids=["snake_case", "camelCase"])
def test_both_spellings_are_read_and_mean_the_same(alias: bool) -> None:
    request = DeployRequest.model_validate(FULL)
    assert DeployRequest.model_validate(request.model_dump(by_alias=alias)) == request


@pytest.mark.parametrize("empty", [None, {}, {"min_replicas": None}])
def test_an_empty_optional_is_the_same_as_one_that_is_left_out(empty: object) -> None:
    short = {key: value for key, value in FULL.items() if key != "scaling_parameters"}
    assert DeployRequest.model_validate({**FULL, "scaling_parameters": empty}) == DeployRequest.model_validate(short)


def test_the_empty_texts_of_the_contract_are_the_same_as_nothing() -> None:
    info = {"optimization_type": "", "quantization_type": ""}
    assert DeployRequest.model_validate({**FULL, "optimization_info": info}).optimization_info is None


def test_plain_leaves_out_what_was_left_out_and_keeps_what_is_not_known_yet() -> None:
    request = DeployRequest.model_validate(
        {**FULL, "deployment_name": UNKNOWN, "scaling_parameters": {"min_replicas": UNKNOWN}, "optimization_info": None}
    )
    plain = request.plain()
    assert plain["deployment_name"] is UNKNOWN
    assert plain["scaling_parameters"] == {"min_replicas": UNKNOWN}
    assert "optimization_info" not in plain


def test_a_request_can_not_be_changed() -> None:
    request = DeployRequest.model_validate(FULL)
    with pytest.raises(ValidationError, match="frozen"):
        request.deployment_name = "other"  # type: ignore[misc] # what is tried here


def test_every_field_of_the_contract_s_table_can_be_sent() -> None:
    def leaves(kind: type[HyperParameters | ScalingParameters | OptimizationInfo], above: str) -> set[str]:
        return {f"{above}.{field.alias}" for field in kind.model_fields.values()}

    assert (
        leaves(HyperParameters, "hyperParameters")
        | leaves(ScalingParameters, "scalingParameters")
        | leaves(OptimizationInfo, "optimizationInfo")
    ) == {
        f"{above}.{name}"
        for above, names in {
            "hyperParameters": ["temperature", "maxTokens", "topP", "topK", "stopSequence"],
            "scalingParameters": ["maxBatchSize", "minReplicas", "maxReplicas", "scaleUpDelay", "scaleDownDelay"],
            "optimizationInfo": ["optimizationType", "quantizationType"],
        }.items()
        for name in names
    }


def test_the_job_s_id_is_found_wherever_it_is_spelled_beside_other_ids() -> None:
    for spelling, other in product(ID_SPELLINGS, ("modelId", "accountId", "__v")):
        assert DockJob.parse({other: "cm-1", spelling: "ds-1", "status": "SUCCESS"}).id == "ds-1"


@pytest.mark.parametrize(
    "answer, job_id",
    [
        ({"dockStatusId": None, "_id": "ds-1"}, "ds-1"),
        ({"dock-statusId": "", "dockStatusId": {}, "_id": "ds-1"}, "ds-1"),
        ({"_id": 4711}, "4711"),
        ({"dockStatusId": 4711, "_id": "ds-1"}, "4711"),
    ],
)
def test_an_empty_spelling_does_not_hide_the_id_and_a_number_is_one(answer: dict[str, JsonValue], job_id: str) -> None:
    assert DockJob.parse({**answer, "status": "SUCCESS"}).id == job_id


@pytest.mark.parametrize("no_id", [None, "", " ", True, [], {}, 1.5])
def test_what_is_no_id_makes_no_job(no_id: JsonValue) -> None:
    with pytest.raises(ValidationError):
        DockJob.parse({"_id": no_id, "status": "SUCCESS"})


@pytest.mark.parametrize(
    "message, already",
    [
        ("A deployment of this model is already running. Undeploy it first.", True),
        ("The model cm-1 is already deployed", True),
        ("Undeploy the model first", True),
        ("Another job is already running on the model", False),
        ("A deploy job of this model is already running", False),
        ("Model deployment is already in progress", False),
        ("The model is already deploying", False),
        ("The quota is already used up", False),
    ],
)
def test_the_platform_says_that_a_model_is_deployed_already(message: str, already: bool) -> None:
    assert says_already_deployed(message) is already
