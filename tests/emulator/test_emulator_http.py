"""The emulator over real HTTP: the contract's samples, keys, spellings, the record, the control plane, the page."""

import asyncio
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import aiohttp
import pytest
import requests
from aiohttp import web

from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.emulator import Emulator, Fail, Options
from pulumi_koreai.emulator.platform import Action, Refusal, Status, random_ids
from pulumi_koreai.emulator.server import SPELLINGS, Hook, Take

SAMPLES = {path.stem: json.loads(path.read_text("utf-8")) for path in (Path(__file__).parent / "samples").iterdir()}
BODY: dict[str, Any] = SAMPLES["deploy-request"]
FORMS: dict[str, list[str]] = SAMPLES["dock-job"]
ANSWERS = ["deploy-answer", "undeploy-answer", "export-answer", "dock-status-answer"]
AT_ONCE = Options(job_seconds=0, undeploy_seconds=0)


def call(emulator: Emulator, method: str, path: str, *, key: str = "any", **more: Any) -> requests.Response:
    headers = {"x-api-key": key} if key else {}
    return requests.request(method, emulator.url + path, headers=headers | more.pop("headers", {}), timeout=10, **more)


def deploy(emulator: Emulator, model_id: str = "cm-a", body: Any = BODY, **more: Any) -> requests.Response:
    path = f"/api/public/models/{model_id}/deploy?modelType=openSource"
    return call(emulator, "POST", path, json=body, **more)


def undeploy(emulator: Emulator, model_id: str = "cm-a", **more: Any) -> requests.Response:
    return call(emulator, "POST", f"/api/public/models/{model_id}/undeploy", **more)


def export(emulator: Emulator, model_id: str = "cm-a", **more: Any) -> requests.Response:
    return call(emulator, "POST", f"/api/public/models/{model_id}/export", **more)


def dock_status(emulator: Emulator, job_id: str, **more: Any) -> requests.Response:
    return call(emulator, "GET", f"/api/public/dock-status/{job_id}", **more)


def error(response: requests.Response) -> tuple[int, str]:
    (first, *_) = response.json()["errors"]
    return response.status_code, first["msg"]


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


# The contract


@pytest.mark.parametrize("name", ANSWERS)
def test_each_sample_answer_is_made_of_the_forms_of_the_contract(name: str) -> None:
    sample = dict(SAMPLES[name])
    assert len([sample.pop(spelling) for spelling in FORMS["id"] if spelling in sample]) == 1
    assert len([sample.pop(subject) for subject in FORMS["subject"] if subject in sample]) == 1
    for field in ("jobType", "action", "status"):
        assert sample.pop(field) in FORMS[field]
    assert set(sample) <= set(FORMS["optional"])


@pytest.mark.parametrize("name", ANSWERS)
def test_the_client_reads_each_sample_answer(name: str) -> None:
    sample = SAMPLES[name]
    job = DockJob.parse(sample)
    assert (job.id[:3], job.model_id, job.action, job.status) == (
        "ds-",
        sample["modelId"],
        sample["action"],
        sample["status"],
    )


def test_the_answers_have_the_fields_of_the_samples_in_their_order() -> None:
    with Emulator(Options(spelling="as-in-samples", undeploy_seconds=0, job_seconds=60)) as emulator:
        emulator.set_model("cm-exported", job_seconds=0)
        begun = deploy(emulator).json()
        emulator.set_model("cm-b", state="Deployed")
        answers = {
            "deploy-answer": {**begun, "percentageComplete": None},
            "dock-status-answer": dock_status(emulator, begun["dock-statusId"]).json(),
            "undeploy-answer": undeploy(emulator, "cm-b").json(),
            "export-answer": export(emulator, "cm-exported").json(),
        }
    del answers["deploy-answer"]["percentageComplete"]  # optional: that page's sample has none
    for name, answer in answers.items():
        sample = SAMPLES[name]
        assert list(answer) == list(sample)
        assert [type(value) for value in answer.values()] == [type(value) for value in sample.values()]
        assert (answer["jobType"], answer["action"], answer["status"]) == (
            sample["jobType"],
            sample["action"],
            sample["status"],
        )
    assert answers["export-answer"]["response"].keys() == SAMPLES["export-answer"]["response"].keys()


