"""The configuration: what is read from where, and what is refused before anything is sent."""

import re

import pytest

from pulumi_koreai.api.errors import ConfigError
from pulumi_koreai.api.settings import API_KEY_ENV, HOST_ENV, Settings, is_loopback

HOST = "https://platform.example.com"
KEY = "kg-secret-0123456789"
CONFIG = {"koreai:host": HOST, "koreai:apiKey": KEY}


def read(config: dict[str, str], environment: dict[str, str] | None = None) -> Settings:
    return Settings.read(config.get, (environment or {}).get)


def faults(config: dict[str, str], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(config, environment)
    return str(caught.value)


def test_the_defaults() -> None:
    assert read(CONFIG) == Settings(HOST, KEY, 60, 1.0, 60.0)


def test_everything_can_be_set() -> None:
    tuning = {"koreai:requestsPerMinute": "30", "koreai:pollMinSeconds": "0.5", "koreai:pollMaxSeconds": "5"}
    assert read(CONFIG | tuning) == Settings(HOST, KEY, 30, 0.5, 5.0)


def test_the_environment_fills_what_the_config_leaves_out() -> None:
    environment = {HOST_ENV: "https://other.example.com", API_KEY_ENV: "other-key"}
    assert read({}, environment) == Settings("https://other.example.com", "other-key")
    assert read(CONFIG, environment) == Settings(HOST, KEY)
    assert (HOST_ENV, API_KEY_ENV) == ("KOREAI_HOST", "KOREAI_API_KEY")


def test_spaces_around_and_a_slash_at_the_end_do_no_harm() -> None:
    assert read({"koreai:host": f" {HOST}/\n", "koreai:apiKey": f"{KEY}\n"}) == Settings(HOST, KEY)


def test_the_key_is_in_no_repr() -> None:
    settings = read(CONFIG)
    assert KEY not in repr(settings)
    assert KEY not in str(settings)
    assert HOST in repr(settings)


def test_all_that_is_missing_or_wrong_is_told_at_once() -> None:
    message = faults({"koreai:requestsPerMinute": "many", "koreai:pollMinSeconds": "-1"})
    assert [line.split(" ")[0].rstrip(":") for line in message.splitlines()] == [
        "koreai:host",
        "koreai:apiKey",
        "koreai:requestsPerMinute",
        "koreai:pollMinSeconds",
    ]


def test_a_missing_key_says_how_to_set_it_both_ways() -> None:
    message = faults({"koreai:host": HOST})
    assert "pulumi config set --secret koreai:apiKey" in message
    assert "KOREAI_API_KEY" in message


def test_a_missing_host_says_how_to_set_it_both_ways() -> None:
    message = faults({"koreai:apiKey": KEY})
    assert "pulumi config set koreai:host https://" in message
    assert "KOREAI_HOST" in message


@pytest.mark.parametrize(
    "host",
    [
        "https://platform.example.com",
        "https://platform.example.com:8443",
        "HTTPS://Platform.Example.com",
        "http://localhost:8080",
        "http://LOCALHOST",
        "http://127.0.0.1:1",
        "http://127.3.2.1",
        "http://[::1]:8080",
    ],
)
def test_a_usable_host_is_taken(host: str) -> None:
    assert read(CONFIG | {"koreai:host": host}).host == host


@pytest.mark.parametrize(
    "host",
    [
        "http://platform.example.com",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "http://localhost.example.com",
        "http://127.0.0.1.example.com",
        "http://127.0.0.1%00.example.com",
        "http://[2001:db8::1]",
        "HTTP://platform.example.com",
    ],
)
def test_plain_http_to_another_machine_is_refused(host: str) -> None:
    assert "would send the key unencrypted" in faults(CONFIG | {"koreai:host": host})
    assert not is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        "platform.example.com",
        "platform.example.com:443",
        "ftp://platform.example.com",
        "https://",
        "https:///path",
        "//platform.example.com",
        "https://platform.example.com:port",
        "https://platform.example.com:99999",
        "https://[::1",
        "https://platform.example.com/api/public",
        "https://platform.example.com/?a=b",
        "https://platform.example.com/#here",
        "https://platform.example.com/#",
        "https://platform.example.com#",
        "https://platform.example.com?",
        "https://platform.example.com/?",
        "https://platform .example.com",
        "https://platform.exa\nmple.com",
        "file:///etc/passwd",
    ],
)
def test_what_is_no_url_of_a_platform_is_refused_by_name(host: str) -> None:
    assert faults(CONFIG | {"koreai:host": host}).startswith("koreai:host: ")


