"""`koreai emulator`: flags, start, stop."""

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import requests

from pulumi_koreai import cli

COMMAND = [sys.executable, "-m", "pulumi_koreai", "emulator"]


@contextmanager
def started(*flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    with subprocess.Popen([*COMMAND, *flags], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            ready = re.fullmatch(r"emulator ready at (http://127\.0\.0\.1:\d+)\n", line)
            assert ready, line
            yield process, ready[1]
        finally:
            process.kill()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_a_signal_ends_it_at_once(number: signal.Signals) -> None:
    with started() as (process, url), requests.Session() as session:
        assert session.get(url, timeout=10).status_code == 200  # its connection stays open
        process.send_signal(number)
        assert process.wait(5) == 0
        assert process.stdout is not None
        assert process.stdout.read() == "emulator stopped\n"


def test_the_flags_reach_the_platform() -> None:
    flags = "--model cm-x --fail cm-x=no=GPU --api-key k --job-seconds 0 --spelling _id --no-percentage"
    limits = "--requests-per-minute 2 --retry-after"
    body = {
        "name": "n",
        "deviceType": "g5.xlarge",
        "hyperParameters": {"temperature": 1, "maxTokens": 1, "topP": 1, "topK": 1},
    }
    with started(*flags.split(), *limits.split()) as (_, url):
        path = f"{url}/api/public/models/cm-x/deploy?modelType=openSource"
        answers = [
            requests.post(path, json=body, headers={"x-api-key": key}, timeout=10) for key in ("k", "other", "k", "k")
        ]
    assert [answer.status_code for answer in answers] == [200, 401, 200, 429]
    assert answers[0].json().keys() == {"_id", "modelId", "jobType", "action", "status", "response"}
    assert answers[0].json()["response"] == {"message": "no=GPU"}
    assert answers[3].headers["Retry-After"] in ("59", "60")


def test_a_port_in_use_is_one_clear_message() -> None:
    with started() as (_, url):
        port = url.rpartition(":")[2]
        second = subprocess.run([*COMMAND, "--port", port], capture_output=True, text=True, timeout=30, check=False)
    assert (second.returncode, second.stdout) == (2, "")
    assert second.stderr == f"error: can't listen at 127.0.0.1 port {port}: the port is in use\n"


def test_without_its_library_it_says_what_to_install() -> None:
    code = "import sys; sys.modules['aiohttp'] = None; from pulumi_koreai import cli; cli.main(['emulator'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (
        1,
        "the emulator needs aiohttp: pip install 'pulumi-koreai[emulator]'\n",
    )


@pytest.mark.parametrize(
    "flags, said",
    [
        ("--port 70000", "'--port': '70000' is not a port, 0 to 65535"),
        ("--port x", "'--port': 'x' is not a port, 0 to 65535"),
        ("--bind localhost", "'--bind': 'localhost' is not an IP address"),
        ("--job-seconds -1", "'--job-seconds': '-1' is not a number of seconds, 0 or more"),
        ("--undeploy-seconds nan", "'--undeploy-seconds': 'nan' is not a number of seconds, 0 or more"),
        ("--requests-per-minute 0", "'--requests-per-minute': '0' is not a whole number, 1 or more"),
        ("--fail cm-a", "'--fail': 'cm-a' is not MODEL=REASON"),
        ("--model cm-a --fail cm-b=x", "--fail cm-b=…: the model is not among those of --model"),
        ("--api-key k:without=all", "'--api-key': not KEY[:without=SCOPE,…]; the scopes are deploy, undeploy"),
        ("--spelling id", "'--spelling': Value error, 'id' is not one of"),
        ("--fault nonsense", "'--fault': 'nonsense': then.0: 'nonsense' is no kind of fault"),
        ("--faults nowhere.yaml", "'--faults': nowhere.yaml: can't be read: No such file"),
        ("--chance 1.5", "'--chance': '1.5' is not a number from 0 to 1"),
        ("--seed x", "'--seed': 'x' is not a whole number"),
        ("--state /nowhere/at/all.json", "--state: /nowhere/at/all.json can't be used: No such file"),
        ("--nonsense", "No such option: --nonsense"),
    ],
)
def test_a_bad_flag_is_one_clear_message(flags: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    status = cli.main(["emulator", *flags.split()])
    printed = capsys.readouterr()
    assert (status, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert said in printed.err