def test_the_sample_request_of_the_undeploy_page_is_taken() -> None:
    sample = SAMPLES["undeploy-request"]
    with Emulator(AT_ONCE) as emulator:
        emulator.set_model(sample["path"].split("/")[4], state="Deployed")
        answer = call(emulator, sample["method"], sample["path"], headers=sample["headers"])
        assert (answer.status_code, answer.json()["status"]) == (200, "SUCCESS")


def test_the_emulator_knows_no_word_that_the_contract_does_not() -> None:
    assert set(get_args(Action)) <= set(FORMS["action"])
    assert set(get_args(Status)) == set(FORMS["status"])
    assert set(SPELLINGS) - {"as-in-samples"} == set(FORMS["id"])


@pytest.mark.parametrize("spelling", SPELLINGS[:4])
def test_each_spelling_of_the_job_id(spelling: Any) -> None:
    with Emulator(Options(spelling=spelling)) as emulator:
        begun = deploy(emulator).json()
        seen = dock_status(emulator, begun[spelling]).json()
        assert seen[spelling] == begun[spelling]
        assert {*begun, *seen} & set(FORMS["id"]) == {spelling}


def test_a_deploy_that_fails_tells_its_reason_in_the_response() -> None:
    with Emulator(Options(job_seconds=0, failures={"cm-a": "no GPU left"}, percentage=False)) as emulator:
        answer = deploy(emulator).json()
        assert (answer["status"], answer["response"]) == ("FAILED", {"message": "no GPU left"})
        assert "percentageComplete" not in answer


# Requests that are refused


def test_a_body_that_breaks_the_rules_names_each_field(emulator: Emulator) -> None:
    body = {**BODY, "deviceType": "abacus", "hyperParameters": {**BODY["hyperParameters"], "topK": 0}}
    answer = deploy(emulator, body=body)
    assert answer.status_code == 400
    assert [entry["msg"].split()[0] for entry in answer.json()["errors"]] == ["hyperParameters.topK", "deviceType"]
    assert emulator.jobs() == []


def test_an_older_page_s_spelling_of_a_field_is_taken(emulator: Emulator) -> None:
    body = {key: value for key, value in BODY.items() if key != "isDeployedPreviously"}
    assert deploy(emulator, body={**body, "isDeployedPreviouly": True}).status_code == 200


@pytest.mark.parametrize(
    "query, headers, body, said",
    [
        ("", {}, json.dumps(BODY), "modelType"),
        ("?modelType=other", {}, json.dumps(BODY), "modelType"),
        ("?modelType=fineTune", {}, "{", "not valid JSON"),
        ("?modelType=fineTune", {}, '{"name": NaN}', "not valid JSON"),
        ("?modelType=fineTune", {}, "[" * 100_000, "not valid JSON"),
        ("?modelType=fineTune", {}, b"\xff", "not valid JSON"),
        ("?modelType=fineTune", {}, "", "not valid JSON"),
        ("?modelType=fineTune", {"content-type": "text/plain"}, json.dumps(BODY), "Content-Type"),
    ],
)
def test_a_request_that_is_none(emulator: Emulator, query: str, headers: Any, body: Any, said: str) -> None:
    headers = {"content-type": "application/json", **headers}
    answer = call(emulator, "POST", f"/api/public/models/cm-a/deploy{query}", data=body, headers=headers)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["msg"]


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/api/public/models/cm-a/deploy"),
        ("POST", "/api/public/dock-status/ds-1"),
        ("POST", "/api/public/models/cm-a/undeploy/"),
        ("POST", "/api/public/models//undeploy"),
        ("POST", "/api/public/model/cm-a/undeploy"),
        ("PATCH", "/"),
    ],
)
def test_what_is_no_route_is_not_found(emulator: Emulator, method: str, path: str) -> None:
    assert error(call(emulator, method, path)) == (404, f"Cannot {method} {path}")


