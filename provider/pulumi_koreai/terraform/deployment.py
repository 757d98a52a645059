"""`koreai_model_deployment`: what Terraform asks of it, mapped to the lifecycle. A thin adapter, as `provider.py` is.

A creation that fails and one that is interrupted end differently, because Terraform marks every object whose creation
ended with an error as tainted, and replaces it at the next apply:

* Interrupted with a job under way, a creation ends with a warning. The object is kept as it is, the next apply is an
  update and takes the job up. Terraform itself fails an interrupted apply.
* Failed or timed out it ends with an error, as an apply that fails must. At the next apply the deletion of the tainted
  object waits for a job that is under way, undeploys nothing, and hands what it knows to the creation, which goes on
  from there. It tells by the planned private data that a creation of the same model follows.

Either way `unfinished_creation` is true until an apply has finished the work: a refresh, which may find that the job
has ended well meanwhile, can't tell a tainted object from another, nor can a deletion.

With `create_before_destroy` the older object of a model may be left over beside the new one ("deposed"). Terraform
deletes it after an update of the new one, in whose plan the model is declared, so it is not undeployed; and while the
new one is unfinished, an update it is. Where nothing is to be done for the new one the plan is refused.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from tf.iface import ImportContext, ReadContext, UpgradeContext  # type: ignore[import-untyped] # it has no types
from tf.schema import Schema  # type: ignore[import-untyped]
from tf.types import Unknown  # type: ignore[import-untyped]
from tf.utils import Diagnostics  # type: ignore[import-untyped]

from ..api.errors import KoreaiError
from ..core import state
from ..core.impact import Impact, Unfinished, Why
from ..core.rules import UNCONFIRMED_STATUS, Goal, ModelState, Operation, Record
from ..core.service import Released
from ..core.spec import Timeouts, check, python_spelling
from ..core.stopped import Stopped
from ..host.errors import of_ours
from .process import Handed, Intent, Interrupted, ProviderProcess
from .schema import (
    ARGUMENTS,
    ATTRIBUTES,
    RESULTS,
    TerraformSpec,
    Values,
    declared,
    decoded,
    holds_unknown,
    resource_schema,
)
from .terms import TERRAFORM

_NOTHING: Final = dict.fromkeys(attribute.name for attribute in ATTRIBUTES)
_DEFAULTS: Final = {
    attribute.name: attribute.default for attribute in ATTRIBUTES if attribute.optional and attribute.computed
}

_TWICE: Final = "Another resource has the model_id {} too; a model has one deployment, so one resource."
_LEFT_OVER: Final = (
    "{} would be undeployed, though a resource that stays as it is has it: an older object of it is left over in the"
    " state. Under another name: take that name out with `terraform state rm`. A deposed one: change a setting of the"
    " resource that sends nothing, such as its `timeouts`, in the same apply; then nothing is undeployed. To destroy"
    " both: `-refresh=false`."
)
_RENAMED: Final = (
    "{} goes from one resource to another. Name both in a `moved` block: then it is neither deployed again nor"
    " undeployed. Without it Terraform creates the one and destroys the other in any order: should the new one fail, or"
    " wait for something that fails, the model may be down until the next apply."
)
_REFUSED: Final[dict[Intent, tuple[Intent, str]]] = {
    "declared": ("declared", _TWICE),
    "unchanged": ("deleted", _LEFT_OVER),
    "deleted": ("unchanged", _LEFT_OVER),
}


@dataclass
class Planned:
    """The answer to a plan.

    Attributes:
        values: the planned state, None for a deletion.
        private: of a creation: handed to the deletion of the object that it replaces.
        replaces: attributes whose change needs a new object.
    """

    values: Values | None
    private: bytes = b""
    replaces: list[str] = field(default_factory=list)


class ModelDeployment:
    """The resource. Stateless: Terraform's framework makes one for each call."""

    def __init__(self, process: ProviderProcess) -> None:
        self._process = process

    @classmethod
    def get_name(cls) -> str:
        return "_model_deployment"

    @classmethod
    def get_schema(cls) -> Schema:
        return resource_schema()

    def validate(self, diagnostics: Diagnostics, _type_name: str, config: Values) -> None:
        """Tell every fault at once, each at its attribute."""
        _, faults = check(TerraformSpec, declared(decoded(ATTRIBUTES, config)), python_spelling)
        for fault in faults:
            # No deeper: Terraform finds the line of an attribute, but none inside it unless it is a literal. And no
            # value: a provider is not told which are sensitive, while Terraform itself shows the others.
            diagnostics.add_error(str(fault.without_value()), path=list(fault.path[:1]))

    def plan(
        self,
        diagnostics: Diagnostics,
        prior: Values | None,
        proposed: Values | None,
        config: Values,
        prior_private: bytes = b"",
    ) -> Planned:
        """What an apply will do, in values and, where callers notice it, in warnings. Sends nothing.

        Args:
            diagnostics: takes the warnings, and what stands against the plan.
            prior: the object as it is; None for one that is new, or tainted.
            proposed: what Terraform makes of it and the configuration; None for a deletion.
            config: the configuration.
            prior_private: of a replacement, which is planned as an update first: what that answered.
        """
        self._process.hear(diagnostics)
        if proposed is None:
            if prior is not None:
                # In an apply, with `create_before_destroy`, the new object has it: nothing is left to warn of.
                if prior["model_id"] in self._process.came_up:
                    pass
                elif "declared" in self._process.plans(prior["model_id"]):
                    diagnostics.add_warning(_RENAMED.format(prior["model_id"]), path=["model_id"])
                else:
                    _warn_of_the_end(diagnostics, prior)
                self._intend(diagnostics, prior["model_id"], "deleted")
            return Planned(None)
        # Terraform proposes the prior value where a computed attribute is not given any more.
        planned = proposed | {name: value for name, value in _DEFAULTS.items() if config[name] is None}
        open_results: Values = dict.fromkeys(RESULTS, Unknown)
        private = _handed_on(planned)
        if private and not (prior is None and prior_private):
            self._intend(diagnostics, planned["model_id"], "declared")
            self._process.service.declare(planned["model_id"], _goal(planned), in_state=prior is not None)
            if prior is None and "deleted" in self._process.plans(planned["model_id"]):
                diagnostics.add_warning(_RENAMED.format(planned["model_id"]), path=["model_id"])
        if prior is None:
            return Planned(planned | open_results, private)
        changed = [name for name in ARGUMENTS if prior[name] != planned[name]]
        record = self._process.service.known(prior["model_id"], state.record(prior), lambda: _goal(planned))
        if "model_id" in changed:
            diagnostics.add_warning(_replaced(prior["model_id"], planned["model_id"], record), path=["model_id"])
            self._intend(diagnostics, prior["model_id"], "deleted")
            return Planned(planned | open_results, private, replaces=["model_id"])
        unfinished = _unfinished(prior, record)
        if any(holds_unknown(planned[name]) for name in ARGUMENTS):
            impact, values = Impact.undecided(record, settled=True), planned | open_results
        else:
            goal = _spec(planned).goal(adopt=not prior["adopt"])
            impact = Impact.ahead(record, goal, settled=True)
            if unfinished or impact.steps:
                reached = ModelState.DEPLOYED if planned["deployed"] else ModelState.UNDEPLOYED
                values = planned | open_results | {"state": reached.value}
            else:
                values = planned
                if not changed:
                    self._intend(diagnostics, prior["model_id"], "unchanged")
        if unfinished:
            diagnostics.add_warning(TERRAFORM.unfinished(prior["model_id"], unfinished), path=["state"])
        # Terraform makes it a replacement by `replace_triggered_by` or `-replace`, and shows no warning of that plan.
        for line in TERRAFORM.impact(prior["model_id"], impact, in_place=False):
            diagnostics.add_warning(line, path=changed[:1] or ["state"])
        return Planned(values, private)

    def apply(
        self, diagnostics: Diagnostics, prior: Values | None, planned: Values | None, private: bytes
    ) -> Values | None:
        """Carry a plan out.

        Returns:
            The new state; None where there is nothing (any more), and with an error where it stays as it was.
        """
        values = planned or prior
        assert values is not None
        with self._process.in_hand(values["model_id"], diagnostics):
            if planned is None:
                return self._delete(diagnostics, values, private)
            return self._reach(diagnostics, prior, planned)

    def read(self, context: ReadContext, current: Values) -> Values:
        """Ask for the last job: the platform has no call that reads a model's deployment."""
        with self._process.in_hand(current["model_id"], context.diagnostics):
            recorded = state.record(current)
            try:
                before = self._process.service.known(current["model_id"], recorded, lambda: _goal(current))
                now = self._process.service.refresh(current["model_id"], before)
            except KoreaiError as error:
                _report(context.diagnostics, TERRAFORM.error(error))
                return current
            except Interrupted:
                _report(context.diagnostics, f"interrupted before {current['model_id']} could be asked for.")
                return current
        if before != recorded:  # what the journal knows stays there until an apply, which knows what is declared
            _report(
                context.diagnostics, TERRAFORM.unfinished(current["model_id"], Unfinished.of(now)), severity="warning"
            )
            return current
        return current | state.results(now) if now.job_id else current

    def import_(self, context: ImportContext, model_id: str) -> Values | None:
        """A model of which nothing is known but its id: `adopt` takes it over, else the next apply deploys it."""
        _, faults = check(TerraformSpec, {"model_id": model_id}, python_spelling)
        if wrong := [fault for fault in faults if fault.path == ("model_id",)]:
            _report(context.diagnostics, str(wrong[0]))
            return None
        return {**_NOTHING, "model_id": model_id, "state": ModelState.FAILED.value, "last_status": UNCONFIRMED_STATUS}

    def upgrade(self, _context: UpgradeContext, version: int, old: Mapping[str, Any]) -> Values:
        """The state of an older version: what it did not have is not set, what there is no more is left out."""
        renamed = {"timeouts": old.get("custom_timeouts")} if version < 2 else {}
        return _NOTHING | {name: value for name, value in {**old, **renamed}.items() if name in _NOTHING}

    def _intend(self, diagnostics: Diagnostics, model_id: str, intent: Intent) -> None:
        """Note what a plan means for a model, and refuse it beside one that does not go with it."""
        beside, fault = _REFUSED[intent]
        if beside in self._process.intend(model_id, intent):
            diagnostics.add_error(fault.format(model_id), path=["model_id"])

    def _reach(self, diagnostics: Diagnostics, prior: Values | None, planned: Values) -> Values | None:
        spec = _spec(planned)
        operation: Operation = "create" if prior is None else "update"
        recorded = None if prior is None else state.record(prior)
        # For an update too: the deletion of the same model under another name may have come first.
        handed = self._process.handed.pop(spec.model_id, None)
        adopted_before = bool(prior and prior["adopt"]) or bool(handed and handed.adopted)
        goal = spec.goal(adopt=not adopted_before)
        # Where the model was left alone, it is deployed over what runs, as if this one had been created first.
        known = handed.record if handed and not handed.left_alone else None
        unfinished_creation = {"unfinished_creation": prior is None or bool(prior["unfinished_creation"])}
        timeout = spec.timeouts.of(operation) if spec.timeouts else None
        try:
            record = self._process.service.reach(operation, spec.model_id, recorded, goal, timeout, handed=known)
        except Stopped as stopped:
            # The object that had the model is gone: what it recorded is this one's then.
            now = stopped.now or (handed.record if handed else None)
            news = now is not None and now != recorded
            if stopped.is_bug and not news:
                raise stopped.cause from None
            reason = TERRAFORM.stopped(stopped, bug=of_ours, recordable=True)
            if now is None or not news:
                _report(diagnostics, reason)
                return None
            if operation == "create" and stopped.is_interruption and now.request == goal.request:
                _report(diagnostics, reason, severity="warning")  # see above
                return planned | state.results(now) | unfinished_creation
            _report(diagnostics, reason)
            return _NOTHING | state.outputs(spec, now) | unfinished_creation
        except KoreaiError as error:
            _report(diagnostics, TERRAFORM.error(error))
            return None
        self._process.came_up.add(spec.model_id)
        return planned | state.results(record) | {"unfinished_creation": False}

    def _delete(self, diagnostics: Diagnostics, prior: Values, private: bytes) -> Values | None:
        model_id, service = prior["model_id"], self._process.service
        before = state.record(prior)
        created_next, create_seconds = json.loads(private or b"[null, null]")
        stays = "declared" in self._process.plans(model_id)
        goes_on = not stays and created_next == model_id and bool(_unfinished(prior, before))
        try:
            if goes_on:
                # Not bounded by the timeouts of the state: the user may just have raised them.
                released = Released(service.settle(model_id, before, create_seconds), left_alone=False)
            else:
                released = service.release(model_id, before, _timeouts(prior).of("delete"))
        except Stopped as stopped:
            if stopped.is_bug:
                raise stopped.cause from None
            _report(diagnostics, TERRAFORM.stopped(stopped, bug=of_ours, recordable=True))
            return prior | state.results(stopped.now or before)
        except KoreaiError as error:
            _report(diagnostics, TERRAFORM.error(error))
            return prior
        if goes_on or released.left_alone or released.record.state is ModelState.UNDEPLOYED:
            self._process.handed[model_id] = Handed(released.record, bool(prior["adopt"]), released.left_alone)
        return None


