"""One table of scenarios through both front ends: the same requests are on the wire, and as much is recorded."""

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import pytest
from tf.utils import Diagnostics  # type: ignore[import-untyped] # it has no types
from urllib3 import HTTPResponse

from pulumi_koreai.adapter import DeploymentError
from pulumi_koreai.core.spec import RESULTS
from pulumi_koreai.host import PartialFailure
from pulumi_koreai.provider import ModelDeploymentProvider
from pulumi_koreai.terraform.deployment import ModelDeployment
from pulumi_koreai.terraform.process import ProviderProcess
from pulumi_koreai.terraform.schema import ATTRIBUTES, Values, decoded
from tests.core.fakes import PARAMETERS, SimClock, Told
from tests.system.chaos.simulation import NO_PERMISSION, World
from tests.system.chaos.wire import SETTINGS, Request, Serve, WiredClient, answer, process

MODEL = "cm-a"
ARGUMENTS: dict[str, Any] = {
    "model_id": MODEL,
    **PARAMETERS,
    "model_type": "openSource",
    "deployed": True,
    "adopt": False,
    "update_strategy": "undeploy-first",
}
BIGGER = {"device_type": "g5.2xlarge"}
OFF = {"deployed": False}


def recorded(state: str, action: str, status: str, job_id: str = "ds-0", seconds: float = 60.0) -> dict[str, object]:
    return dict(zip(RESULTS, (state, job_id, action, status, seconds), strict=True))


RUNNING = recorded("deployed", "DEPLOY", "SUCCESS")
STOPPED = recorded("undeployed", "UNDEPLOY", "SUCCESS")
FAILED = recorded("failed", "DEPLOY", "FAILED")
UNDEPLOY_FAILED = recorded("failed", "UNDEPLOY", "FAILED")
LOST = recorded("failed", "DEPLOY", "UNKNOWN", "", 0.0)
DEPLOYING = recorded("deploying", "DEPLOY", "IN_PROGRESS", "")  # the job is begun by the test
UNDEPLOYING = recorded("undeploying", "UNDEPLOY", "IN_PROGRESS", "")


@dataclass(frozen=True)
class Scenario:
    """A call of an engine.

    Attributes:
        before: what is recorded, None for a model that is new.
        declared: the arguments that differ from `ARGUMENTS`; None for a deletion.
        was: those of the recorded ones that differ from them.
        faults: what befalls the requests, in order, by their names in the simulation.
        other: another resource of the same process declares the model, with these arguments.
    """

    before: Mapping[str, object] | None
    declared: Mapping[str, object] | None = field(default_factory=dict)
    was: Mapping[str, object] = field(default_factory=dict)
    faults: Sequence[str | None] = ()
    other: Mapping[str, object] | None = None


SCENARIOS = {
    "create": Scenario(None),
    "create, off": Scenario(None, OFF),
    "create, adopted": Scenario(None, {"adopt": True}),
    "create, refused": Scenario(None, faults=["400"]),
    "create, answer lost": Scenario(None, faults=["reset after"]),
    "create, busy at first": Scenario(None, faults=["busy", "busy"]),
    "create, looks fail": Scenario(None, faults=[None, "500 before", "reset before", "not found yet"]),
    "other parameters": Scenario(RUNNING, BIGGER),
    "other parameters, redeploy": Scenario(RUNNING, {**BIGGER, "update_strategy": "redeploy"}),
    "other parameters, deploy refused": Scenario(RUNNING, BIGGER, faults=[None, None, None, "400"]),
    "off": Scenario(RUNNING, OFF),
    "on": Scenario(STOPPED, {}, OFF),
    "after a failed deploy": Scenario(FAILED, BIGGER, BIGGER),
    "after a failed undeploy": Scenario(UNDEPLOY_FAILED, BIGGER, BIGGER),
    "after a lost deploy": Scenario(LOST),
    "after a lost deploy, adopted now": Scenario(LOST, {"adopt": True}),
    "a deploy under way, as declared": Scenario(DEPLOYING),
    "a deploy under way, other parameters": Scenario(DEPLOYING, BIGGER),
    "a deploy under way, off": Scenario(DEPLOYING, OFF),
    "an undeploy under way, on": Scenario(UNDEPLOYING),
    "delete": Scenario(RUNNING, None),
    "delete what is off": Scenario(STOPPED, None, OFF),
    "delete what failed": Scenario(FAILED, None),
    "delete, a deploy under way": Scenario(DEPLOYING, None),
    "delete, refused": Scenario(RUNNING, None, faults=["400"]),
    "delete, no permission": Scenario(RUNNING, None, faults=["400, another sense"]),
    "delete, a gateway's 404": Scenario(RUNNING, None, faults=["404, no route"]),
    "delete, 404 in doubt": Scenario(RUNNING, None, faults=["404, in doubt"]),
    "delete, a deploy under way, a gateway's 404": Scenario(DEPLOYING, None, faults=["404, no route"] * 40),
    "other parameters, a gateway's 404": Scenario(RUNNING, BIGGER, faults=["404, page"]),
    "delete, answer lost": Scenario(RUNNING, None, faults=["reset after"]),
    "delete what another resource has": Scenario(RUNNING, None, other={}),
    "delete what another resource has, with a deploy under way": Scenario(DEPLOYING, None, other=BIGGER),
}


