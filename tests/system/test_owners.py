"""A model goes from one name to another whose creation fails in each of the ways there are: it stays in a state.

Through both front ends, over the simulated platform. The real engines have `tests/system/engine/test_lost_runs.py`
and `tests/terraform/test_owners.py`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from tf.utils import Diagnostics  # type: ignore[import-untyped] # it has no types

from pulumi_koreai.adapter import DeploymentError
from pulumi_koreai.core import state
from pulumi_koreai.core.recovery import Owner
from pulumi_koreai.core.rules import Record
from pulumi_koreai.core.service import Released
from pulumi_koreai.host import PartialFailure
from pulumi_koreai.host.contract import CURRENT
from pulumi_koreai.terraform.deployment import ModelDeployment
from pulumi_koreai.terraform.process import ProviderProcess
from pulumi_koreai.terraform.schema import ATTRIBUTES, Values, decoded
from tests.core.fakes import Told
from tests.system.chaos.simulation import World
from tests.system.chaos.wire import SETTINGS, WiredClient, process
from tests.system.test_front_ends import ARGUMENTS, BIGGER, RUNNING

MODEL = ARGUMENTS["model_id"]
CHAT, TALK = (f"urn:pulumi:dev::chaos::koreai:ModelDeployment::{name}" for name in ("chat", "talk"))


@dataclass(frozen=True)
class Way:
    """How the new name fails to come up.

    Attributes:
        faults: what befalls its requests; the last one goes on for ever.
        begun: whether it is begun at all.
        storm: whether another pipeline uses up the account's limit.
        job_seconds: how long its job takes.
    """

    faults: Sequence[str] = ()
    begun: bool = True
    storm: bool = False
    job_seconds: float = 60.0


WAYS = {
    "refused": Way(["400"]),
    "no connection": Way(["connection refused"] * 200),
    "no right": Way(["401"] * 200),
    "rate limit": Way(storm=True),
    "answer lost": Way(["reset after"]),
    "timeout": Way(job_seconds=36_000.0),
    "never begun": Way(begun=False),
}


BEGUN = {name: way for name, way in WAYS.items() if way.begun}


def world_of(way: Way) -> World:
    world = World()
    world.platform.set_model(MODEL, state="Deployed", job_seconds=way.job_seconds)
    world.faults[:] = way.faults
    world.storm_until = world.clock.now + 1e6 if way.storm else 0.0
    return world


def is_up(world: World) -> bool:
    return world.platform.model(MODEL).deployment is not None


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_under_pulumi_the_old_name_goes_only_when_the_state_has_the_new_one(way: Way) -> None:
    """With `--continue-on-error` the engine deletes the old name though the new one failed."""
    world = world_of(way)
    olds, news = {**ARGUMENTS, **RUNNING}, {**ARGUMENTS, **BIGGER}
    owners = [Owner(CHAT, MODEL, state.record(olds))]
    with process(world.serve, world.clock, Told(), hosted=True, witness=lambda _: owners) as provider:
        CURRENT.get().urn = TALK
        provider.check({}, news)
        if way.begun:
            try:
                provider.create(news)
                raise AssertionError("it came up")
            except PartialFailure as failure:
                owners.append(Owner(TALK, MODEL, state.record(failure.outs)))
            except DeploymentError:
                pass
        world.faults.clear()
        world.storm_until = 0.0
        world.platform.set_model(MODEL, job_seconds=60.0)
        CURRENT.get().urn = CHAT
        if len(owners) > 1:
            provider.delete(MODEL, olds)
        else:
            with pytest.raises(DeploymentError, match="another resource declares cm-a and has not come up"):
                provider.delete(MODEL, olds)
    assert "undeploy" not in world.commands
    assert is_up(world) or world.commands[-1] == "deploy"


@pytest.mark.parametrize("order", ["deletes first", "is planned during the deletion", "creates first"])
@pytest.mark.parametrize("way", BEGUN.values(), ids=BEGUN)
def test_under_terraform_the_model_stays_in_the_state_in_any_order(way: Way, order: str) -> None:
    world = world_of(way)
    terraform = ProviderProcess(lambda *_: client, Random(5))
    client = WiredClient(world.serve, world.clock, terraform)
    terraform.monotonic, terraform.sleep = world.clock.monotonic, world.clock.sleep  # type: ignore[method-assign]
    terraform.configure({"host": SETTINGS.host, "api_key": SETTINGS.api_key})
    resource = ModelDeployment(terraform)

    def values(*changes: dict[str, object]) -> Values:
        return decoded(ATTRIBUTES, {name: value for change in (ARGUMENTS, *changes) for name, value in change.items()})

    prior = values(dict(RUNNING), {"unfinished_creation": False})
    declared = values(dict(BIGGER))
    kept: dict[str, Values | None] = {"chat": prior, "talk": None}

    def create() -> None:
        diagnostics = Diagnostics()
        kept["talk"] = resource.apply(diagnostics, None, declared, b"")
        assert diagnostics.has_errors()

    def delete() -> None:
        kept["chat"] = resource.apply(Diagnostics(), prior, None, b"")

    def plan() -> None:
        resource.plan(Diagnostics(), None, declared, declared)

    release = terraform.service.release

    def release_after_the_plan(model_id: str, before: Record, timeout_seconds: float | None) -> Released:
        plan()
        return release(model_id, before, timeout_seconds)

    if order == "is planned during the deletion":
        terraform.service.release = release_after_the_plan  # type: ignore[method-assign, assignment]
    else:
        plan()
    for act in (create, delete) if order == "creates first" else (delete, create):
        act()
    assert kept["chat"] or kept["talk"], "the model is in no state"
    assert "undeploy" not in world.commands


def test_a_stack_of_the_same_name_in_another_organization_is_no_witness() -> None:
    world = world_of(Way())
    olds = {**ARGUMENTS, **RUNNING}
    others = [replace(state.record(olds), job_id=f"ds-{name}") for name in ("a", "b")]
    owners = [Owner(urn, MODEL, record) for urn, record in zip((CHAT, TALK), others, strict=True)]
    with process(world.serve, world.clock, Told(), hosted=True, witness=lambda _: owners) as provider:
        CURRENT.get().urn = CHAT
        provider.delete(MODEL, olds)
    assert not is_up(world)
