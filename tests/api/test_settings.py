"""The configuration: what is read from where, and what is refused before anything is sent."""

import re
from dataclasses import fields

import pytest

from pulumi_koreai.api.errors import ConfigError, Remedy, SettingFault
from pulumi_koreai.api.settings import API_KEY_ENV, HOST_ENV, Settings, is_loopback
from pulumi_koreai.core.renderer import Renderer
from pulumi_koreai.stackfile.terms import PULUMI
from pulumi_koreai.terraform.terms import TERRAFORM

HOST = "https://platform.example.com"
KEY = "kg-secret-0123456789"
CONFIG = {"host": HOST, "api_key": KEY}


def read(config: dict[str, str], environment: dict[str, str] | None = None) -> Settings:
    return Settings.read(config.get, (environment or {}).get)


def faults(config: dict[str, str], environment: dict[str, str] | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        read(config, environment)
    return str(caught.value)


def test_the_defaults() -> None:
    assert read(CONFIG) == Settings(HOST, KEY, 60, 1.0, 60.0, 3600.0)


def test_everything_can_be_set() -> None:
    tuning = {"requests_per_minute": "30", "poll_min_seconds": "0.5", "poll_max_seconds": "5"}
    tuning["answer_max_seconds"] = "90"
    assert read(CONFIG | tuning) == Settings(HOST, KEY, 30, 0.5, 5.0, 90.0)


def test_the_environment_fills_what_the_config_leaves_out() -> None:
    environment = {HOST_ENV: "https://other.example.com", API_KEY_ENV: "other-key"}
    assert read({}, environment) == Settings("https://other.example.com", "other-key")
    assert read(CONFIG, environment) == Settings(HOST, KEY)
    assert (HOST_ENV, API_KEY_ENV) == ("KOREAI_HOST", "KOREAI_API_KEY")


def test_spaces_around_and_a_slash_at_the_end_do_no_harm() -> None:
    assert read({"host": f" {HOST}/\n", "api_key": f"{KEY}\n"}) == Settings(HOST, KEY)


def test_the_key_is_in_no_repr() -> None:
    settings = read(CONFIG)
    assert KEY not in repr(settings)
    assert KEY not in str(settings)
    assert HOST in repr(settings)


def test_all_that_is_missing_or_wrong_is_reported_at_once_each_setting_with_what_to_do() -> None:
    config = {"requests_per_minute": "many", "poll_min_seconds": "-1"}
    with pytest.raises(ConfigError) as caught:
        read(config)
    assert caught.value.faults == (
        SettingFault("host", "not set", Remedy.SET_HOST),
        SettingFault("api_key", "not set", Remedy.SET_KEY),
        SettingFault("requests_per_minute", "got 'many'; expected a number from 1 to 1000000"),
        SettingFault("poll_min_seconds", "got '-1'; expected a number from 0.01 to 3600"),
    )
    assert str(caught.value).splitlines() == [f"{fault.setting}: {fault.problem}" for fault in caught.value.faults]


@pytest.mark.parametrize("renderer", [PULUMI, TERRAFORM], ids=["Pulumi", "Terraform"])
def test_a_front_end_says_it_by_its_own_names(renderer: Renderer) -> None:
    with pytest.raises(ConfigError) as caught:
        read({"host": "ftp://h"})
    host, key = renderer.error(caught.value).splitlines()
    assert (
        host == f"{renderer.settings['host']}: got 'ftp://h'; expected a URL such as https://ai-for-process.example.com"
    )
    assert key == f"{renderer.settings['api_key']}: not set. {renderer.how_to_set['api_key']}."


@pytest.mark.parametrize("renderer", [PULUMI, TERRAFORM], ids=["Pulumi", "Terraform"])
def test_a_front_end_has_a_name_for_each_setting_and_a_way_for_each_remedy(renderer: Renderer) -> None:
    assert list(renderer.settings) == list(Settings.about()) == [field.name for field in fields(Settings)]
    assert set(renderer.how_to_set) == {remedy.value for remedy in Remedy}


def test_each_setting_is_described_and_its_default_is_within_its_limits() -> None:
    for name, about in Settings.about().items():
        assert about.description.endswith("."), name
        assert bool(about.environment) != bool(about.limits), name
        if about.limits:
            assert about.limits[0] <= getattr(Settings, name) <= about.limits[1]


@pytest.mark.parametrize("setting, variable", [("host", HOST_ENV), ("api_key", API_KEY_ENV)])
def test_what_is_missing_says_how_to_set_it_both_ways(setting: str, variable: str) -> None:
    [remedy] = [remedy for remedy in Remedy if remedy.value == setting]
    message = PULUMI.setting_fault(SettingFault(setting, "not set", remedy))
    assert f"`pulumi config set {'--secret ' if setting == 'api_key' else ''}{PULUMI.settings[setting]}" in message
    assert variable in message


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
    assert read(CONFIG | {"host": host}).host == host


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
    assert "would send the key unencrypted" in faults(CONFIG | {"host": host})
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
    assert faults(CONFIG | {"host": host}).startswith("host: ")


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
    assert "hunter2" not in faults(CONFIG | {"host": host})


@pytest.mark.parametrize("key", ["kg secret", "kg-sécret", "kg\nsecret", "kg\x00secret", "kg\x7fsecret"])
def test_a_key_that_no_header_can_hold_is_refused_and_not_shown(key: str) -> None:
    message = faults(CONFIG | {"api_key": key})
    assert message.startswith("api_key: holds a character that no header can carry")
    assert key not in message


@pytest.mark.parametrize(
    "name, field, raw",
    [
        ("requests_per_minute", "requests_per_minute", "1"),
        ("requests_per_minute", "requests_per_minute", "1000000"),
        ("poll_min_seconds", "poll_min_seconds", "0.01"),
        ("poll_min_seconds", "poll_min_seconds", "3600"),
        ("poll_max_seconds", "poll_max_seconds", "1"),
        ("poll_max_seconds", "poll_max_seconds", "3600"),
        ("answer_max_seconds", "answer_max_seconds", "10"),
        ("answer_max_seconds", "answer_max_seconds", "86400"),
    ],
)
def test_a_number_is_taken_at_its_bounds(name: str, field: str, raw: str) -> None:
    assert getattr(read(CONFIG | {name: raw}), field) == float(raw)


@pytest.mark.parametrize(
    "name, raw",
    [
        *[(name, "nan") for name in ("requests_per_minute", "poll_min_seconds", "poll_max_seconds")],
        *[(name, "soon") for name in ("requests_per_minute", "poll_min_seconds", "poll_max_seconds")],
        ("requests_per_minute", "0"),
        ("requests_per_minute", "1000001"),
        ("requests_per_minute", "-60"),
        ("requests_per_minute", "inf"),
        ("poll_min_seconds", "0"),
        ("poll_min_seconds", "3601"),
        ("poll_max_seconds", "0.001"),
        ("poll_max_seconds", "3601"),
        ("answer_max_seconds", "9"),
        ("answer_max_seconds", "86401"),
    ],
)
def test_a_number_out_of_its_range_is_refused_with_the_range(name: str, raw: str) -> None:
    message = faults(CONFIG | {name: raw})
    assert re.fullmatch(rf"{name}: got '{re.escape(raw)}'; expected a number from [\d.]+ to \d+", message)


def test_an_empty_number_is_none() -> None:
    assert read(CONFIG | {"requests_per_minute": " "}).requests_per_minute == 60


def test_the_shortest_pause_is_not_above_the_longest() -> None:
    both = CONFIG | {"poll_min_seconds": "3", "poll_max_seconds": "2"}
    assert faults(both) == "poll_min_seconds: got 3; expected at most 2, the longest pause"
    alone = CONFIG | {"poll_max_seconds": "0.5"}
    assert faults(alone) == "poll_max_seconds: got 0.5; expected at least 1, the shortest pause"


def test_a_long_shortest_pause_alone_lifts_the_longest() -> None:
    settings = read(CONFIG | {"poll_min_seconds": "90"})
    assert (settings.poll_min_seconds, settings.poll_max_seconds) == (90, 90)
