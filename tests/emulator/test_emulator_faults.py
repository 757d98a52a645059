"""The emulator's faults over real HTTP, each kind; which request a fault strikes; the state on disk."""

import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_koreai import cli
from pulumi_koreai.emulator import KINDS, Emulator, Options, Script, ScriptedFault
from pulumi_koreai.emulator.faults import PASSING, REFUSALS, Answer, Faults, When, chance, fault_in, script_in, storm
from pulumi_koreai.emulator.inputs import InvalidInput
from pulumi_koreai.emulator.platform import NEVER_SECONDS, Shape
from pulumi_koreai.emulator.routes import Operation

ROOT = Path(__file__).resolve().parents[2]
BODY: dict[str, Any] = json.loads((Path(__file__).parent / "samples" / "deploy-request.json").read_text("utf-8"))
QUICK = Options(job_seconds=0, undeploy_seconds=0, requests_per_minute=None)
LOST = (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
SECRET = "kg-of-these-tests-90210"


def call(url: str, method: str, path: str, timeout: float = 10, **more: Any) -> requests.Response:
    headers = {"x-api-key": SECRET}
    return requests.request(
        method, f"{url}/api/public{path}", headers=headers, timeout=timeout, allow_redirects=False, **more
    )


def deploy(url: str, model_id: str = "cm-a", **more: Any) -> requests.Response:
    return call(url, "POST", f"/models/{model_id}/deploy?modelType=openSource", json=BODY, **more)


def undeploy(url: str, model_id: str = "cm-a", **more: Any) -> requests.Response:
    return call(url, "POST", f"/models/{model_id}/undeploy", **more)


def look(url: str, job_id: str, **more: Any) -> requests.Response:
    return call(url, "GET", f"/dock-status/{job_id}", **more)


def job_of(answer: requests.Response) -> str:
    job_id: str = answer.json()["dockStatusId"]
    return job_id


@contextmanager
def emulator_with(*faults: ScriptedFault, options: Options = QUICK, seed: int | None = None) -> Iterator[Emulator]:
    with Emulator(options) as emulator:
        emulator.use(*faults, seed=seed)
        yield emulator


# Each kind. What all of them share is asserted for all of them: a fault strikes the request it is about, the record
# tells its name, and the next request gets the truth.


def kinds(of: type[Any]) -> list[str]:
    return [name for name, kind in KINDS.items() if isinstance(kind, of)]


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_strikes_once_where_it_is_told_to_and_is_told_in_the_record(name: str) -> None:
    fault = ScriptedFault.named(name, "deploy", model="cm-a", skip=1, times=1)
    with emulator_with(fault, options=Options(job_seconds=0, requests_per_minute=None)) as emulator:
        for model_id in ("cm-a", "cm-b"):
            assert deploy(emulator.url, model_id).status_code == 200
        try:
            deploy(emulator.url)
        except LOST:
            assert name in ("reset", "reset-taken", "cut")
        wait_until_it_listens(emulator.url)
        assert [(entry.fault, entry.path.split("/")[4]) for entry in emulator.requests()] == [
            ("", "cm-a"),
            ("", "cm-b"),
            (name, "cm-a"),
        ]
        if not name.startswith(("someone-deploys", "someone-undeploys", "job-never-ends")):
            assert deploy(emulator.url).json()["status"] == "SUCCESS"
        assert emulator.requests()[-1].fault == ("" if len(emulator.requests()) == 4 else name)


def wait_until_it_listens(url: str) -> None:
    until = time.monotonic() + 10
    while True:
        try:
            requests.get(url, timeout=10)
        except requests.ConnectionError:
            assert time.monotonic() < until
            time.sleep(0.05)
        else:
            return


@pytest.mark.parametrize("name", kinds(Answer))
def test_a_false_answer_is_what_its_name_says(name: str) -> None:
    kind = KINDS[name]
    assert isinstance(kind, Answer)
    with emulator_with(ScriptedFault.named(name)) as emulator:
        answer = deploy(emulator.url)
        assert [job.action for job in emulator.jobs()] == (["DEPLOY"] if name.endswith("-taken") else [])
        assert [entry.status for entry in emulator.requests()] == [answer.status_code]
    status = next(part for part in name.split("-") if part.isdigit())
    assert answer.status_code == int(status)
    content = answer.headers.get("Content-Type", "")
    if "html" in name:
        assert content.startswith("text/html")
        assert answer.text.lstrip().startswith("<")
    elif "empty" in name or status in ("302", "307"):
        assert answer.content == b""
    elif "text" in name:
        assert content.startswith("text/plain")
    else:
        assert content.startswith("application/json")
        assert answer.json() == kind.body
    assert ("Location" in answer.headers) is (status in ("302", "307"))
    assert ("Retry-After" in answer.headers) is name.startswith("429-")


def test_a_retry_after_comes_in_seconds_and_as_a_date() -> None:
    faults = [ScriptedFault.named("429-seconds", times=1), ScriptedFault.named("429-date", times=1)]
    with emulator_with(*faults) as emulator:
        seconds, date = (deploy(emulator.url) for _ in range(2))
    assert seconds.headers["Retry-After"] == "1"
    ahead = parsedate_to_datetime(date.headers["Retry-After"]) - parsedate_to_datetime(date.headers["Date"])
    assert ahead.total_seconds() in (1, 2)  # the server's own Date may be of the second before


@pytest.mark.parametrize("name, hours", [("clock-ahead", 1), ("clock-behind", -1)])
def test_a_clock_that_has_jumped_stays_so_until_the_reset(name: str, hours: int) -> None:
    faults = [ScriptedFault.named(name, skip=1, times=1), ScriptedFault.named("429-date", skip=1)]

    def off(answer: requests.Response, header: str = "Date") -> int:
        return round((parsedate_to_datetime(answer.headers[header]).timestamp() - time.time()) / 3600)

    with emulator_with(*faults) as emulator:
        before, at, limited = (deploy(emulator.url) for _ in range(3))
        assert [off(answer) for answer in (before, at, limited)] == [0, hours, hours]
        assert off(limited, "Retry-After") == hours
        emulator.use()
        assert off(deploy(emulator.url)) == hours
        emulator.reset()
        assert off(deploy(emulator.url)) == 0


@pytest.mark.parametrize("name, taken", [("reset", False), ("reset-taken", True)])
def test_a_reset_is_one_and_comes_before_or_after_the_platform_took_the_request(name: str, taken: bool) -> None:
    with emulator_with(ScriptedFault.named(name)) as emulator:
        with pytest.raises(requests.ConnectionError, match="reset by peer"):
            deploy(emulator.url)
        assert [job.action for job in emulator.jobs()] == (["DEPLOY"] if taken else [])
        assert [entry.status for entry in emulator.requests()] == [None]


def test_a_cut_answer_has_its_head_and_the_first_half_of_its_body() -> None:
    with emulator_with(ScriptedFault.named("cut")) as emulator:
        host, port = emulator.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"POST /api/public/models/cm-a/export HTTP/1.1\r\nhost: x\r\nx-api-key: k\r\n\r\n")
            answer = b""
            while more := connection.recv(65536):
                answer += more
        assert [job.action for job in emulator.jobs()] == ["EXPORT"]
    head, _, body = answer.partition(b"\r\n\r\n")
    length = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
    assert head.startswith(b"HTTP/1.1 200")
    assert length
    assert len(body) == int(length[1]) // 2
    assert body.startswith(b'{"dockStatusId"')


