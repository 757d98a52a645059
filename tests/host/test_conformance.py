"""The same requests to the stock host and to ours: the same answers."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pulumi.dynamic import CreateResult, ResourceProvider

from tests.host import providers
from tests.host.harness import (
    OURS,
    STOCK,
    UNKNOWN,
    HostProcess,
    by_name,
    check,
    configure,
    create,
    delete,
    diff,
    pickled,
    read,
    struct,
    update,
)

Both = tuple[HostProcess, HostProcess]
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270", "value": "hush"}
VALUES: dict[str, Any] = {
    "int": 3,
    "float": 0.5,
    "text": "ü \U0001f600",
    "none": None,
    "flag": True,
    "list": [1, [2, None], {"x": []}],
    "deep": {"a": {"b": {"c": [1.25, "x"]}}},
}
UNKNOWNS: dict[str, Any] = {"a": UNKNOWN, "b": [1, UNKNOWN, {"c": UNKNOWN}], "known": 1}

full, plain, odd = providers.Full(), providers.Plain(), providers.Odd()

ALIKE: dict[str, tuple[str, Any]] = {
    "plugin info": ("GetPluginInfo", None),
    "cancel": ("Cancel", None),
    "configure": ("Configure", configure(a="b")),
    "create": ("Create", create(full, **VALUES)),
    "create with nothing": ("Create", create(full)),
    "create, the rest left to the SDK": ("Create", create(plain, **VALUES)),
    "create with a secret": ("Create", create(full, s=SECRET, deep={"s": [SECRET]})),
    "create with an awaitable among the outputs": ("Create", create(providers.SecretOut(), s=SECRET)),
    "create with a big text": ("Create", create(plain, text="x" * 1_000_000)),
    "create with an unknown": ("Create", create(full, **UNKNOWNS)),
    "check": ("Check", check(full, **VALUES)),
    "check with olds": ("Check", check(full, {"old": 1}, **VALUES)),
    "check, left to the SDK": ("Check", check(plain, {"old": 1}, **VALUES)),
    "check with unknowns": ("Check", check(full, **UNKNOWNS)),
    "check with unknowns, left to the SDK": ("Check", check(plain, **UNKNOWNS)),
    "check with a secret": ("Check", check(full, s=SECRET)),
    "diff, left to the SDK": ("Diff", diff(plain, {"a": 1}, a=2)),
    "diff, yes": ("Diff", diff(full, {}, changes=True, replaces=["a", "b"], dbr=True)),
    "diff, no": ("Diff", diff(full, {}, changes=False, dbr=False)),
    "diff with unknowns": ("Diff", diff(full, UNKNOWNS, **UNKNOWNS)),
    "update": ("Update", update(full, **VALUES)),
    "update, left to the SDK": ("Update", update(plain, **VALUES)),
    "delete": ("Delete", delete(full, a=1)),
    "delete, left to the SDK": ("Delete", delete(plain, a=1)),
    "read with outputs": ("Read", read(full, a=1)),
    "read with outputs and inputs": ("Read", read(full, {"b": 2}, a=1)),
    "read that gives inputs": ("Read", read(full, with_inputs=True)),
    "read, left to the SDK": ("Read", read(plain, a=1)),
    **{
        f"odd: {name}": (method, request(odd, odd=name))
        for name in providers.ODD
        for method, request in (("Create", create), ("Update", update), ("Read", read), ("Check", check))
        if name.startswith(method.lower()) and name not in ("read-empty", "read-none-outs", "check-none-failures")
    },
    **{f"odd: {name}": ("Diff", diff(odd, {}, odd=name)) for name in providers.ODD if name.startswith("diff")},
}

FAILING: dict[str, tuple[str, Any]] = {
    "create": ("Create", create(providers.Failing())),
    "update": ("Update", update(providers.Failing())),
    "delete": ("Delete", delete(providers.Failing())),
    "read": ("Read", read(providers.Failing(), a=1)),
    "check": ("Check", check(providers.Failing())),
    "diff": ("Diff", diff(providers.Failing(), {})),
    "a delete that fails": ("Delete", delete(full, fail=True)),
    "create is missing": ("Create", create(ResourceProvider())),
    "configure": ("Create", create(providers.Unconfigurable())),
    "a key that is required": ("Create", create(providers.Configured(), require="nothing")),
    "None from create": ("Create", create(odd, odd="None")),
    "None from update": ("Update", update(odd, odd="None")),
    "None from read": ("Read", read(odd, odd="None")),
    "None from check": ("Check", check(odd, odd="None")),
    "None from diff": ("Diff", diff(odd, {}, odd="None")),
    "no pickle": ("Create", create("bm9uc2Vuc2U=")),
    "no provider": ("Read", read(None, {"a": 1})),
    "a module that isn't there": ("Create", create(by_name("not_there", "Provider"))),
}


@pytest.mark.parametrize("case", ALIKE)
def test_both_hosts_answer_alike(both: Both, case: str) -> None:
    stock, ours = (process.ask(*ALIKE[case]) for process in both)
    assert (ours.code, ours.response) == (stock.code, stock.response)


@pytest.mark.parametrize("case", FAILING)
def test_what_fails_under_the_stock_host_fails_under_ours(both: Both, case: str) -> None:
    stock, ours = (process.ask(*FAILING[case]) for process in both)
    assert (stock.code, ours.code) == ("UNKNOWN", "UNKNOWN")
    assert ours.message
    assert "Traceback" not in ours.message


@pytest.mark.parametrize(
    "method", ["CheckConfig", "DiffConfig", "GetSchema", "Invoke", "Call", "Construct", "GetMapping", "Handshake"]
)
def test_what_dynamic_providers_do_not_have_is_unimplemented(both: Both, method: str) -> None:
    assert [process.ask(method).code for process in both] == ["UNIMPLEMENTED"] * 2


def by_value(make: Callable[[], ResourceProvider]) -> str:
    """Pickled as a class of the program itself is."""
    provider = make()
    type(provider).__module__ = "__main__"
    return pickled(provider)


def with_closure() -> ResourceProvider:
    kept = {"n": [1, 2]}

    class Mine(ResourceProvider):
        def __init__(self, factor: int) -> None:
            super().__init__()
            self.factor = factor

        def create(self, props: dict[str, Any]) -> CreateResult:
            return CreateResult("id", {"kept": kept, "product": props["x"] * self.factor})

    return Mine(3)


@pytest.mark.parametrize("command", [STOCK, OURS], ids=["stock", "ours"])
class TestBothHosts:
    def test_a_class_of_the_program_itself_comes_by_value(self, command: tuple[str, ...]) -> None:
        with HostProcess(command) as host:
            assert host.create(by_value(with_closure), x=2).outs == {"kept": {"n": [1.0, 2.0]}, "product": 6.0}

    def test_a_secret_output_captured_by_the_provider_can_be_read(
        self, command: tuple[str, ...], captured_secret: str
    ) -> None:
        with HostProcess(command) as host:
            assert host.create(captured_secret).outs == {"secret": "hush"}

    def test_the_configuration_reaches_a_provider_once(self, command: tuple[str, ...]) -> None:
        provider = providers.Configured()
        with HostProcess(command) as host:
            host.ask("Configure", configure(**{"project:mine": SECRET, "other:key": "k", "number": 3}))
            first, second = host.create(provider), host.create(provider)
        assert first.outs == {"mine": "hush", "other:key": "k", "count": 1.0}
        assert second.outs == first.outs

    def test_the_project_gives_keys_their_namespace(self, command: tuple[str, ...]) -> None:
        with HostProcess(command, env={"PULUMI_PROJECT": "shop"}) as host:
            host.ask("Configure", configure(**{"shop:mine": "m"}))
            assert host.create(providers.Configured()).outs["mine"] == "m"

    def test_a_module_in_the_working_directory_is_found(self, command: tuple[str, ...], tmp_path: Path) -> None:
        (tmp_path / "of_the_program.py").write_text(
            "from pulumi.dynamic import *\n"
            "class P(ResourceProvider):\n"
            "    def create(self, props):\n"
            "        return CreateResult('id', {'found': True})\n"
        )
        with HostProcess(command, cwd=tmp_path) as host:
            assert host.create(by_name("of_the_program", "P")).outs == {"found": True}

    def test_what_a_provider_prints_breaks_nothing_and_is_seen(self, command: tuple[str, ...]) -> None:
        with HostProcess(command) as host:
            assert host.create(providers.Printing()).code == "OK"
            host.leave()
        assert "".join(host.stdout) == "on stdout\nno end of line"
        assert "on stderr\n" in host.stderr

    def test_what_a_provider_registered_to_run_at_the_end_runs(self, command: tuple[str, ...], tmp_path: Path) -> None:
        with HostProcess(command) as host:
            host.create(providers.Leaving(), path=str(tmp_path / "end"))
            host.leave()
        assert (tmp_path / "end").read_text() == "left"

    def test_the_contract_is_there_under_both(self, command: tuple[str, ...]) -> None:
        lines = [["note", "a note"], ["warn", "a warning"], ["progress", "half"], ["sleep", 0.01], ["sleep", -1]]
        with HostProcess(command) as host:
            assert host.create(providers.Talking(), lines=lines).code == "OK"
            assert host.create(providers.Call()).outs["hosted"] is (command == OURS)
            failed = host.create(providers.Partial(), outs={"a": 1}, reasons=["one", "two"])
            assert failed.code == "UNKNOWN"
            assert "one\ntwo" in failed.message
            assert (failed.partial is not None) is (command == OURS)
            detailed = host.ask("Diff", diff(providers.Detailed(), {}, detailed={"a.b": "update"}))
            assert list(detailed.response.detailedDiff) == (["a.b"] if command == OURS else [])
            host.leave()
        said = [line for line in host.stderr if not line.startswith((" ", "Traceback"))]
        assert said[:2] == ["a note\n", "warning: a warning\n"] if command == STOCK else said[0] == "a note\n"


def test_providers_survive_in_one_process_whatever_came_before(both: Both) -> None:
    again = ALIKE["create"]
    stock, ours = (process.ask(*again) for process in both)
    assert ours.outs == stock.outs


def test_a_provider_not_known_yet_is_the_old_one() -> None:
    news = struct(None, {"a": 1, "__provider": UNKNOWN})
    request = check(full, {"old": 1})
    request.news.CopyFrom(news)
    with HostProcess(OURS) as host:
        answer = host.ask("Check", request)
        assert answer.response.inputs["had"].values[0].string_value == "old"
        assert answer.response.inputs["__provider"] == UNKNOWN


@pytest.fixture
def captured_secret() -> str:
    """A program's provider with a secret output in it, pickled the way `pulumi.dynamic.Resource` does."""
    program = """
import asyncio, pulumi
from pulumi.dynamic import *
from pulumi.dynamic.dynamic import serialize_provider
from pulumi.runtime._serialization import _serialize
async def main():
    secret = pulumi.Output.secret("hush")
    class P(ResourceProvider):
        def create(self, props):
            return CreateResult("id", {"secret": secret.get()})
    print(_serialize(True, serialize_provider, P())[0])
asyncio.run(main())
"""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()
