"""What our host does and the stock one doesn't."""

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from pulumi.runtime.proto import engine_pb2, provider_pb2

from pulumi_koreai.host.log import EngineLog
from pulumi_koreai.host.server import Host
from pulumi_koreai.host.threads import Threads
from tests.host import providers
from tests.host.harness import (
    OURS,
    ROOT,
    STOCK,
    TYPE,
    FakeEngine,
    HostProcess,
    answer,
    attach,
    by_name,
    check,
    create,
    delete,
    diff,
    pickled,
    plain,
    read,
    struct,
    until,
    update,
    urn,
)

SLOW = pickled(providers.Slow())
DEAF = pickled(providers.Deaf())


REQUESTS: dict[str, Callable[..., Any]] = {
    "Create": create,
    "Update": update,
    "Read": read,
    "Delete": delete,
    "Check": check,
}


def memory_mb(process: HostProcess) -> float:
    """The most memory that the process had at once; only Linux tells of another process's past."""
    if sys.platform != "linux":
        return psutil.Process(process.process.pid).memory_info().rss / 1024**2
    status = Path(f"/proc/{process.process.pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def waiting(host: HostProcess, count: int, seconds: float = 60, **props: Any) -> list[Any]:
    """So many creates that have begun to wait."""
    futures = [
        host.future("Create", create(SLOW, name=f"r{index}", seconds=seconds, **props), 90) for index in range(count)
    ]
    process = psutil.Process(host.process.pid)
    assert until(lambda: process.num_threads() >= count)
    time.sleep(0.1)
    return futures


class TestWaits:
    def test_five_hundred_at_once_take_as_long_as_one_and_little_memory(self, own_host: HostProcess) -> None:
        started = time.monotonic()
        futures = [own_host.future("Create", create(SLOW, name=f"r{index}", seconds=2), 60) for index in range(500)]
        assert {answer(future).code for future in futures} == {"OK"}
        assert time.monotonic() - started < 6
        assert memory_mb(own_host) < 150

    @pytest.mark.parametrize("provider", [SLOW, DEAF], ids=["call.sleep", "time.sleep"])
    def test_nothing_queues_behind_them(self, own_host: HostProcess, provider: str) -> None:
        futures = [own_host.future("Create", create(provider, seconds=30)) for _ in range(60)]
        started = time.monotonic()
        assert own_host.ask("Check", check(providers.Plain(), a=1)).code == "OK"
        assert own_host.ask("Diff", diff(providers.Plain(), {}, a=1)).code == "OK"
        assert own_host.ask("Configure", provider_pb2.ConfigureRequest()).code == "OK"
        assert own_host.ask("Cancel").code == "OK"
        assert time.monotonic() - started < 2
        assert not any(future.done() for future in futures) or provider == SLOW

    def test_threads_are_used_again(self, own_host: HostProcess) -> None:
        threads = [own_host.create(providers.Threads()).outs["threads"] for _ in range(50)]
        assert max(threads) < 10

    def test_without_a_thread_left_a_call_waits_for_one(self, monkeypatch: pytest.MonkeyPatch) -> None:
        pool = Threads()
        gate = threading.Event()
        first = pool.submit(gate.wait, 10)
        with monkeypatch.context() as patched:

            def no_more(_: threading.Thread) -> None:
                raise RuntimeError("can't start new thread")

            patched.setattr(threading.Thread, "start", no_more)
            second, third = pool.submit(lambda: 2), pool.submit(lambda: 3)
        assert not second.done()
        gate.set()
        assert (first.result(5), second.result(5), third.result(5)) == (True, 2, 3)
        assert pool.submit(lambda: 4).result(5) == 4


class TestCancel:
    @pytest.mark.parametrize("method", ["Create", "Update", "Read", "Delete"])
    def test_it_ends_a_wait_at_once_with_a_clean_error(self, own_host: HostProcess, method: str) -> None:
        request = REQUESTS[method](SLOW, seconds=60)
        future = own_host.future(method, request)
        time.sleep(0.3)
        started = time.monotonic()
        own_host.ask("Cancel")
        got = answer(future)
        assert time.monotonic() - started < 1
        assert (got.code, got.message) == ("CANCELLED", "cancelled")

    def test_hundreds_end_at_once(self, own_host: HostProcess) -> None:
        futures = waiting(own_host, 300)
        started = time.monotonic()
        own_host.ask("Cancel")
        assert {answer(future).code for future in futures} == {"CANCELLED"}
        assert time.monotonic() - started < 2

    def test_no_job_of_hundreds_is_lost_for_want_of_descriptors(self) -> None:
        few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64));"
        program = f"{few} from pulumi_koreai.host.__main__ import main; main()"
        with FakeEngine() as engine, HostProcess(["-c", program], engine=engine) as host:
            futures = waiting(host, 400, partial=20_000)
            host.ask("Cancel")
            answers = [answer(future) for future in futures]
        assert {got.message for got in answers} == {"job-1 is still running"}
        assert all(got.partial for got in answers)

    def test_a_provider_can_say_what_is_left_running(self, own_host: HostProcess) -> None:
        partial, says = waiting(own_host, 1, partial=1), waiting(own_host, 1, says="job-1 goes on")
        own_host.ask("Cancel")
        assert answer(says[0]).message == "job-1 goes on"
        got = answer(partial[0])
        assert got.code == "UNKNOWN"
        assert (got.partial.id, list(got.partial.reasons)) == ("job-1", ["job-1 is still running"])

    def test_a_call_that_comes_later_starts_cancelled(self, own_host: HostProcess) -> None:
        own_host.ask("Cancel")
        assert own_host.create(SLOW, seconds=60).code == "CANCELLED"
        assert own_host.create(SLOW, seconds=0).code == "CANCELLED"
        assert own_host.create(providers.Call()).outs["cancelled"] is True
        assert own_host.ask("Check", check(providers.Plain(), a=1)).code == "OK"

    def test_a_call_that_the_engine_gives_up_ends(self, own_host: HostProcess) -> None:
        (future,) = waiting(own_host, 1)
        future.cancel()
        assert own_host.interrupt() < 1