def test_a_slow_answer_is_the_true_one_but_trickles_or_begins_late() -> None:
    slow = ScriptedFault.model_validate({"then": {"kind": "slow", "bodySeconds": 0.5}, "when": {"times": 1}})
    late = ScriptedFault.model_validate({"then": {"kind": "slow", "waitSeconds": 0.5}})
    with emulator_with(slow, late) as emulator:
        for head_is_late in (False, True):
            began = time.monotonic()
            answer = deploy(emulator.url, stream=True)
            head = time.monotonic() - began
            assert answer.json()["status"] == "SUCCESS"
            assert (head >= 0.4) is head_is_late
            assert 0.4 <= time.monotonic() - began < 3
        with pytest.raises(requests.ReadTimeout):
            deploy(emulator.url, timeout=0.1)
    assert len(emulator.jobs()) == 3


def test_an_emulator_that_is_away_refuses_connections_and_comes_back_with_its_state() -> None:
    away = ScriptedFault.model_validate({"then": {"kind": "away", "seconds": 1}, "operation": "deploy"})
    with emulator_with(away) as emulator, requests.Session() as kept_alive:
        assert kept_alive.get(emulator.url, timeout=10).status_code == 200
        job_id = job_of(deploy(emulator.url))
        with pytest.raises(requests.ConnectionError, match="refused"):
            look(emulator.url, job_id)
        with pytest.raises(requests.ConnectionError):
            kept_alive.get(emulator.url, timeout=10)
        wait_until_it_listens(emulator.url)
        assert look(emulator.url, job_id).json()["status"] == "SUCCESS"
        assert [entry.status for entry in emulator.requests()] == [200, 200]

        assert requests.post(f"{emulator.url}/emulator/away", json={"seconds": 1}, timeout=10).status_code == 204
        with pytest.raises(requests.ConnectionError):
            look(emulator.url, job_id)
        wait_until_it_listens(emulator.url)
        assert requests.post(f"{emulator.url}/emulator/away", json={"hours": 1}, timeout=10).status_code == 400
        assert requests.post(f"{emulator.url}/emulator/away", data="{", timeout=10).status_code == 400


