"""Users' own unit tests of programs that declare models, as Pulumi's documentation has them: with mocks."""

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from pathlib import Path

import pulumi
import pytest
from pulumi.dynamic import Resource

from pulumi_koreai import ModelDeployment
from pulumi_koreai.resource import _Runs

MOCKS = """
import asyncio
import unittest

import pulumi

from pulumi_koreai import ModelDeployment


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return [args.inputs["model_id"], {**args.inputs, "state": "deployed"}]

    def call(self, args):
        return {}


pulumi.runtime.set_mocks(Mocks(), preview=False)


def model(name, number=1, temperature=0.5, **more):
    hyper = {"temperature": temperature, "max_tokens": 128, "top_p": 1, "top_k": 10}
    return ModelDeployment(name, model_id=f"cm-{number}", deployment_name=name, device_type="g5.xlarge",
                           hyper_parameters=hyper, **more)
"""


def run(tmp_path: Path, tests: str) -> str:
    """Run a user's tests in a process of their own. The answer: what unittest printed."""
    # Else asyncio tells, on some Pythons in the middle of a line of unittest's, of a failed model's outputs that nobody
    # looked at. Pulumi silences it for a program in the same way.
    quiet = 'import logging\nlogging.getLogger("asyncio").setLevel(logging.CRITICAL)\n'
    (tmp_path / "test_infra.py").write_text(f"{quiet}{MOCKS}\n\n{textwrap.dedent(tests)}")
    command = [sys.executable, "-m", "unittest", "-v", "test_infra"]
    return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60).stderr


def test_a_faulty_declaration_of_one_test_is_none_of_the_next(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        """
        class Infra(unittest.TestCase):
            def test_1_a_faulty_model(self):
                @pulumi.runtime.test
                def program():
                    return model("hot", temperature=7).state

                with self.assertRaisesRegex(pulumi.RunError, "temperature: got 7"):
                    program()

            @pulumi.runtime.test
            def test_2_a_model_that_is_right(self):
                return model("chat").state.apply(lambda state: self.assertEqual(state, "deployed"))

            def test_3_another_faulty_one(self):
                @pulumi.runtime.test
                def program():
                    return model("odd", number=2, adopt="maybe").state

                with self.assertRaisesRegex(pulumi.RunError, r"^1 error in the models declared"):
                    program()
        """,
    )
    assert printed.count(" ... ok\n") == 3, printed


def test_within_a_program_no_model_is_registered_beside_a_faulty_one(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        """
        registered = []


        class Recording(Mocks):
            def new_resource(self, args):
                registered.append(args.name)
                return super().new_resource(args)


        class Infra(unittest.TestCase):
            def test_a_program(self):
                pulumi.runtime.set_mocks(Recording(), preview=False)
                given = pulumi.Output.from_input("later")

                @pulumi.runtime.test
                def program():
                    first = model("fine")
                    model("hot", number=2, temperature=7)
                    # As some resources of a program do, before it is through: the loop runs on meanwhile.
                    pulumi.runtime.sync_await._sync_await(asyncio.sleep(0.1))
                    last = model("last", number=3)
                    return pulumi.Output.all(first.state, last.state)

                with self.assertRaisesRegex(pulumi.RunError, "temperature: got 7"):
                    program()
                self.assertEqual(registered, [])
        """,
    )
    assert printed.count(" ... ok\n") == 1, printed


def in_a_thread(function: Callable[[], None]) -> list[BaseException]:
    """Call it in a thread, which has no event loop. The answer: what it raised."""
    raised: list[BaseException] = []

    def call() -> None:
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - it is the answer
            raised.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    return raised


def test_a_declaration_needs_no_event_loop_of_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on Python 3.14, where `asyncio.get_event_loop` makes none even in the main thread."""
    monkeypatch.setattr(Resource, "__init__", lambda *_: None)  # the SDK's own needs are its own

    def declare() -> None:
        hyper = {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10}
        ModelDeployment("m", model_id="cm-1", deployment_name="m", device_type="g5.xlarge", hyper_parameters=hyper)

    with pytest.warns(RuntimeWarning, match="never awaited"):
        assert in_a_thread(declare) == []


def test_a_run_is_one_task_and_what_other_tasks_of_its_loop_declare_meanwhile() -> None:
    runs = _Runs()

    async def program() -> object:
        first = runs.current()
        assert runs.current() is first

        async def applied() -> object:
            return runs.current()

        assert await asyncio.create_task(applied()) is first
        return first

    loop = asyncio.new_event_loop()
    first, second = loop.run_until_complete(program()), loop.run_until_complete(program())
    assert first is not second
    assert asyncio.run(program()) is not second
    loop.close()


def test_without_a_loop_that_runs_a_run_ends_when_its_registrations_begin_or_when_one_runs() -> None:
    runs = _Runs()
    first = runs.current()
    assert runs.current() is first
    asyncio.run(_awaited(first.unless_faulty("cm-1")))
    second = runs.current()
    assert second is not first

    async def program() -> object:
        return runs.current()

    assert asyncio.run(program()) is not second


def test_a_run_that_is_refused_is_refused_to_each_of_its_models() -> None:
    run = _Runs().current()
    run.declare("hot", {"adopt": "maybe"})
    for _ in range(2):
        with pytest.raises(pulumi.RunError, match="in the models declared; nothing was changed"):
            asyncio.run(_awaited(run.unless_faulty("cm-1")))


async def _awaited(coroutine: object) -> object:
    return await coroutine  # type: ignore[misc] # whatever it is


def test_timeouts_may_be_a_dictionary_and_a_wrong_key_is_a_fault(tmp_path: Path) -> None:
    printed = run(
        tmp_path,
        """
        def timed(**timeouts):
            return model("chat", opts=pulumi.ResourceOptions(custom_timeouts=timeouts))


        class Infra(unittest.TestCase):
            @pulumi.runtime.test
            def test_1_a_dictionary(self):
                return timed(create="45m").custom_timeouts.apply(
                    lambda timeouts: self.assertEqual(timeouts, {"create": "45m"})
                )

            def test_2_a_wrong_key(self):
                @pulumi.runtime.test
                def program():
                    return timed(creat="45m").state

                with self.assertRaisesRegex(pulumi.RunError, "creat: unknown key; did you mean create"):
                    program()
        """,
    )
    assert printed.count(" ... ok\n") == 2, printed
