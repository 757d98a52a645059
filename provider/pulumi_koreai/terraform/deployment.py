"""`koreai_model_deployment`: what Terraform asks of it, mapped to the lifecycle. A thin adapter, as `provider.py` is.

A creation that fails and one that is interrupted end differently, because Terraform marks every object whose creation
ended with an error as tainted, and replaces it at the next apply:

* Interrupted with a job under way, a creation ends with a warning. The object is kept as it is, the next apply is an
  update and takes the job up. Terraform itself fails an interrupted apply.
* Failed or timed out it ends with an error, as an apply that fails must. At the next apply the deletion of the tainted
  object waits for a job that is under way, undeploys nothing, and hands what it knows to the creation, which goes on
  from there. It tells by the planned private data that a creation of the same model follows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from tf.iface import ImportContext, ReadContext, UpgradeContext  # type: ignore[import-untyped] # it has no types
from tf.schema import Schema  # type: ignore[import-untyped]
from tf.types import Unknown  # type: ignore[import-untyped]
from tf.utils import Diagnostics  # type: ignore[import-untyped]

from .. import memory
from ..api.errors import JobTimeout, KoreaiError
from ..lifecycle import UNKNOWN_STATUS, Goal, Lifecycle, Record, State, steps_ahead
from ..outlook import interrupted, outlook, timed_out, unfinished
from ..spec import Timeouts, check, python_spelling
from .platform import Handed, Interrupted, Platform
from .schema import (
    ARGUMENTS,
    ATTRIBUTES,
    TerraformSpec,
    Values,
    declared,
    decoded,
    holds_unknown,
    schema,
)
from .words import terraform

_NOTHING: Final = dict.fromkeys(attribute.name for attribute in ATTRIBUTES)
_DEFAULTS: Final = {
    attribute.name: attribute.default for attribute in ATTRIBUTES if attribute.optional and attribute.computed
}


@dataclass
class Planned:
    """The answer to a plan.

    Attributes:
        values: the planned state, None for a deletion.
        private: handed to the apply of a creation, and of the deletion that it replaces.
        replaces: attributes whose change needs a new object.
    """

    values: Values | None
    private: bytes = b""
    replaces: list[str] = field(default_factory=list)


class ModelDeployment:
    """The resource. Stateless: Terraform's framework makes one for each call."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform

    @classmethod
    def get_name(cls) -> str:
        return "_model_deployment"

    @classmethod
    def get_schema(cls) -> Schema:
        return schema()

    def validate(self, diagnostics: Diagnostics, _type_name: str, config: Values) -> None:
        """Tell every fault at once, each at its attribute."""
        _, faults = check(TerraformSpec, declared(decoded(ATTRIBUTES, config)), python_spelling)
        for fault in faults:
            # No deeper: Terraform finds the line of an attribute, but none inside it unless it is a literal.
            diagnostics.add_error(str(fault), path=[fault.path.partition(".")[0]])

    def plan(self, diagnostics: Diagnostics, prior: Values | None, proposed: Values | None, config: Values) -> Planned:
        """What an apply will do, in values and, where callers notice it, in warnings. Sends nothing."""
        if proposed is None:
            if prior is not None:
                _warn_of_the_end(diagnostics, prior)
            return Planned(None)
        # Terraform proposes the prior value where a computed attribute is not given any more.
        planned = proposed | {name: value for name, value in _DEFAULTS.items() if config[name] is None}
        open_results: Values = dict.fromkeys(memory.RESULTS, Unknown)
        if prior is None:
            model_id = planned["model_id"]
            return Planned(planned | open_results, b"" if model_id is Unknown else model_id.encode())
        changed = [name for name in ARGUMENTS if prior[name] != planned[name]]
        record = memory.record(prior)
        if "model_id" in changed:
            diagnostics.add_warning(_replaced(prior["model_id"], planned["model_id"], record.state), path=["model_id"])
            return Planned(planned | open_results, replaces=["model_id"])
        settled = memory.settled(prior, record)
        why = [] if settled else [unfinished(prior["model_id"], record)]
        if any(holds_unknown(planned[name]) for name in ARGUMENTS):
            lines, values = [], planned | open_results
        else:
            goal = _spec(planned).goal(adopt=not prior["adopt"])
            lines = outlook(prior["model_id"], planned["model_id"], record, goal)
            if steps_ahead(record, goal):
                reached = State.DEPLOYED if planned["deployed"] else State.UNDEPLOYED
                values = planned | open_results | {"state": reached.value}
            else:
                values = planned
        for line in why:
            diagnostics.add_warning(terraform(line), path=["state"])
        for line in lines[len(why) :] if lines[:1] == why else lines:
            diagnostics.add_warning(terraform(line), path=changed[:1] or ["state"])
        return Planned(values)

    def apply(
        self, diagnostics: Diagnostics, prior: Values | None, planned: Values | None, private: bytes
    ) -> Values | None:
        """Carry a plan out.

        Returns:
            The new state; None where there is nothing (any more), and with an error where it stays as it was.
        """
        values = planned or prior
        assert values is not None
        with self._platform.in_hand(values["model_id"], diagnostics):
            if planned is None:
                return self._delete(diagnostics, values, private.decode())
            return self._create(diagnostics, planned) if prior is None else self._update(diagnostics, prior, planned)

    def read(self, context: ReadContext, current: Values) -> Values:
        """Ask for the last job: the platform has no call that reads a model's deployment."""
        with self._platform.in_hand(current["model_id"], context.diagnostics):
            try:
                lifecycle = self._platform.lifecycle(current["model_id"], memory.record(current))
                lifecycle.refresh()
            except (KoreaiError, Interrupted) as error:
                _tell(
                    context.diagnostics, str(error) or f"interrupted before {current['model_id']} could be asked for."
                )
                return current
        assert lifecycle.record is not None
        return current | memory.results(lifecycle.record) if lifecycle.record.job_id else current

    def import_(self, context: ImportContext, model_id: str) -> Values | None:
        """A model of which nothing is known but its id: `adopt` takes it over, else the next apply deploys it."""
        _, faults = check(TerraformSpec, {"model_id": model_id}, python_spelling)
        if wrong := [fault for fault in faults if fault.path == "model_id"]:
            _tell(context.diagnostics, str(wrong[0]))
            return None
        return {**_NOTHING, "model_id": model_id, "state": State.FAILED.value, "last_status": UNKNOWN_STATUS}

    def upgrade(self, _context: UpgradeContext, version: int, old: Mapping[str, Any]) -> Values:
        """The state of an older version: what it did not have is not set, what there is no more is left out."""
        renamed = {"timeouts": old.get("custom_timeouts")} if version < 2 else {}
        return _NOTHING | {name: value for name, value in {**old, **renamed}.items() if name in _NOTHING}

    def _create(self, diagnostics: Diagnostics, planned: Values) -> Values | None:
        spec = _spec(planned)
        self._platform.created.add(spec.model_id)
        handed = self._platform.handed.pop(spec.model_id, None)
        return self._reach(
            diagnostics,
            planned,
            spec,
            "create",
            handed.record if handed else None,
            adopt=not (handed and handed.adopted),
        )

    def _update(self, diagnostics: Diagnostics, prior: Values, planned: Values) -> Values | None:
        return self._reach(
            diagnostics, planned, _spec(planned), "update", memory.record(prior), adopt=not prior["adopt"]
        )

    def _reach(
        self,
        diagnostics: Diagnostics,
        planned: Values,
        spec: TerraformSpec,
        operation: Literal["create", "update"],
        before: Record | None,
        *,
        adopt: bool,
    ) -> Values | None:
        lifecycle: Lifecycle | None = None
        goal = spec.goal(adopt=adopt)
        try:
            lifecycle = self._platform.lifecycle(spec.model_id, before)
            lifecycle.reach(goal, spec.timeouts.of(operation) if spec.timeouts else None)
        except (KoreaiError, Interrupted) as error:
            now = lifecycle.record if lifecycle else before
            reason = _reason(error, spec, operation, before, now)
            if now is None or (operation == "update" and now == before):
                _tell(diagnostics, reason)
                return None
            if operation == "create" and isinstance(error, Interrupted) and now.request == goal.request:
                _tell(diagnostics, reason, severity="warning")  # see above
                return planned | memory.results(now)
            _tell(diagnostics, reason)
            return _NOTHING | memory.outputs(spec, now)
        assert lifecycle.record is not None
        return planned | memory.results(lifecycle.record)

    def _delete(self, diagnostics: Diagnostics, prior: Values, created_next: str) -> Values | None:
        model_id = prior["model_id"]
        if model_id in self._platform.created:
            diagnostics.add_warning(f"{model_id} is another object of this configuration now, so it is not undeployed.")
            return None
        before = memory.record(prior)
        goes_on = created_next == model_id and not memory.settled(prior, before)
        lifecycle: Lifecycle | None = None
        try:
            lifecycle = self._platform.lifecycle(model_id, before)
            if goes_on:
                # Not bounded by the timeouts of the state: the user may just have raised them.
                lifecycle.settle()
                self._platform.handed[model_id] = Handed(lifecycle.record or before, bool(prior["adopt"]))
            else:
                timeouts = Timeouts.model_validate(declared(prior).get("timeouts") or {})
                lifecycle.retire(timeouts.of("delete"))
        except (KoreaiError, Interrupted) as error:
            now = (lifecycle.record if lifecycle else None) or before
            if isinstance(error, Interrupted):
                reason = interrupted(model_id, now, "run the command again: it goes on from there")
            else:
                what_now = timed_out("create" if goes_on else "delete", now)
                reason = str(error) + (f"\n{what_now}" if isinstance(error, JobTimeout) else "")
            _tell(diagnostics, reason)
            return prior | memory.results(now)
        return None