def test_an_emulator_can_end_while_it_is_away() -> None:
    with emulator_with(ScriptedFault.named("away")) as emulator:
        deploy(emulator.url)
    assert emulator.failures == []


def test_a_port_that_is_taken_meanwhile_fails_the_test(capfd: pytest.CaptureFixture[str]) -> None:
    away = ScriptedFault.model_validate({"then": {"kind": "away", "seconds": 1}})

    def all_of_it() -> None:
        with emulator_with(away) as emulator, socket.socket() as other:
            port = int(emulator.url.rpartition(":")[2])
            deploy(emulator.url)
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            until = time.monotonic() + 5
            while True:
                try:
                    other.bind(("127.0.0.1", port))
                    break
                except OSError:
                    assert time.monotonic() < until
            other.listen()
            while not emulator.failures:
                assert time.monotonic() < until
                time.sleep(0.05)

    with pytest.raises(OSError, match="in use"):
        all_of_it()
    assert "in use" in capfd.readouterr().err


# Odd jobs


def test_a_job_that_is_not_found_for_two_looks() -> None:
    with emulator_with(ScriptedFault.named("job-not-found-looks", times=1)) as emulator:
        odd, usual = (job_of(deploy(emulator.url, model_id)) for model_id in ("cm-a", "cm-b"))
        assert [look(emulator.url, odd).status_code for _ in range(4)] == [404, 404, 200, 200]
        assert look(emulator.url, usual).status_code == 200


def test_a_job_that_is_not_found_while_it_is_young() -> None:
    young = ScriptedFault.model_validate({"then": {"kind": "job", "notFoundSeconds": 1}})
    with emulator_with(young) as emulator:
        job_id = job_of(deploy(emulator.url))
        assert look(emulator.url, job_id).status_code == 404
        time.sleep(1)
        assert look(emulator.url, job_id).status_code == 200


def test_a_job_that_never_ends_keeps_its_model_busy() -> None:
    with emulator_with(ScriptedFault.named("job-never-ends", "deploy")) as emulator:
        answer = deploy(emulator.url)
        assert (answer.json()["status"], look(emulator.url, job_of(answer)).json()["status"]) == ("IN_PROGRESS",) * 2
        assert undeploy(emulator.url).status_code == 409
        assert emulator.model("cm-a").state == "Deploying"
        assert [job.seconds for job in emulator.jobs()] == [NEVER_SECONDS]


def test_a_percentage_that_goes_backwards_until_the_job_has_succeeded() -> None:
    backwards = ScriptedFault.named("job-backwards")
    with emulator_with(backwards, options=Options(job_seconds=0.5, requests_per_minute=None)) as emulator:
        job_id = job_of(deploy(emulator.url))
        seen = []
        while (answer := look(emulator.url, job_id).json())["status"] == "IN_PROGRESS":
            seen.append(answer["percentageComplete"])
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > seen[-1]
    assert answer["percentageComplete"] == 100