def _spec(values: Values) -> TerraformSpec:
    return TerraformSpec.model_validate(declared(values))


def _goal(planned: Values) -> Goal | None:
    """What is declared, None where that is not known yet."""
    return None if any(holds_unknown(planned[name]) for name in ARGUMENTS) else _spec(planned).goal(adopt=False)


def _timeouts(values: Values) -> Timeouts:
    return Timeouts.recorded(declared(values).get("timeouts"))


def _handed_on(planned: Values) -> bytes:
    """Which model a creation is of, and how many seconds it may take; nothing where the model is not known yet."""
    if planned["model_id"] is Unknown:
        return b""
    seconds = None if holds_unknown(planned["timeouts"]) else _timeouts(planned).of("create")
    return json.dumps([planned["model_id"], seconds]).encode()


def _unfinished(prior: Values, record: Record) -> Unfinished | None:
    """Why an apply has work to do though nothing that is declared may differ."""
    unfinished = Unfinished.of(record)
    if not state.settled(prior, record):
        return unfinished
    return replace(unfinished, why=Why.CREATION_CUT_SHORT) if prior["unfinished_creation"] else None


def _report(diagnostics: Diagnostics, text: str, *, severity: Literal["error", "warning"] = "error") -> None:
    """The first line is what Terraform shows in bold."""
    summary, _, detail = text.partition("\n")
    (diagnostics.add_error if severity == "error" else diagnostics.add_warning)(summary, detail)


def _warn_of_the_end(diagnostics: Diagnostics, prior: Values) -> None:
    for line in TERRAFORM.impact(prior["model_id"], Impact.of_retiring(state.record(prior))):
        diagnostics.add_warning(line, path=["state"])


def _replaced(model_id: str, declared_id: object, record: Record) -> str:
    new = declared_id if isinstance(declared_id, str) else "another model"
    cut = "its callers are" if record.state is ModelState.DEPLOYED else "its callers, if it has any, are"
    return (
        f"{model_id} is replaced by {new}. With `create_before_destroy` in its `lifecycle` block {new} comes first;"
        f" without it {model_id} is undeployed first and {cut} cut off until {new} is there."
    )