class Recorder:
    """The platform, and what was sent to it."""

    def __init__(self, scenario: Scenario) -> None:
        self.world, self.requests = World(), list[tuple[str, str, object]]()
        before = dict(scenario.before or {})
        if before.get("state") in ("deployed", "undeploying"):
            self.world.platform.set_model(MODEL, state="Deployed")
        under_way = {"deploying": self.world.platform.deploy, "undeploying": self.world.platform.undeploy}
        if begin := under_way.get(str(before.get("state"))):
            hyper = {"temperature": 1, "maxTokens": 1, "topP": 1, "topK": 1}
            body = {"name": "chat", "deviceType": "g5.xlarge", "hyperParameters": hyper}
            rest = ("openSource", body) if before["state"] == "deploying" else ()
            before["dock_status_id"] = begin("account", MODEL, *rest).id  # type: ignore[operator]
        self.before = before
        self.world.faults[:] = scenario.faults

    def serve(self, request: Request) -> HTTPResponse:
        body = json.loads(request.body) if request.body else None
        self.requests.append((request.method, request.target, body))
        return self.world.serve(request)

    @property
    def clock(self) -> SimClock:
        return self.world.clock


def through_pulumi(scenario: Scenario, wire: Recorder) -> dict[str, object] | None:
    """What is recorded afterwards, by Pulumi; None where nothing is, or it stays as it was."""
    olds = {**ARGUMENTS, **scenario.was, **wire.before}
    with process(wire.serve, wire.clock, Told(), hosted=True) as provider:
        if scenario.other is not None:
            provider.check({"model_id": MODEL}, {**ARGUMENTS, **scenario.other})
        with suppress(DeploymentError):
            try:
                return _pulumi_s_call(provider, scenario, olds)
            except PartialFailure as failure:
                return dict(failure.outs)
    return None


def _pulumi_s_call(
    provider: ModelDeploymentProvider, scenario: Scenario, olds: dict[str, Any]
) -> dict[str, object] | None:
    if scenario.declared is None:
        provider.delete(MODEL, olds)
        return {}
    news = {**ARGUMENTS, **scenario.declared}
    if scenario.before is None:
        return provider.create(news).outs
    return provider.update(MODEL, olds, news).outs