def test_a_job_that_ends_in_a_status_nobody_knows_has_deployed_nothing() -> None:
    odd = ScriptedFault.named("job-ends-unheard-of")
    with emulator_with(odd, options=Options(job_seconds=0.2, requests_per_minute=None)) as emulator:
        begun = deploy(emulator.url)
        assert begun.json()["status"] == "IN_PROGRESS"
        time.sleep(0.2)
        assert look(emulator.url, job_of(begun)).json()["status"] == "ROLLED_BACK"
        assert (emulator.model("cm-a").state, emulator.model("cm-a").deployment) == ("Failed", None)


@pytest.mark.parametrize("shape", get_args(Shape))
def test_a_reason_is_told_in_its_shape(shape: str) -> None:
    with emulator_with(ScriptedFault.named(f"job-fails-{shape}")) as emulator:
        begun = deploy(emulator.url).json()
        assert begun == {**look(emulator.url, begun["dockStatusId"]).json(), "status": "FAILED"}
    usual = {"dockStatusId", "modelId", "jobType", "action", "status", "percentageComplete"}
    told = {key: value for key, value in begun.items() if key not in usual}
    found: Any = told
    for key in shape.split(".")[:1]:
        assert list(told) == ([] if shape == "none" else [key])
        found = told.get(key)
    assert ("no g5.xlarge is free in this region" in json.dumps(found)) is (shape != "none")


def test_an_oddity_of_a_request_that_is_refused_is_not_that_of_a_later_job() -> None:
    with emulator_with(ScriptedFault.named("job-fails-message", "undeploy")) as emulator:
        assert undeploy(emulator.url).status_code == 400
        assert undeploy(emulator.url, "cm-unknown").status_code == 404
        assert deploy(emulator.url).json()["status"] == "SUCCESS"


def test_an_odd_job_is_begun_by_a_request_and_not_by_a_look() -> None:
    with emulator_with(ScriptedFault.named("job-fails-message", "dock-status")) as emulator:
        job_id = job_of(deploy(emulator.url))
        assert [look(emulator.url, job_id).json()["status"], deploy(emulator.url).json()["status"]] == ["SUCCESS"] * 2


# Somebody else


def test_somebody_else_has_undeployed_the_model_meanwhile() -> None:
    with emulator_with(ScriptedFault.named("someone-undeployed", "dock-status", "undeploy", times=1)) as emulator:
        job_id = job_of(deploy(emulator.url))
        assert look(emulator.url, job_id).json()["status"] == "SUCCESS"
        assert emulator.model("cm-a").deployment is None
        assert undeploy(emulator.url).status_code == 400


def test_somebody_else_has_deployed_the_model_meanwhile() -> None:
    with emulator_with(ScriptedFault.named("someone-deployed", "undeploy")) as emulator:
        assert undeploy(emulator.url).json()["status"] == "SUCCESS"
        assert [past.name for past in emulator.model("cm-a").history] == ["someone-else"]


@pytest.mark.parametrize("does, action", [("deploys", "DEPLOY"), ("undeploys", "UNDEPLOY")])
def test_a_job_of_somebody_else_is_running_and_then_it_is_not(does: str, action: str) -> None:
    fault = ScriptedFault.model_validate(
        {"then": {"kind": "someone", "does": does, "seconds": 0.3}, "when": {"times": 1}}
    )
    with emulator_with(fault) as emulator:
        emulator.set_model("cm-a", state="Deployed")
        answer = deploy(emulator.url)
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (409, "JOB_IN_PROGRESS")
        assert [(job.action, job.seconds) for job in emulator.jobs()] == [(action, 0.3)]
        time.sleep(0.3)
        assert deploy(emulator.url).status_code == 200


@pytest.mark.parametrize("name", ["someone-deploys", "someone-undeploys", "someone-deployed"])
def test_what_the_platform_refuses_somebody_else_does_not_happen_either(name: str) -> None:
    with emulator_with(ScriptedFault.named(name), options=Options(models=frozenset({"cm-x"}))) as emulator:
        assert undeploy(emulator.url).status_code == 404
        assert look(emulator.url, "ds-none").status_code == 404
        emulator.set_model("cm-x", state="Never Deployed")
        assert undeploy(emulator.url, "cm-x").status_code == (200 if name == "someone-deployed" else 400)


