"""The download of an export over real HTTP: without the key, bounded, and with no word of its address anywhere."""

import io
import logging
import socket
import threading

import pytest

from pulumi_koreai.api.client import Client
from pulumi_koreai.api.dock_job import DockJob
from pulumi_koreai.api.errors import AdviceKind, ExportProblem, ExportUnusable, Forbidden
from pulumi_koreai.api.export import Downloads, download_address
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.base.clock import SystemClock
from tests.api.scripted_server import Answer, ScriptedServer, Stream, cut, hang_up, reply
from tests.core.fakes import KEY, SimClock

SECRET = "/files/one-time-token-77aa"
CONTENT = b"the export"


def fetch(server: ScriptedServer, address: str = "", *, host: str = "", max_bytes: int = 1 << 20) -> bytes:
    settings = Settings(host or server.url, KEY)
    into = io.BytesIO()
    clock = SystemClock()
    downloads = Downloads(settings, clock, max_bytes)
    downloads.fetch("cm-1", address or server.url + SECRET, clock.monotonic() + 20, into)
    return into.getvalue()


def problem(server: ScriptedServer, address: str = "", **more: object) -> ExportUnusable:
    with pytest.raises(ExportUnusable) as caught:
        fetch(server, address, **more)  # type: ignore[arg-type]
    assert "token" not in str(caught.value)
    assert [advice.kind for advice in caught.value.advice] == [AdviceKind.EXPORT_BY_HAND]
    return caught.value


def test_the_export_is_fetched_without_the_key() -> None:
    with ScriptedServer(reply(200, CONTENT)) as server:
        assert fetch(server) == CONTENT
    (request,) = server.received
    assert (request.method, request.target) == ("GET", SECRET)
    assert "x-api-key" not in request.headers
    assert KEY not in str(request)


def test_an_address_without_a_host_is_the_platform_s() -> None:
    with ScriptedServer(reply(200, CONTENT)) as server:
        assert fetch(server, SECRET) == CONTENT


def test_a_redirect_is_followed_without_the_key() -> None:
    with ScriptedServer(reply(200, CONTENT)) as store, ScriptedServer() as platform:
        platform.script.append(reply(302, None, {"Location": f"{store.url}/a"}))
        assert fetch(platform) == CONTENT
    assert "x-api-key" not in store.received[0].headers


def test_a_redirect_to_plain_http_elsewhere_is_not_followed() -> None:
    with ScriptedServer(reply(307, None, {"Location": "http://store.example.com/token"})) as server:
        assert problem(server).problem is ExportProblem.BAD_ADDRESS


def test_redirects_end() -> None:
    round_trip: list[Answer] = [reply(302, None, {"Location": SECRET})] * 9
    with ScriptedServer(*round_trip) as server:
        assert problem(server).problem is ExportProblem.REDIRECTED
        assert len(server.received) == 4


@pytest.mark.parametrize(
    "address",
    [
        "http://store.example.com/token",
        "ftp://store.example.com/token",
        "https:///token",
        "https://user:token@store.example.com/",
        "https://[/token",
        "https://store.example.com:token/",
        "file:///etc/token",
        "https://store.example.com/\x1btoken",
    ],
)
def test_an_address_that_is_not_https_or_hides_something_is_not_used(address: str) -> None:
    with ScriptedServer() as server:
        assert problem(server, address).problem is ExportProblem.BAD_ADDRESS
        assert server.received == []


@pytest.mark.parametrize("address", ["https://127.0.0.1:{port}/token", "https://localhost:{port}/token"])
def test_a_platform_elsewhere_can_t_point_to_this_machine(address: str) -> None:
    with ScriptedServer() as server:
        told = problem(server, address.format(port=server.port), host="https://platform.example.com")
        assert told.problem is ExportProblem.BAD_ADDRESS
        assert server.received == []


def test_a_refusal_tells_its_status_alone() -> None:
    with ScriptedServer(reply(403, "no token-77aa here")) as server:
        assert problem(server).detail == "HTTP status 403"


def test_an_export_that_is_too_large_is_not_read_to_its_end() -> None:
    endless = Stream(200, b"x" * 4096, 1_000_000, 0, chunked=True)
    with ScriptedServer(endless) as server:
        assert problem(server, max_bytes=1 << 20).problem is ExportProblem.TOO_LARGE
        assert endless.given_up.wait(10)
        assert endless.sent < 10_000


@pytest.mark.parametrize("answer", [hang_up, cut(200, b"half")])
def test_a_download_that_breaks_off_is_none(answer: Answer) -> None:
    with ScriptedServer(answer) as server:
        assert problem(server).problem is ExportProblem.BROKEN


def test_a_download_that_trickles_ends_with_the_time() -> None:
    trickle = Stream(200, b"x", 1000, 0.01, chunked=False)
    clock = SystemClock()
    with ScriptedServer(trickle) as server:
        downloads = Downloads(Settings(server.url, KEY), clock)
        with pytest.raises(ExportUnusable) as caught:
            downloads.fetch("cm-1", server.url + SECRET, clock.monotonic() + 0.5, io.BytesIO())
    assert caught.value.problem is ExportProblem.TOO_SLOW


def test_the_address_is_in_no_error_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with ScriptedServer(reply(200, CONTENT), reply(500), cut()) as server:
        fetch(server)
        problem(server)
        problem(server)
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    with ScriptedServer() as server:
        told = problem(server, f"http://127.0.0.1:{free.getsockname()[1]}{SECRET}")
    assert told.problem is ExportProblem.NOT_REACHED
    free.close()
    assert SECRET not in caplog.text
    logging.getLogger("urllib3.connectionpool").debug("of another time")
    assert "of another time" in caplog.text


def test_what_other_threads_log_meanwhile_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    def log(connection: socket.socket) -> bool:
        other = threading.Thread(target=lambda: logging.getLogger("urllib3.connectionpool").debug("another's"))
        other.start()
        other.join()
        return reply(200, CONTENT)(connection)

    with ScriptedServer(log) as server:
        fetch(server)
    assert "another's" in caplog.text


@pytest.mark.parametrize(
    "response, address",
    [
        ({"downloadUrl": " https://h/a "}, "https://h/a"),
        ({"downloadUrl": None}, ""),
        ({"downloadUrl": ["https://h"]}, ""),
        ({}, ""),
        ("https://h", ""),
        (None, ""),
    ],
)
def test_the_address_of_an_answer(response: object, address: str) -> None:
    job = DockJob.parse({"_id": "ds-1", "status": "SUCCESS", "response": response})  # type: ignore[dict-item]
    assert download_address(job) == address
    assert "https" not in repr(job)


def test_an_export_is_asked_for_without_a_body_and_again_where_that_can_help() -> None:
    answer = {"_id": "ds-1", "modelId": "cm-1", "action": "EXPORT", "status": "IN_PROGRESS"}
    with ScriptedServer(reply(503), reply(200, answer), reply(403, {"message": "no"})) as server:
        client = Client(Settings(server.url, KEY), clock=SimClock())
        assert client.export("cm-1", 2000).id == "ds-1"
        with pytest.raises(Forbidden) as caught:
            client.export("cm-1", 2000)
    assert [(one.method, one.target, one.body) for one in server.received] == [
        ("POST", "/api/public/models/cm-1/export", b"")
    ] * 3
    assert [advice.subject for advice in caught.value.advice] == ["export models"]