@pytest.mark.parametrize(
    "host",
    [
        "https://user:hunter2@platform.example.com",
        "https://hunter2@platform.example.com",
        "https://127.0.0.1:hunter2@platform.example.com",
        "http://user:hunter2@platform.example.com",
        "https://user:hunter2@platform.example.com/path",
        "https://user:hunter2@platform.example.com:port",
        "ftp://user:hunter2@platform.example.com",
    ],
)
def test_a_password_in_the_url_is_refused_and_not_shown(host: str) -> None:
    assert "hunter2" not in faults(CONFIG | {"koreai:host": host})


@pytest.mark.parametrize("key", ["kg secret", "kg-sécret", "kg\nsecret", "kg\x00secret", "kg\x7fsecret"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    message = faults(CONFIG | {"koreai:apiKey": key})
    assert message.startswith("koreai:apiKey holds a character that can't be sent")
    assert key not in message


@pytest.mark.parametrize(
    "name, field, given",
    [
        ("koreai:requestsPerMinute", "requests_per_minute", "1"),
        ("koreai:requestsPerMinute", "requests_per_minute", "1000000"),
        ("koreai:pollMinSeconds", "poll_min_seconds", "0.01"),
        ("koreai:pollMinSeconds", "poll_min_seconds", "3600"),
        ("koreai:pollMaxSeconds", "poll_max_seconds", "1"),
        ("koreai:pollMaxSeconds", "poll_max_seconds", "3600"),
    ],
)
def test_a_number_is_taken_at_its_bounds(name: str, field: str, given: str) -> None:
    assert getattr(read(CONFIG | {name: given}), field) == float(given)


@pytest.mark.parametrize(
    "name, given",
    [
        *[(name, "nan") for name in ("koreai:requestsPerMinute", "koreai:pollMinSeconds", "koreai:pollMaxSeconds")],
        *[(name, "soon") for name in ("koreai:requestsPerMinute", "koreai:pollMinSeconds", "koreai:pollMaxSeconds")],
        ("koreai:requestsPerMinute", "0"),
        ("koreai:requestsPerMinute", "1000001"),
        ("koreai:requestsPerMinute", "-60"),
        ("koreai:requestsPerMinute", "inf"),
        ("koreai:pollMinSeconds", "0"),
        ("koreai:pollMinSeconds", "3601"),
        ("koreai:pollMaxSeconds", "0.001"),
        ("koreai:pollMaxSeconds", "3601"),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(name: str, given: str) -> None:
    message = faults(CONFIG | {name: given})
    assert re.fullmatch(rf"{name}: '{re.escape(given)}' given; allowed: a number from [\d.e+]+ to [\d.e+]+", message)


def test_an_empty_number_is_none() -> None:
    assert read(CONFIG | {"koreai:requestsPerMinute": " "}).requests_per_minute == 60


def test_the_shortest_pause_is_not_above_the_longest() -> None:
    assert "is above koreai:pollMaxSeconds (2)" in faults(
        CONFIG | {"koreai:pollMinSeconds": "3", "koreai:pollMaxSeconds": "2"}
    )


def test_a_long_shortest_pause_alone_lifts_the_longest() -> None:
    settings = read(CONFIG | {"koreai:pollMinSeconds": "90"})
    assert (settings.poll_min_seconds, settings.poll_max_seconds) == (90, 90)