def test_unknown_models_and_jobs_are_not_found(emulator: Emulator) -> None:
    assert error(undeploy(emulator, "cm-unknown")) == (404, "Model cm-unknown not found")
    assert error(undeploy(emulator, ":cm-a")) == (404, "Model :cm-a not found")
    assert error(dock_status(emulator, "ds-none")) == (404, "No dock status ds-none")


def test_a_body_that_is_too_large_is_refused(emulator: Emulator) -> None:
    assert deploy(emulator, body="x" * (2 << 20)).status_code == 413


def test_keys_and_their_scopes() -> None:
    with Emulator(Options(api_keys={"full": frozenset(), "part": frozenset({"undeploy", "dock-status"})})) as emulator:
        for key in ("", "other"):
            assert error(deploy(emulator, key=key)) == (401, "The API key is missing or not valid")
        assert deploy(emulator, key="part").status_code == 200
        assert error(undeploy(emulator, key="part")) == (403, "The API key lacks the scope undeploy")
        assert error(dock_status(emulator, "ds-none", key="part"))[0] == 403
        assert error(undeploy(emulator, key="full"))[0] == 409
        assert [entry.status for entry in emulator.requests()] == [401, 401, 200, 403, 403, 409]


def test_any_key_will_do_but_none(emulator: Emulator) -> None:
    assert undeploy(emulator, key="").status_code == 401
    assert undeploy(emulator, key="k").status_code == 400


@pytest.mark.parametrize("retry_after", [False, True])
def test_past_the_limit_a_request_is_refused_with_the_published_message(retry_after: bool) -> None:
    with Emulator(Options(requests_per_minute=2, retry_after=retry_after)) as emulator:
        job_id = deploy(emulator).json()["dockStatusId"]
        assert undeploy(emulator).status_code == 409
        for refused in (undeploy(emulator), *[dock_status(emulator, job_id) for _ in range(3)][2:]):
            assert error(refused) == (429, SAMPLES["rate-limits"]["message"])
            assert refused.headers.get("Retry-After") in (("59", "60") if retry_after else (None,))
        assert undeploy(emulator, key="of another account").status_code == 409
        assert requests.get(f"{emulator.url}/emulator/jobs", timeout=10).status_code == 200


# The record


def test_the_record_has_what_came_in_but_never_the_key(emulator: Emulator) -> None:
    secret = "kg-4711-0815"
    deploy(emulator, key=secret)
    deploy(emulator, key=secret, body={})
    call(emulator, "POST", "/api/public/models/cm%2Da/undeploy", key=secret, data=b"\xfftext")
    record = requests.get(f"{emulator.url}/emulator/requests", timeout=10)
    assert [
        (entry["number"], entry["method"], entry["path"], entry["query"], entry["body"], entry["status"])
        for entry in record.json()
    ] == [
        (1, "POST", "/api/public/models/cm-a/deploy", {"modelType": "openSource"}, BODY, 200),
        (2, "POST", "/api/public/models/cm-a/deploy", {"modelType": "openSource"}, {}, 400),
        (3, "POST", "/api/public/models/cm-a/undeploy", {}, "\ufffdtext", 409),
    ]
    times = [entry["time"] for entry in record.json()]
    assert times == sorted(times)
    for shown in (record.text, requests.get(emulator.url, timeout=10).text, repr(vars(emulator))):
        assert "kg-4711" not in shown
    requests.delete(f"{emulator.url}/emulator/requests", timeout=10)
    assert emulator.requests() == []
    undeploy(emulator)
    assert [entry.number for entry in emulator.requests()] == [4]


def test_a_client_that_is_killed_in_the_middle_of_a_request_does_no_harm(
    emulator: Emulator, capfd: pytest.CaptureFixture[str]
) -> None:
    host, port = emulator.url.removeprefix("http://").split(":")
    for sent in (
        b"POST /api/public/models/cm-a/deploy HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nabc",
        b"\xff\r\n\r\n",
    ):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(sent)
    assert undeploy(emulator).status_code == 400
    assert [entry.status for entry in emulator.requests()] == [None, 400]
    assert capfd.readouterr() == ("", "")