def through_terraform(scenario: Scenario, wire: Recorder) -> dict[str, object] | None:
    """The same by Terraform."""
    terraform = ProviderProcess(lambda *_: client, Random(5))
    client = WiredClient(wire.serve, wire.clock, terraform)
    terraform.monotonic, terraform.sleep = wire.clock.monotonic, wire.clock.sleep  # type: ignore[method-assign]
    terraform.configure({"host": SETTINGS.host, "api_key": SETTINGS.api_key})
    resource, diagnostics = ModelDeployment(terraform), Diagnostics()

    def values(*changes: Mapping[str, object]) -> Values:
        return decoded(ATTRIBUTES, {name: value for change in (ARGUMENTS, *changes) for name, value in change.items()})

    prior = None if scenario.before is None else values(scenario.was, wire.before, {"unfinished_creation": False})
    if scenario.other is not None:
        declared = values(scenario.other)
        resource.plan(diagnostics, None, declared, declared)
    if scenario.declared is None:
        after = resource.apply(diagnostics, prior, None, b"")
        return {} if after is None else None
    after = resource.apply(diagnostics, prior, values(scenario.declared), b"")
    assert after is not None or diagnostics.has_errors()
    return after


def another_account_s(request: Request) -> HTTPResponse:
    """The platform, in its own form, to a key that may see none of the models and jobs."""
    what = "dock status" if request.method == "GET" else "model"
    return answer(404, {"errors": [{"msg": f"No such {what}"}]})


LOST_ITS_WAY: dict[str, Serve] = {
    "no route": lambda _: answer(404, {"message": "no Route matched with those values"}),
    "no backend": lambda _: answer(404, b"default backend - 404"),
    "another account's key": another_account_s,
    "no permission": lambda _: answer(400, {"errors": [{"msg": NO_PERMISSION}]}),
}


@pytest.mark.parametrize("serve", LOST_ITS_WAY.values(), ids=LOST_ITS_WAY)
@pytest.mark.parametrize("through", ["pulumi", "terraform"])
def test_a_run_in_which_every_model_is_unknown_lets_go_of_none(through: str, serve: Serve) -> None:
    models = ("cm-a", "cm-b")
    if through == "pulumi":
        told = Told()
        with process(serve, SimClock(), told, hosted=True) as provider:
            for model in models:
                with pytest.raises(DeploymentError) as caught:
                    provider.delete(model, {**ARGUMENTS, **RUNNING, "model_id": model})
                assert ("`pulumi state delete URN`" in str(caught.value)) == (
                    serve is not LOST_ITS_WAY["no permission"]
                )
        assert told.notes == []
        return
    clock = SimClock()
    terraform = ProviderProcess(lambda *_: client, Random(5))
    client = WiredClient(serve, clock, terraform)
    terraform.monotonic, terraform.sleep = clock.monotonic, clock.sleep  # type: ignore[method-assign]
    terraform.configure({"host": SETTINGS.host, "api_key": SETTINGS.api_key})
    for model in models:
        diagnostics = Diagnostics()
        prior = decoded(ATTRIBUTES, {**ARGUMENTS, **RUNNING, "model_id": model, "unfinished_creation": False})
        after = ModelDeployment(terraform).apply(diagnostics, prior, None, b"")
        [error] = diagnostics.diagnostics
        assert ("`terraform state rm ADDRESS`" in str(vars(error))) == (serve is not LOST_ITS_WAY["no permission"])
        assert after is not None


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_both_front_ends_send_the_same_requests_and_record_the_same(scenario: Scenario) -> None:
    by_pulumi, by_terraform = Recorder(scenario), Recorder(scenario)
    pulumi_keeps, terraform_keeps = through_pulumi(scenario, by_pulumi), through_terraform(scenario, by_terraform)
    assert by_terraform.requests == by_pulumi.requests
    assert by_terraform.clock.now == by_pulumi.clock.now
    assert (pulumi_keeps is None) == (terraform_keeps is None)
    if pulumi_keeps and terraform_keeps:
        assert {name: terraform_keeps[name] for name in RESULTS} == {name: pulumi_keeps[name] for name in RESULTS}


def test_the_scenarios_send_something_of_each_kind() -> None:
    seen = set[str]()
    for scenario in SCENARIOS.values():
        wire = Recorder(scenario)
        through_pulumi(scenario, wire)
        paths = [target.partition("?")[0] for method, target, _ in wire.requests if method == "POST"]
        seen |= {path.rpartition("/")[2] for path in paths}
        seen |= {"look" for method, _, _ in wire.requests if method == "GET"}
    assert seen == {"deploy", "undeploy", "look"}
