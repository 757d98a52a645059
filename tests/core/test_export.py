"""The wait for an export: on the simulated clock, with the download over a real socket."""

from random import Random

import pytest
from pydantic import JsonValue

from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.errors import AdviceKind, ExportProblem, ExportUnusable, JobFailed, JobTimeout, Unauthorized
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core.export import Exporter
from tests.api.scripted_server import ScriptedServer, reply
from tests.core.fakes import KEY, Answer, FakePlatform, SimClock, Told, job, not_found, server_error


class Exporting(FakePlatform):
    """Takes exports too."""

    def export(self, model_id: str, until: float) -> DockJob:
        return self._next(f"export {model_id}", until)


def answer(status: str, url: str = "", percent: float | None = None) -> DockJob:
    raw: dict[str, JsonValue] = {"_id": "ds-1", "status": status, "percentageComplete": percent}
    return DockJob.parse({**raw, "response": {"downloadUrl": url}} if url else raw)


def run(server: ScriptedServer, *answers: Answer, seconds: float = 600) -> tuple[JsonValue, Exporting, Told]:
    clock, told = SimClock(), Told()
    platform = Exporting(clock, answers, Settings(server.url, KEY))
    exporter = Exporter(platform, clock, Random(1), told, seconds)
    return exporter.config("cm-1", exporter.begin("cm-1")), platform, told


def test_the_job_is_waited_on_and_its_export_read() -> None:
    with ScriptedServer(reply(200, {"name": "chat"})) as server:
        end = answer("SUCCESS", f" {server.url}/a", 100)
        config, platform, told = run(server, job("IN_PROGRESS", 0), job("IN_PROGRESS", 50), end)
    assert config == {"name": "chat"}
    assert platform.sent == ["export cm-1", "job ds-1 EXPORT cm-1", "job ds-1 EXPORT cm-1"]
    assert told.progressed[0].startswith("exporting 50 %, ")


@pytest.mark.parametrize("trouble", [server_error(), not_found()])
def test_a_look_that_fails_for_a_moment_is_no_end(trouble: Answer) -> None:
    with ScriptedServer(reply(200, "{}")) as server:
        assert run(server, job("IN_PROGRESS"), trouble, answer("SUCCESS", f"{server.url}/a"))[0] == {}


def test_a_look_that_is_refused_is_an_end() -> None:
    refused = Unauthorized("asking", method="GET", path="/p", status=401)
    with ScriptedServer() as server, pytest.raises(Unauthorized):
        run(server, job("IN_PROGRESS"), refused)


def test_an_address_of_the_first_answer_counts_too() -> None:
    with ScriptedServer(reply(200, "{}")) as server:
        assert run(server, answer("IN_PROGRESS", f"{server.url}/a"), answer("SUCCESS"))[0] == {}
        assert [one.target for one in server.received] == ["/a"]


def test_a_job_that_ends_well_without_an_address_is_told() -> None:
    with ScriptedServer() as server, pytest.raises(ExportUnusable) as caught:
        run(server, answer("SUCCESS"))
    assert caught.value.problem is ExportProblem.NO_ADDRESS


def test_a_job_that_fails_gives_the_platform_s_reason_and_the_way_by_hand() -> None:
    with ScriptedServer() as server, pytest.raises(JobFailed, match='job ds-1 failed: "no disk"') as caught:
        run(server, job("IN_PROGRESS"), job("FAILED", reason="no disk"))
    assert [advice.kind for advice in caught.value.advice] == [AdviceKind.EXPORT_BY_HAND]


def test_a_job_that_does_not_end_is_given_up_when_the_time_is_up() -> None:
    with ScriptedServer() as server, pytest.raises(JobTimeout, match="has not ended after 1m00s"):
        run(server, *[job("IN_PROGRESS")] * 100, seconds=60)