# The control plane


def control(emulator: Emulator, method: str, path: str, body: Any = None) -> Any:
    answer = requests.request(method, f"{emulator.url}/emulator{path}", json=body, timeout=10)
    assert answer.status_code in (200, 204), answer.text
    return answer.json() if answer.content else None


def test_a_model_can_be_changed_by_hand_and_what_there_is_can_be_read(emulator: Emulator) -> None:
    given = {"deployment": {"name": "by-hand", "deviceType": "g5.xlarge"}, "undeploySeconds": 0, "jobSeconds": 0.0}
    model = control(emulator, "PUT", "/models/cm-a", given)
    assert model == {
        "id": "cm-a",
        "state": "Deployed",
        "deployment": {"name": "by-hand", "deviceType": "g5.xlarge"},
        "modelType": "openSource",
        "history": [{"name": "by-hand", "modelType": "openSource", "deployment": given["deployment"]}],
        "job": None,
        "jobSeconds": 0,
        "undeploySeconds": 0,
        "fail": {"deploy": None, "undeploy": None, "once": False},
    }
    assert control(emulator, "GET", "/models") == [model]
    assert undeploy(emulator).json()["status"] == "SUCCESS"

    control(emulator, "PUT", "/models/cm-a", {"fail": {"deploy": "no GPU left", "once": True}})
    assert [deploy(emulator).json()["status"] for _ in range(2)] == ["FAILED", "SUCCESS"]
    assert control(emulator, "GET", "/models")[0]["deployment"] == BODY
    assert [
        (job["action"], job["status"], job["percentageComplete"], job["reason"])
        for job in control(emulator, "GET", "/jobs")
    ] == [
        ("UNDEPLOY", "SUCCESS", 100, None),
        ("DEPLOY", "FAILED", 99, "no GPU left"),
        ("DEPLOY", "SUCCESS", 100, None),
    ]

    control(emulator, "DELETE", "/models/cm-a")
    assert error(undeploy(emulator))[0] == 404
    control(emulator, "POST", "/reset")
    assert [control(emulator, "GET", path) for path in ("/models", "/jobs", "/requests")] == [[], [], []]
    assert error(undeploy(emulator))[0] == 400


@pytest.mark.parametrize(
    "body, said",
    [
        ('{"state": "Deployd"}', "state: Input should be"),
        ('{"state": "Deploying"}', "state: Input should be"),
        ('{"state": null}', "state: "),
        ('{"stat": "Deployed"}', "stat: "),
        ('{"jobSeconds": -1}', "jobSeconds: "),
        ('{"jobSeconds": "1"}', "jobSeconds: "),
        ('{"deployment": {}}', "deployment.name: "),
        ('{"fail": {"deploys": "x"}}', "fail.deploys: "),
        ('{"state": "Ready to Deploy", "deployment": {"name": "x"}}', "has no deployment"),
        ("[]", "the body: "),
        ("{", "not valid JSON"),
        ("", "the body: "),
    ],
)
def test_bad_input_to_the_control_plane_is_refused(emulator: Emulator, body: str, said: str) -> None:
    answer = requests.put(f"{emulator.url}/emulator/models/cm-a", data=body, timeout=10)
    assert answer.status_code == 400
    assert said in answer.json()["errors"][0]["msg"]
    assert emulator.requests() == []


@pytest.mark.parametrize("method, path", [("GET", "/models/x"), ("DELETE", "/models/a-x"), ("POST", ""), ("GET", "/")])
def test_what_the_control_plane_has_not_is_not_found(emulator: Emulator, method: str, path: str) -> None:
    assert requests.request(method, f"{emulator.url}/emulator{path}", timeout=10).status_code == 404
    assert emulator.requests() == []


