"""A call that is told to stop while its request is on its way, by the machine's clock."""

import threading
import time
from random import Random

import pytest

from pulumi_koreai.adapter import CallClock, HostProcess
from pulumi_koreai.api.client import Client
from pulumi_koreai.host import Call, Cancelled, PartialFailure
from pulumi_koreai.host.contract import CURRENT
from pulumi_koreai.provider import ModelDeploymentProvider
from tests.api.scripted_server import Answer, Pause, ScriptedServer, reply, silence
from tests.core.fakes import KEY, MODEL, PARAMETERS

# What this package's host leaves a call after a signal, less a reserve.
STOPS_WITHIN_SECONDS = 3.5


class Stoppable(Call):
    """As a hosted call: what cancels it ends its sleeps."""

    hosted = True

    def __init__(self) -> None:
        self.stop = threading.Event()

    def sleep(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Cancelled

    def note(self, text: str) -> None:
        pass


@pytest.mark.parametrize(
    "response, state, job_id",
    [
        pytest.param(silence, "failed", "", id="no answer"),
        pytest.param(
            Pause(1.5, reply(200, {"dockStatusId": "ds-1", "status": "IN_PROGRESS"})), "deploying", "ds-1", id="late"
        ),
    ],
)
def test_it_ends_within_seconds_and_what_is_known_is_recorded(response: Answer, state: str, job_id: str) -> None:
    call = Stoppable()
    token = CURRENT.set(call)
    try:
        with ScriptedServer(response) as server:
            host = HostProcess(CallClock(), Random(5), Client)
            host.configure({"koreai:host": server.url, "koreai:apiKey": KEY}.get)
            threading.Timer(0.5, call.stop.set).start()
            began = time.monotonic()
            with pytest.raises(PartialFailure) as caught:
                ModelDeploymentProvider(host).create({"model_id": MODEL, **PARAMETERS})
            assert time.monotonic() - began < 0.5 + STOPS_WITHIN_SECONDS
            assert len(server.received) == 1
    finally:
        CURRENT.reset(token)
    assert (caught.value.outs["state"], caught.value.outs["dock_status_id"]) == (state, job_id)