# Which request a fault strikes


def struck(fault: ScriptedFault, times: int, seed: int = 0) -> list[int]:
    """The requests, counted from 1, that a fault strikes."""
    faults = Faults(Script(faults=[fault], seed=seed))
    return [number for number in range(1, times + 1) if faults.strike("deploy", "cm-a")]


@pytest.mark.parametrize(
    "when, numbers",
    [
        ({}, [1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ({"times": 2}, [1, 2]),
        ({"skip": 1, "times": 1}, [2]),
        ({"every": 3}, [3, 6, 9]),
        ({"skip": 6}, [7, 8, 9]),
        ({"skip": 1, "every": 3, "times": 2}, [4, 7]),
        ({"chance": 0}, []),
    ],
)
def test_which_requests_a_fault_strikes(when: dict[str, Any], numbers: list[int]) -> None:
    assert struck(ScriptedFault.named("cut", **when), 9) == numbers


@settings(max_examples=20)
@given(seed=st.integers(), probability=st.floats(0.2, 0.8))
def test_chance_keeps_to_its_probability_and_a_seed_gives_the_same_again(seed: int, probability: float) -> None:
    fault = ScriptedFault.named("cut", chance=probability)
    numbers = struck(fault, 1000, seed)
    assert abs(len(numbers) / 1000 - probability) < 0.1
    assert struck(fault, 1000, seed) == numbers


Ask = tuple[Operation, str]
asks: st.SearchStrategy[list[Ask]] = st.lists(
    st.tuples(st.sampled_from(["deploy", "undeploy", "dock-status"]), st.sampled_from(["cm-a", "cm-b"])), max_size=60
)


@given(asks=asks, seed=st.integers(), data=st.data())
def test_in_a_storm_what_strikes_a_model_does_not_depend_on_the_others(
    asks: list[Ask], seed: int, data: st.DataObject
) -> None:
    def by_subject(order: list[Ask]) -> dict[Ask, list[str]]:
        faults = Faults(Script(faults=storm(), seed=seed))
        seen: dict[Ask, list[str]] = {}
        for operation, model_id in order:
            effect = faults.strike(operation, model_id)
            seen.setdefault((operation, model_id), []).append(effect.name if effect else "")
        return seen

    seen = by_subject(asks)
    assert by_subject(data.draw(st.permutations(asks))) == seen
    for (operation, _), names in seen.items():
        begin = 0 if operation == "dock-status" else 1
        assert set(names[:begin]) <= set(REFUSALS)
        for number, name in enumerate(names[begin:], 1):
            assert bool(name) is (number % 3 == 0)
            assert name in ({"", *REFUSALS} if operation == "deploy" else {"", *PASSING})


def test_a_fault_counts_what_comes_as_far_as_itself() -> None:
    first, second = ScriptedFault.named("cut", skip=1, times=1), ScriptedFault.named("reset", times=2)
    faults = Faults(Script(faults=[first, second]))
    effects = [faults.strike("deploy", "cm-a") for _ in range(4)]
    assert [effect and effect.name for effect in effects] == ["reset", "cut", "reset", None]
    assert [told["struck"] for told in faults.report()] == [1, 2]


def test_looks_at_a_deploy_s_job_are_counted_apart_from_those_at_an_undeploy_s() -> None:
    with emulator_with(ScriptedFault.named("404-html", "dock-status", times=1, each=True)) as emulator:
        jobs = [job_of(deploy(emulator.url)), job_of(undeploy(emulator.url)), job_of(deploy(emulator.url, "cm-b"))]
        assert [[look(emulator.url, job).status_code for _ in range(2)] for job in jobs] == [[404, 200]] * 3


def test_one_of_several_effects_is_taken_by_chance() -> None:
    fault = ScriptedFault.model_validate({"then": ["cut", "reset", {"kind": "reset", "name": "mine"}]})
    faults = Faults(Script(faults=[fault], seed=3))
    assert {effect.name for _ in range(50) if (effect := faults.strike("deploy", "cm-a"))} == {"cut", "reset", "mine"}


def test_the_seed_is_drawn_where_none_is_given_and_matters_only_to_chance() -> None:
    assert len({Faults(Script()).seed for _ in range(10)}) > 5
    assert not Faults(Script(faults=[ScriptedFault.named("cut")])).by_chance
    assert all(Faults(Script(faults=[fault])).by_chance for fault in (chance(0.5), *storm()))


def test_after_a_refusal_nothing_was_taken() -> None:
    for name in REFUSALS:
        kind = KINDS[name]
        assert isinstance(kind, Answer)
        assert not kind.taken
        assert kind.status in (429, 503)
    assert set(REFUSALS) < set(PASSING) < set(KINDS)


def test_an_odd_job_has_the_fields_of_an_oddity() -> None:
    for name in KINDS:
        kind = KINDS[name]
        if kind.kind == "job":
            assert {"name", "kind", *vars(kind.oddity)} == set(type(kind).model_fields)


# Scripts, flags, the control plane


def test_a_script_is_read_from_its_file(tmp_path: Path) -> None:
    fenced = re.search(r"```yaml\n(.*?)```", (ROOT / "docs" / "emulator.md").read_text("utf-8"), re.DOTALL)
    assert fenced
    (tmp_path / "faults.yaml").write_text(fenced[1], "utf-8")
    script = script_in(tmp_path / "faults.yaml")
    assert script.seed == 7
    assert [effect.name for fault in script.faults for effect in fault.then] == [
        "503-html",
        "reset-taken",
        "401",
        "cut",
        "500-empty",
        "",
    ]
    assert script.faults[-1].when == When(skip=2, every=3, each=True)
    (tmp_path / "faults.yaml").write_text("")
    assert script_in(tmp_path / "faults.yaml") == Script()


@pytest.mark.parametrize(
    "text, said",
    [
        ("faults: [{then: 503-htm}]", "'503-htm' is no kind of fault; nearest: 503-html"),
        ("faults: [{then: 418}]", "'418' is no kind of fault"),
        ("faults: [{operation: deploy}]", "faults.0.then: Field required"),
        ("faults: [{then: []}]", "faults.0.then: List should have at least 1 item"),
        ("faults: [{then: {kind: rest}}]", "does not match any of the expected tags"),
        ("faults: [{then: cut, operation: status}]", "faults.0.operation.0: Input should be 'deploy', 'undeploy'"),
        ("faults: [{then: cut, when: {nth: 3}}]", "faults.0.when.nth: Extra inputs are not permitted"),
        ("faults: [{then: cut, when: {every: 0}}]", "faults.0.when.every: "),
        ("faults: [{then: cut, when: {chance: 2}}]", "faults.0.when.chance: "),
        ("faults: [{then: {kind: slow, bodySeconds: -1}}]", "faults.0.then.0.slow.bodySeconds: "),
        ("- cut", "the file: Input should be"),
        ("{", "is no YAML: "),
        ("\xff\x00", "is no YAML: "),
    ],
)
def test_a_script_that_is_none_is_one_clear_message(
    tmp_path: Path, text: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "faults.yaml"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InvalidInput) as caught:
        script_in(path)
    assert said in str(caught.value)
    status = cli.main(["emulator", "--faults", str(path)])
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert f"'--faults': {path}: " in printed.err


def test_a_fault_is_a_name_or_yaml() -> None:
    assert fault_in("429") == ScriptedFault.named("429")
    assert fault_in("{then: cut, operation: [deploy], when: {times: 1}}") == ScriptedFault.named(
        "cut", "deploy", times=1
    )
    for text in ("{", "[1]", "nonsense", ""):
        with pytest.raises(InvalidInput):
            fault_in(text)


def test_the_help_and_the_docs_name_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["emulator", "--help"]) == 0
    named = set(re.findall(r"[\w.-]+", capsys.readouterr().out))
    docs = (ROOT / "docs" / "emulator.md").read_text("utf-8")
    for name, kind in KINDS.items():
        assert {name, kind.kind} <= named
        assert f"`{name.removesuffix('-taken')}`" in docs
        assert f"| `{kind.kind}` |" in docs
        for field in type(kind).model_fields.values():
            assert field.alias in (None, "name", "kind") or f"`{field.alias}`" in docs


def test_faults_are_put_in_force_over_http_and_end() -> None:
    with Emulator(Options(job_seconds=0, faults=Script(faults=[ScriptedFault.named("401", "export")]))) as emulator:

        def control(method: str, body: object = None, expected: int = 200) -> Any:
            answer = requests.request(method, f"{emulator.url}/emulator/faults", json=body, timeout=10)
            assert answer.status_code == expected
            return answer.json()

        script = {"seed": 7, "faults": [{"then": "503-html", "operation": "deploy", "when": {"times": 1}}]}
        (shown,) = control("PUT", script)["faults"]
        assert (shown["then"][0]["name"], shown["operation"], shown["struck"]) == ("503-html", ["deploy"], 0)
        assert [deploy(emulator.url).status_code for _ in range(2)] == [503, 200]
        now = control("GET")
        assert (now["seed"], now["faults"][0]["struck"]) == (7, 1)
        again = {"seed": 7, "faults": [{key: shown[key] for key in shown if key != "struck"}]}
        assert control("PUT", again)["faults"] == [shown]
        refused = control("PUT", {"faults": [{"then": "nonsense"}]}, expected=400)
        assert "'nonsense' is no kind of fault" in refused["errors"][0]["msg"]
        assert deploy(emulator.url).status_code == 503
        assert control("DELETE")["faults"] == []
        assert deploy(emulator.url).status_code == 200
        assert call(emulator.url, "POST", "/models/cm-b/export").status_code == 200
        requests.post(f"{emulator.url}/emulator/reset", timeout=10)
        assert call(emulator.url, "POST", "/models/cm-b/export").status_code == 401
        assert "401" in requests.get(emulator.url, timeout=10).text


# The emulator as a process: flags, and the state on disk


@contextmanager
def started(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    command = [sys.executable, "-m", "pulumi_koreai", "emulator", "--no-rate-limits", *flags]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.fullmatch(r"emulator ready at (http://127\.0\.0\.1:\d+)\n", line)
            assert ready, line
            yield process, ready[1]
        finally:
            process.kill()


def test_a_storm_says_its_seed_and_a_seed_gives_the_same_storm() -> None:
    def storm_of(*flags: str) -> tuple[str, list[int | None]]:
        with started("--storm", "--fault", "{then: '403', operation: deploy, model: cm-b}", *flags) as (process, url):
            assert process.stdout is not None
            said = re.search(r"with --seed (\d+)$", process.stdout.readline())
            assert said
            statuses: list[int | None] = []
            for model_id in ["cm-a"] * 12 + ["cm-b"]:
                try:
                    statuses.append(undeploy(url, model_id).status_code)
                except LOST:
                    statuses.append(None)
            assert deploy(url, "cm-b").status_code == 403
        return said[1], statuses

    seed, statuses = storm_of()
    assert storm_of("--seed", seed) == (seed, statuses)
    assert statuses[0] in (429, 503)
    assert [number for number, status in enumerate(statuses[1:12], 1) if status == 400] == [1, 2, 4, 5, 7, 8, 10, 11]


def test_a_chance_of_one_strikes_each_request(tmp_path: Path) -> None:
    (tmp_path / "faults.yaml").write_text("seed: 5\nfaults: [{then: '307', operation: undeploy}]")
    with started("--chance", "1", "--faults", str(tmp_path / "faults.yaml")) as (process, url):
        assert process.stdout is not None
        assert process.stdout.readline().endswith("--seed 5\n")
        assert undeploy(url).status_code == 307
        for _ in range(5):
            with suppress(*LOST):
                deploy(url)
        first, *record = requests.get(f"{url}/emulator/requests", timeout=10).json()
    assert first["fault"] == "307"
    assert len(record) == 5
    assert {entry["fault"] for entry in record} <= set(PASSING)


def test_a_killed_emulator_goes_on_where_the_platform_would_be(tmp_path: Path) -> None:
    state = tmp_path / "state.json"
    flags = ["--state", str(state), "--job-seconds", "1.5", "--undeploy-seconds", "600", "--api-key", SECRET]
    odd = {"faults": [{"then": {"kind": "job", "seconds": 1e9, "notFoundLooks": 2}, "model": "cm-odd"}]}
    with started(*flags) as (process, url):
        requests.put(f"{url}/emulator/faults", json=odd, timeout=10)
        jobs = {model_id: job_of(deploy(url, model_id)) for model_id in ("cm-a", "cm-odd", "cm-gone")}
        requests.put(f"{url}/emulator/models/cm-b", json={"state": "Deployed", "fail": {"undeploy": "no"}}, timeout=10)
        jobs["cm-b"] = job_of(undeploy(url, "cm-b"))
        requests.delete(f"{url}/emulator/models/cm-gone", timeout=10)
        assert look(url, jobs["cm-odd"]).status_code == 404
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    time.sleep(1)
    with started(*flags, "--port", url.rpartition(":")[2]) as (process, again):
        assert again == url
        until = time.monotonic() + 5
        while look(url, jobs["cm-a"]).json()["status"] == "IN_PROGRESS":
            assert time.monotonic() < until
        # It took a second and a half in all, most of it while nobody was there.
        told = {job["id"]: job for job in requests.get(f"{url}/emulator/jobs", timeout=10).json()}
        assert told[jobs["cm-a"]]["time"] < 0
        assert look(url, jobs["cm-b"]).json()["status"] == "IN_PROGRESS"
        assert [look(url, jobs["cm-odd"]).status_code for _ in range(2)] == [404, 200]
        assert undeploy(url, "cm-gone").status_code == 404
        assert look(url, jobs["cm-gone"]).json()["response"]["message"] == "The model was deleted"
        models = {model["id"]: model for model in requests.get(f"{url}/emulator/models", timeout=10).json()}
        assert models["cm-a"]["deployment"] == BODY
        assert models["cm-b"]["fail"]["undeploy"] == "no"
        assert undeploy(url, "cm-a").json()["status"] == "IN_PROGRESS"
    assert SECRET not in state.read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["state.json"]


def test_a_deploy_that_was_answered_is_never_forgotten_whenever_the_kill_comes(tmp_path: Path) -> None:
    flags = ["--state", str(tmp_path / "state.json"), "--job-seconds", "600"]
    accepted: list[str] = []
    for kill_after_seconds in (0.05, 0.1, 0.2):
        with started(*flags) as (process, url):
            told = requests.get(f"{url}/emulator/jobs", timeout=10).json()
            assert accepted == [job["id"] for job in told][: len(accepted)]
            assert len(told) <= len(accepted) + 1  # the one whose answer was lost
            accepted = [job["id"] for job in told]
            killer = subprocess.Popen(
                ["sh", "-c", f"sleep {kill_after_seconds}; kill -KILL {process.pid}"], start_new_session=True
            )
            with suppress(requests.ConnectionError):
                while True:
                    accepted.append(job_of(deploy(url, f"cm-{len(accepted)}")))
            assert killer.wait(10) == 0
    assert len(accepted) > 3


def test_a_reset_empties_the_state_on_disk_too(tmp_path: Path) -> None:
    options = Options(job_seconds=0, state=tmp_path / "state.json")
    with Emulator(options) as emulator:
        deploy(emulator.url)
        emulator.set_model("cm-b", state="Deployed")
    with Emulator(options) as emulator:
        assert [model.id for model in emulator.platform.models()] == ["cm-a", "cm-b"]
        emulator.reset()
    with Emulator(options) as emulator:
        assert (emulator.jobs(), emulator.platform.models()) == ([], [])


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "EOF"),
        (b'{"version": 2}', "version: Input should be 1"),
        (b'{"version": 1, "models": [{"idd": "cm-a"}]}', "models.0.id: Field required"),
        (b'{"version": 1, "jobs": 7}', "jobs: Input should be"),
        (b"\xff", "holds no state of an emulator"),
    ],
)
def test_a_file_that_holds_no_state_is_one_clear_message_and_stays_as_it_is(
    tmp_path: Path, content: bytes, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "state.json"
    path.write_bytes(content)
    status = cli.main(["emulator", "--state", str(path)])
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert said in printed.err
    assert path.read_bytes() == content