def test_the_page_shows_what_is_deployed_and_escapes_it(emulator: Emulator) -> None:
    assert "0 models deployed" in requests.get(emulator.url, timeout=10).text
    evil = "</td><script>alert('&')</script>"
    control(emulator, "PUT", "/models/cm-a", {"deployment": {"name": evil, evil: evil}, "fail": {"undeploy": evil}})
    control(emulator, "PUT", "/models/cm-a", {"undeploySeconds": 0})
    control(emulator, "PUT", "/models/%3Cscript%3E", {"state": "Failed"})
    undeploy(emulator)
    call(emulator, "POST", "/<script>", params={"<script>": "<script>"}, json=evil + "\ud800")
    answer = requests.get(emulator.url, timeout=10)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "1 model deployed" in answer.text
    assert "<script>" not in answer.text
    assert answer.text.count("&lt;script&gt;alert(&#x27;&amp;&#x27;)&lt;/script&gt;") >= 4
    assert "refresh" in answer.text
    assert not {"src=", "href=", "url(", "@import"} & set(answer.text.split())


# The class, and the seam for faults


def test_what_a_test_reads_is_a_copy_and_outlives_the_server() -> None:
    with Emulator(AT_ONCE, new_id=random_ids(7)) as emulator:
        deploy(emulator)
        emulator.set_model("cm-a", fail=Fail(undeploy="stuck"))
        emulator.model("cm-a").history.clear()
        emulator.requests()[0].status = 0
    assert [past.body for past in emulator.model("cm-a").history] == [BODY]
    assert [entry.status for entry in emulator.requests()] == [200]
    assert [job.id for job in emulator.jobs()] == [f"ds-{random_ids(7)()}"]
    with pytest.raises(Refusal):
        emulator.model("cm-unknown")
    with pytest.raises(requests.ConnectionError):
        undeploy(emulator)


def test_a_port_in_use_is_raised_where_the_emulator_is_started(emulator: Emulator) -> None:
    with pytest.raises(OSError, match="in use"), Emulator(port=int(emulator.url.rpartition(":")[2])):
        pass


def test_a_mistake_of_the_emulator_fails_the_test(capfd: pytest.CaptureFixture[str]) -> None:
    async def broken(_request: web.Request, _take: Take) -> web.Response:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError), Emulator(Options(hook=broken)) as emulator:
        assert undeploy(emulator).status_code == 500
    assert "ZeroDivisionError" in capfd.readouterr().err


def cutting(*, taken: bool) -> Hook:
    async def hook(request: web.Request, take: Take) -> web.Response:
        answer = take() if taken else web.Response()
        assert request.transport is not None
        request.transport.abort()
        return answer

    return hook


@pytest.mark.parametrize("taken", [False, True])
def test_a_hook_can_cut_the_connection_before_and_after_the_platform_takes_a_request(taken: bool) -> None:
    with Emulator(Options(hook=cutting(taken=taken))) as emulator:
        with pytest.raises(requests.ConnectionError):
            deploy(emulator)
        assert [entry.status for entry in emulator.requests()] == [None]
        assert [job.action for job in emulator.jobs()] == (["DEPLOY"] if taken else [])


def test_five_hundred_pollers_at_once() -> None:
    async def poll_all(emulator: Emulator) -> set[int]:
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(emulator.url, connector=connector, headers={"x-api-key": "k"}) as session:

            async def poll(number: int) -> list[int]:
                path = f"/api/public/models/cm-{number}/deploy?modelType=fineTune"
                async with session.post(path, json=BODY) as begun:
                    job_id = (await begun.json())["dockStatusId"]
                statuses = []
                for _ in range(3):
                    async with session.get(f"/api/public/dock-status/{job_id}") as answer:
                        statuses.append(answer.status)
                return statuses

            return {status for statuses in await asyncio.gather(*map(poll, range(500))) for status in statuses}

    with Emulator(Options(requests_per_minute=None)) as emulator:
        assert asyncio.run(poll_all(emulator)) == {200}
        assert len(emulator.requests()) == 2000