class TestStart:
    def test_importing_the_contract_imports_no_sdk(self) -> None:
        # The package's own __init__ is left out: what it imports is not for the contract to say.
        program = f"""
import sys, types
package = types.ModuleType("pulumi_koreai")
package.__path__ = [{str(ROOT / "provider" / "pulumi_koreai")!r}]
sys.modules["pulumi_koreai"] = package
from pulumi_koreai.host import Call, Cancelled, PartialFailure, current_call
assert not current_call().hosted
print(sorted({{"grpc", "pulumi", "google.protobuf", "dill"}} & set(sys.modules)))
from pulumi_koreai.host import DetailedDiff, DiffKind
assert DetailedDiff(detailed={{"a": DiffKind.ADD}}).detailed == {{"a": "add"}}
"""
        done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
        assert done.stdout == "[]\n"

    def test_without_arguments_it_serves_too(self) -> None:
        host = subprocess.Popen([sys.executable, *OURS], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        with host:
            assert host.stdout is not None
            assert host.stdout.readline().strip().isdigit()
            host.send_signal(signal.SIGINT)
            assert host.wait(5) == 0


class TestEnd:
    def test_idle_it_leaves_at_once(self, own_host: HostProcess) -> None:
        own_host.create(providers.Plain())
        assert own_host.interrupt() < 0.5
        assert own_host.process.returncode == 0
        assert own_host.stderr == []

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_a_signal_with_waits_under_way_ends_them_first(self, own_host: HostProcess, number: signal.Signals) -> None:
        futures = waiting(own_host, 50, partial=200_000)
        os.killpg(own_host.process.pid, number)
        got = [answer(future) for future in futures]
        assert {(one.code, one.partial.id) for one in got} == {("UNKNOWN", "job-1")}
        assert {len(one.partial.properties["text"]) for one in got} == {200_000}
        assert own_host.process.wait(2) == 0

    def test_a_call_that_does_not_end_is_waited_for_less_than_the_engine_waits(self, own_host: HostProcess) -> None:
        stuck = own_host.future("Create", create(DEAF, seconds=60))
        time.sleep(0.5)
        assert 3 < own_host.interrupt() < 5
        assert answer(stuck).code == "UNAVAILABLE"

    def test_a_second_signal_waits_for_nothing(self, own_host: HostProcess) -> None:
        stuck = own_host.future("Create", create(DEAF, seconds=60))
        time.sleep(0.5)
        os.killpg(own_host.process.pid, signal.SIGINT)
        time.sleep(0.2)
        assert not stuck.done()
        assert own_host.interrupt() < 0.5

    # How the host's stdout and its parent hang together: through a pipe that the parent reads, as in the engine;
    # not at all; and through a shell between the two that outlives the parent.
    @pytest.mark.parametrize("way", ["pipe", "file", "wrapper"])
    def test_a_killed_parent_ends_it_within_a_second(self, tmp_path: Path, way: str) -> None:
        port = tmp_path / "port"
        script = f"""
import subprocess, sys, time
command = [sys.executable, *{OURS!r}, "127.0.0.1:1"]
if {way!r} == "wrapper":
    command = ["sh", "-c", '"$@"; exit', "sh", *command]
out = open({str(port)!r}, "w") if {way!r} == "file" else subprocess.PIPE
host = subprocess.Popen(command, stdout=out, start_new_session=True)
if {way!r} != "file":
    open({str(port)!r}, "wb").write(host.stdout.readline())
time.sleep(60)
"""
        parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
        try:
            assert until(lambda: port.exists() and port.read_text().endswith("\n"))
            address = ("127.0.0.1", int(port.read_text()))
            socket.create_connection(address).close()
        finally:
            parent.kill()
            parent.wait()

        def gone() -> bool:
            try:
                socket.create_connection(address).close()
            except ConnectionRefusedError:
                return True
            return False

        assert until(gone, 1.0)

    def test_start_and_end_cost_no_more_than_the_stock_host_s(self) -> None:
        def seconds(command: tuple[str, ...]) -> float:
            with HostProcess(command) as host:
                host.ask("GetPluginInfo")
                before = time.monotonic()
                host.leave()
                return host.ready_after + time.monotonic() - before

        both = [(seconds(STOCK), seconds(OURS)) for _ in range(5)]
        stock, ours = (statistics.median(one) for one in zip(*both, strict=True))
        assert ours < stock + 0.5


class TestCall:
    def test_each_method_sees_its_call(self, host: HostProcess, engine: FakeEngine) -> None:
        provider = providers.Call()
        facts = {"hosted": True, "urn": urn(), "name": "r", "type": TYPE, "timeout": "none", "cancelled": False}
        assert host.create(provider).outs == facts
        assert host.ask("Update", update(provider)).outs == facts
        assert host.ask("Read", read(provider, a=1)).outs == facts
        assert plain(host.ask("Check", check(provider)).response.inputs) == facts
        assert list(host.ask("Diff", diff(provider, {})).response.replaces) == [urn()]
        assert host.ask("Delete", delete(provider)).message == repr(facts)
        assert engine.said() == ["diff of r"]

    def test_the_timeout_is_in_seconds(self, host: HostProcess) -> None:
        assert host.create(providers.Call(), timeout=90).outs["timeout"] == 90

    def test_an_engine_that_sends_no_name_is_helped_by_the_urn(self, host: HostProcess) -> None:
        request = create(providers.Call(), name="my::odd")
        request.ClearField("name")
        request.ClearField("type")
        assert answer(host.future("Create", request)).outs["name"] == "odd"


class TestLines:
    def lines(self, host: HostProcess, *lines: tuple[str, Any]) -> None:
        assert host.create(providers.Talking(), lines=[list(line) for line in lines]).code == "OK"

    def test_lasting_ones_are_with_the_engine_before_the_answer_in_order(self, host: HostProcess) -> None:
        with FakeEngine(delay=0.02) as engine:
            host.ask("Attach", attach(engine))
            texts = [f"line {number}" for number in range(20)]
            self.lines(host, *(("note", text) for text in texts))
            assert engine.said() == texts
            assert {(line.urn, line.severity, line.ephemeral) for _, line in engine.lines} == {
                (urn(), engine_pb2.INFO, False)
            }

    def test_a_lasting_one_is_said_once_in_a_call(self, host: HostProcess, engine: FakeEngine) -> None:
        self.lines(host, ("note", "again"), ("warn", "again"), ("note", "again"), ("warn", "again"))
        assert [(line.message, line.severity) for _, line in engine.lines] == [
            ("again", engine_pb2.INFO),
            ("again", engine_pb2.WARNING),
        ]
        self.lines(host, ("note", "again"))
        assert len(engine.lines) == 3

    def test_progress_is_ephemeral_and_unchanged_text_is_dropped(self, host: HostProcess, engine: FakeEngine) -> None:
        self.lines(host, ("progress", "half"), ("sleep", 1.2), ("progress", "half"), ("sleep", 0.2))
        assert engine.said(ephemeral=True) == ["half"]
        assert engine.said() == []

    def test_progress_comes_once_a_second_and_the_last_is_not_lost(self, host: HostProcess, engine: FakeEngine) -> None:
        steps = [step for number in range(250) for step in (("progress", f"{number}"), ("sleep", 0.01))]
        started = time.monotonic()
        self.lines(host, *steps, ("sleep", 1.2))
        took = time.monotonic() - started
        shown = engine.said(ephemeral=True)
        assert shown[0] == "0"
        assert shown[-1] == "249"
        # How far apart they arrive is the machine's affair too; how many there are is the host's.
        assert 3 <= len(shown) <= took + 1

    def test_progress_that_goes_back_to_what_is_shown_is_not_repeated(
        self, host: HostProcess, engine: FakeEngine
    ) -> None:
        self.lines(host, ("progress", "a"), ("sleep", 0.2), ("progress", "b"), ("progress", "a"), ("sleep", 1.3))
        assert engine.said(ephemeral=True) == ["a"]

    def test_one_resource_s_progress_does_not_slow_another_s(self, host: HostProcess, engine: FakeEngine) -> None:
        talk = pickled(providers.Talking())
        lines = [step for number in range(20) for step in (["progress", str(number)], ["sleep", 0.1])] + [["sleep", 2]]
        futures = [host.future("Create", create(talk, name=f"r{index}", lines=lines)) for index in range(100)]
        started = time.monotonic()
        assert {answer(future).code for future in futures} == {"OK"}
        assert time.monotonic() - started < 8
        assert len({line.urn for _, line in engine.lines if line.message == "19"}) == 100
        assert len(engine.lines) <= 100 * 4

    def test_an_engine_that_hangs_delays_an_answer_by_seconds_only(self, own_host: HostProcess) -> None:
        with FakeEngine(delay=30) as engine:
            own_host.ask("Attach", attach(engine))
            started = time.monotonic()
            self.lines(own_host, ("progress", "half"), ("note", "a"), ("note", "b"))
            assert time.monotonic() - started < 7
            own_host.process.kill()  # or the fake engine would wait for its lines

    def test_without_an_engine_lasting_lines_go_to_stderr(self) -> None:
        with HostProcess(OURS) as host:
            self.lines(host, ("note", "a note"), ("progress", "half"), ("warn", "a warning"))
            host.interrupt()
        assert host.stderr == ["a note\n", "a warning\n"]

    def test_odd_texts_harm_nothing(self, host: HostProcess, engine: FakeEngine) -> None:
        self.lines(host, ("note", 5), ("note", ""), ("note", "a\nb"), ("note", "x" * 200_000), ("progress", None))
        assert engine.said()[:3] == ["5.0", "", "a\nb"]
        assert len(engine.said()[3]) == 200_000


class TestPartialFailure:
    @pytest.mark.parametrize("method", ["Create", "Update", "Read"])
    def test_the_engine_gets_id_outputs_and_reasons(self, host: HostProcess, method: str) -> None:
        provider = providers.Partial()
        props = {"id": "job", "outs": {"a": 1, "deep": {"b": [None, "x"]}}, "reasons": ["one\ntwo", "three"]}
        request = REQUESTS[method](provider, **props)
        got = host.ask(method, request)
        assert (got.code, got.message) == ("UNKNOWN", "one\ntwo\nthree")
        assert (got.partial.id, list(got.partial.reasons)) == ("job", ["one\ntwo", "three"])
        assert plain(got.partial.properties) == props["outs"]
        assert got.partial.properties["__provider"] == pickled(provider)
        assert not got.partial.HasField("inputs")

    def test_read_may_give_inputs(self, host: HostProcess) -> None:
        got = host.ask("Read", read(providers.Partial(), outs={}, reasons=["r"], new_inputs={"a": 1}))
        assert plain(got.partial.inputs) == {"a": 1}
        assert got.partial.inputs["__provider"]

    def test_outputs_may_be_large(self, host: HostProcess) -> None:
        got = host.create(providers.Partial(), outs={"a": "x" * 1_000_000}, reasons=["r" * 20_000])
        assert len(got.partial.properties["a"]) == 1_000_000

    def test_a_provider_may_import_googleapis_common_protos(self, host: HostProcess) -> None:
        got = host.create(providers.Partial(), outs={"a": 1}, reasons=["r"], needs="google.rpc.status_pb2")
        assert got.partial.reasons == ["r"]

    def test_where_the_engine_can_t_keep_it_it_is_an_error(self, host: HostProcess) -> None:
        for got in (
            host.create(providers.Partial(), id="", outs={}, reasons=["no id"]),
            host.ask("Delete", delete(providers.Partial(), outs={}, reasons=["no id"])),
        ):
            assert (got.code, got.message, got.partial) == ("UNKNOWN", "no id", None)

    def test_outputs_that_can_t_be_kept_are_the_provider_s_fault(self, host: HostProcess) -> None:
        got = host.create(providers.Partial(), outs=[1], reasons=["r"])
        assert "please report" not in got.message
        assert got.partial is None


class TestDiff:
    def test_it_names_the_properties(self, host: HostProcess) -> None:
        kinds = ["add", "add-replace", "delete", "delete-replace", "update", "update-replace"]
        paths = {f"a.b[{index}]": kind for index, kind in enumerate(kinds)}
        got = host.ask("Diff", diff(providers.Detailed(), {}, detailed=paths, changes=True)).response
        assert got.hasDetailedDiff
        names = {path: provider_pb2.PropertyDiff.Kind.Name(one.kind) for path, one in got.detailedDiff.items()}
        assert names == {path: kind.upper().replace("-", "_") for path, kind in paths.items()}
        assert all(one.inputDiff for one in got.detailedDiff.values())

    @pytest.mark.parametrize(
        "changes, detailed, expected",
        [
            (None, {"a": "update"}, "DIFF_SOME"),
            (None, {}, "DIFF_UNKNOWN"),
            (False, {"a": "update"}, "DIFF_NONE"),
            (True, {}, "DIFF_SOME"),
        ],
    )
    def test_details_are_changes(
        self, host: HostProcess, changes: bool | None, detailed: dict[str, str], expected: str
    ) -> None:
        got = host.ask("Diff", diff(providers.Detailed(), {}, changes=changes, detailed=detailed)).response
        assert provider_pb2.DiffResponse.DiffChanges.Name(got.changes) == expected
        assert got.hasDetailedDiff is (expected == "DIFF_SOME")

    def test_of_outputs(self, host: HostProcess) -> None:
        got = host.ask("Diff", diff(providers.Detailed(), {}, detailed={"a": "add"}, input_diff=False)).response
        assert not got.detailedDiff["a"].inputDiff

    def test_the_old_value_is_looked_up_where_the_provider_was_given_it(self, host: HostProcess) -> None:
        paths = dict.fromkeys(["same.a", "other.a[0]", "new", "gone.a", "gone.b"], "update")
        request = diff(providers.Detailed(), {"same": {"a": 1}, "other": {"a": [0.9]}, "new": 1}, detailed=paths)
        request.old_inputs.CopyFrom(struct(None, {"same": {"a": 1}, "other": {"a": [0.5]}, "gone": {}}))
        got = host.ask("Diff", request).response
        assert [path for path in paths if got.detailedDiff[path].inputDiff] == ["same.a"]


class TestErrors:
    @pytest.mark.parametrize(
        "how, message",
        [
            ("plain", "it failed"),
            (
                "cause",
                """the deploy was not sent
look at the console
  caused by: can't reach the platform
  caused by: no route to host""",
            ),
            ("context", "clean"),
            ("repeated", "not sent: no route"),
            ("silent", "NotImplementedError"),
            ("surrogate", "half ? a pair"),
            ("group", "several (2 sub-exceptions)\n  - one\n  - KeyError: 'two'"),
            ("noted", "failed\ntry again"),
            ("long", "x" * 50_000),
        ],
    )
    def test_the_user_gets_the_message_and_the_debug_log_the_traceback(
        self, host: HostProcess, engine: FakeEngine, how: str, message: str
    ) -> None:
        got = host.create(providers.Failing(), how=how)
        assert (got.code, got.message) == ("UNKNOWN", message)
        (trace,) = engine.said(engine_pb2.DEBUG)
        assert "Traceback" in trace
        assert "providers.py" in trace
        assert engine.said() == []

    @pytest.mark.parametrize("how, message", [("slip", "KeyError: 'nothing'"), ("leave", "SystemExit: gone")])
    def test_a_slip_in_the_code_says_where(self, host: HostProcess, how: str, message: str) -> None:
        got = host.create(providers.Failing(), how=how)
        first, second = got.message.splitlines()
        assert first == message
        assert second.startswith("  in create, ")
        assert "providers.py:" in second

    def test_each_verb(self, host: HostProcess) -> None:
        provider = providers.Failing()
        requests = {
            "Check": check(provider),
            "Diff": diff(provider, {}),
            "Create": create(provider),
            "Update": update(provider),
            "Read": read(provider, a=1),
            "Delete": delete(provider),
        }
        assert {host.ask(method, request).message for method, request in requests.items()} == {"it failed"}

    def test_configure(self, host: HostProcess) -> None:
        assert host.create(providers.Unconfigurable()).message == "no key is set"

    def test_a_missing_module_is_named(self, host: HostProcess, engine: FakeEngine) -> None:
        got = host.create(by_name("gone.away", "Provider"))
        assert "no module 'gone'" in got.message
        assert "Install the package" in got.message
        assert "ModuleNotFoundError" in engine.said(engine_pb2.DEBUG)[0]

    @pytest.mark.parametrize("pickle", [by_name("tests.host.providers", "Renamed"), "bm9uc2Vuc2U="])
    def test_what_can_t_be_unpickled_says_so(self, host: HostProcess, pickle: str) -> None:
        got = host.create(pickle)
        assert "can't be loaded by Python 3." in got.message
        assert "Traceback" not in got.message

    def test_a_read_without_a_provider_says_why(self, host: HostProcess) -> None:
        assert "can't be imported" in host.ask("Read", read(None, {"a": 1})).message

    @pytest.mark.parametrize("method", ["Create", "Update", "Read", "Check", "Diff"])
    def test_none_is_no_answer(self, host: HostProcess, method: str) -> None:
        odd = providers.Odd()
        request = diff(odd, {}, odd="None") if method == "Diff" else REQUESTS[method](odd, odd="None")
        got = host.ask(method, request)
        assert got.message == f"Odd.{method.lower()} returned None, not a {method}Result"

    def test_properties_that_the_sdk_can_t_read(self, host: HostProcess) -> None:
        asset = {"4dabf18193072939515e22adb298388d": "c44067f5952c0a294b673a41bacd8c17", "hash": "without content"}
        got = host.ask("Diff", diff(providers.Plain(), {}, asset=asset))
        assert got.message.startswith("the Pulumi SDK can't read what the engine sent: AssertionError: Invalid asset")

    def test_a_fault_of_the_host_is_there_in_full(self) -> None:
        class Context:
            def add_callback(self, _: object) -> bool:
                return True

            def abort(self, code: object, message: str) -> None:
                raise ConnectionAbortedError(message)

        def broken(request: object, call: object) -> None:
            raise KeyError("ours")

        with pytest.raises(ConnectionAbortedError) as aborted:
            Host(EngineLog())._answering(broken)(provider_pb2.CreateRequest(), Context())
        said = str(aborted.value)
        assert said.startswith("a fault of the dynamic provider host")
        assert "please report it to pulumi-koreai" in said
        assert "Traceback" in said
        assert "KeyError: 'ours'" in said


class TestOddAnswers:
    def test_an_empty_read_result_means_gone(self, host: HostProcess) -> None:
        got = host.ask("Read", read(providers.Odd(), odd="read-empty"))
        assert (got.code, got.response.id, got.outs) == ("OK", "", {})

    def test_a_read_without_outputs_leaves_them(self, host: HostProcess) -> None:
        got = host.ask("Read", read(providers.Odd(), odd="read-none-outs"))
        assert (got.response.id, got.outs) == ("id", {"odd": "read-none-outs"})

    def test_none_for_failures_means_none(self, host: HostProcess) -> None:
        assert host.ask("Check", check(providers.Odd(), odd="check-none-failures")).code == "OK"

    def test_async_methods_are_awaited(self, host: HostProcess) -> None:
        assert host.create(providers.Async()).outs == {"ok": True}
        assert plain(host.ask("Check", check(providers.Async(), a=1)).response.inputs) == {"a": 1.0, "checked": "r"}
        assert host.create(providers.Async(), fail=True).message == "it failed"

    def test_async_waits_are_cancelled(self, own_host: HostProcess) -> None:
        future = own_host.future("Create", create(providers.Async(), seconds=60))
        time.sleep(0.3)
        own_host.ask("Cancel")
        assert answer(future).code == "CANCELLED"
        assert own_host.create(providers.Async(), seconds=60).code == "CANCELLED"