def _spec(values: Values) -> TerraformSpec:
    return TerraformSpec.model_validate(declared(values))


def _reason(
    error: KoreaiError | Interrupted,
    spec: TerraformSpec,
    operation: Literal["create", "update"],
    before: Record | None,
    now: Record | None,
) -> str:
    """Why the model is not as declared, and what to do."""
    if isinstance(error, Interrupted):
        goes_on = "takes it up again" if now and now.under_way else "goes on from there"
        reason = interrupted(spec.model_id, now, f"the next `terraform apply` {goes_on}")
    else:
        reason = str(error) + (f"\n{timed_out(operation, now)}" if isinstance(error, JobTimeout) else "")
    if now and now.state is State.UNDEPLOYED and spec.deployed and before and before.state is not now.state:
        reason += f"\n{spec.model_id} was undeployed first and is not deployed now."
    return reason


def _tell(diagnostics: Diagnostics, text: str, *, severity: Literal["error", "warning"] = "error") -> None:
    """The first line is what Terraform shows in bold."""
    summary, _, detail = terraform(text).partition("\n")
    (diagnostics.add_error if severity == "error" else diagnostics.add_warning)(summary, detail)


def _warn_of_the_end(diagnostics: Diagnostics, prior: Values) -> None:
    for line in outlook(prior["model_id"], prior["model_id"], memory.record(prior), Goal(None)):
        diagnostics.add_warning(terraform(line), path=["state"])


def _replaced(model_id: str, declared_id: object, state: State) -> str:
    new = declared_id if isinstance(declared_id, str) else "another model"
    cut = "its callers are" if state is State.DEPLOYED else "its callers, if it has any, are"
    return (
        f"{model_id} is replaced by {new}. With `create_before_destroy` in its `lifecycle` block {new} comes first;"
        f" without it {model_id} is undeployed first and {cut} cut off until {new} is there."
    )
