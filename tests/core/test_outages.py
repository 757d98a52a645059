"""No outage begins without its end in sight: what is sent, and what rather not, over the real client."""

from collections.abc import Callable
from dataclasses import replace
from random import Random

import pytest
from urllib3 import HTTPResponse

from bench.turns import TurnClock
from pulumi_koreai.api.errors import ApiError, Forbidden, OutageRefused, RateLimited, Refused, Unauthorized
from pulumi_koreai.base.clock import Clock
from pulumi_koreai.core.lifecycle import Lifecycle
from pulumi_koreai.core.rules import Goal, ModelState, Record
from pulumi_koreai.stackfile.terms import PULUMI
from tests.core.fakes import OTHER, REQUEST, SimClock, Told
from tests.system.chaos.wire import SETTINGS, Request, WiredClient, answer

RUNNING = Record(ModelState.DEPLOYED, OTHER, "ds-0", "DEPLOY", "SUCCESS", 60.0)
CHANGED, RETIRED = Goal(REQUEST), Goal(None)


class Scene:
    """Models on one platform, on which an undeploy's job ends with the first look at it, a deploy's at once."""

    def __init__(self, clock: Clock, per_minute: int = 60) -> None:
        self.clock = clock
        self.sent: list[str] = []
        self.refusals: dict[str, int] = {}
        self.client = WiredClient(self._serve, clock, Told(), replace(SETTINGS, requests_per_minute=per_minute))

    def _serve(self, request: Request) -> HTTPResponse:
        if request.method == "GET":
            return answer(200, {"dockStatusId": request.target.rpartition("/")[2], "status": "SUCCESS"})
        model_id, verb = request.target.partition("?")[0].split("/")[-2:]
        what = f"{verb} {model_id}"
        self.sent.append(what)
        if status := self.refusals.get(what):
            return answer(status, {"errors": [{"msg": "no"}]})
        status_now = "IN_PROGRESS" if verb == "undeploy" else "SUCCESS"
        return answer(200, {"dockStatusId": f"ds-{len(self.sent)}", "status": status_now})

    def reach(self, model_id: str, goal: Goal, timeout: float | None = None, before: Record = RUNNING) -> None:
        lifecycle = Lifecycle(self.client, model_id, before, clock=self.clock, rng=Random(7), reporter=Told())
        lifecycle.reach(goal, timeout)

    def fails(self, kind: type[ApiError], model_id: str, goal: Goal, timeout: float | None = None) -> ApiError:
        with pytest.raises(kind) as caught:
            self.reach(model_id, goal, timeout)
        return caught.value


def test_models_for_which_there_is_no_room_in_time_go_on_running() -> None:
    clock = TurnClock()
    scene = Scene(clock, per_minute=8)
    refused: list[str] = []

    def update(model_id: str) -> Callable[[], None]:
        def work() -> None:
            try:
                scene.reach(model_id, CHANGED, 45.0)
            except RateLimited as error:
                refused.append(str(error))

        return work

    clock.run([update(f"cm-{number}") for number in range(8)])
    up_again = {what.split()[1] for what in scene.sent if what.startswith("deploy")}
    assert len(up_again) == len(refused) == 4
    assert all("not sent" in text for text in refused)
    assert {what.split()[1] for what in scene.sent} == up_again, "no model is down"
    assert clock.monotonic() < 45.0


def test_the_deploy_s_place_is_given_back_when_no_deploy_follows() -> None:
    scene = Scene(SimClock(), per_minute=2)
    scene.refusals["undeploy cm-1"] = 400
    scene.fails(Refused, "cm-1", CHANGED)
    scene.reach("cm-2", RETIRED, 1.0)
    assert scene.sent == ["undeploy cm-1", "undeploy cm-2"]


def test_an_undeploy_for_good_needs_no_second_place() -> None:
    scene = Scene(SimClock(), per_minute=2)
    scene.reach("cm-1", RETIRED, 1.0)
    scene.reach("cm-2", RETIRED, 1.0)
    assert scene.sent == ["undeploy cm-1", "undeploy cm-2"]


@pytest.mark.parametrize("status, kind", [(401, Unauthorized), (403, Forbidden)])
def test_a_key_that_was_refused_a_deploy_begins_no_other_outage(status: int, kind: type[ApiError]) -> None:
    scene = Scene(SimClock())
    scene.refusals["deploy cm-1"] = status
    scene.fails(kind, "cm-1", CHANGED)
    error = scene.fails(OutageRefused, "cm-2", CHANGED)
    assert PULUMI.error(error) == (
        "POST /api/public/models/cm-2/undeploy: undeploying cm-2: not sent, the deploy of cm-1 was refused with HTTP"
        f" status {status}\n"
        "The deploy that is to follow would be refused too: the model was left running. Let the key in koreai:apiKey"
        " deploy models, or set one that may, then run `pulumi up` again."
    )
    assert set(scene.sent) == {"undeploy cm-1", "deploy cm-1"}, "a 401 is borne for some minutes"
    del scene.sent[2:]
    scene.reach("cm-3", RETIRED)
    scene.reach("cm-4", CHANGED, before=Record(ModelState.UNDEPLOYED, OTHER))
    scene.reach("cm-2", CHANGED)
    assert scene.sent[2:] == ["undeploy cm-3", "deploy cm-4", "undeploy cm-2", "deploy cm-2"]


def test_a_model_whose_own_deploy_was_refused_is_tried_again() -> None:
    scene = Scene(SimClock())
    scene.refusals["deploy cm-1"] = 403
    scene.fails(Forbidden, "cm-1", CHANGED)
    scene.refusals.clear()
    scene.reach("cm-1", CHANGED)
    assert scene.sent == ["undeploy cm-1", "deploy cm-1"] * 2


def test_a_deploy_that_was_refused_for_its_parameters_says_nothing_of_the_key() -> None:
    scene = Scene(SimClock())
    scene.refusals["deploy cm-1"] = 400
    scene.fails(Refused, "cm-1", CHANGED)
    scene.reach("cm-2", CHANGED)
    assert scene.sent[2:] == ["undeploy cm-2", "deploy cm-2"]


def test_the_deploy_after_an_undeploy_that_an_earlier_call_began_ends_an_outage_too() -> None:
    clock = SimClock()
    scene = Scene(clock)
    scene.refusals["deploy cm-1"] = 503
    began = clock.now

    def recover(_: float) -> None:
        if clock.now > began + 1200:
            scene.refusals.clear()

    clock.on_sleep = recover
    scene.reach("cm-1", CHANGED, before=Record(ModelState.UNDEPLOYING, OTHER, "ds-1", "UNDEPLOY", "IN_PROGRESS"))
    assert clock.now > began + 1200
