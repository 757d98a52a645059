"""Guard rails for the models of a stack, as a CrossGuard policy pack. policy/README.md says how to switch it on.

A policy sees each model that the program declares, as it will be: not what it was, not a model whose entry is gone,
and no `pulumi destroy`. So a removal is caught in two steps: `serves-callers` demands `protect: true`, and the engine
refuses to delete or to replace what its state has as protected.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Final, TypeAlias

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

TYPE: Final = "pulumi-python:dynamic/koreai:ModelDeployment"

Rule: TypeAlias = Callable[[ResourceValidationArgs], Iterator[str]]
"""Gives what is wrong with a model, in the words of the stack's file."""

_HERE: Final = "in this stack's file in `policy/`"
_TEXTS: Final[dict[str, object]] = {"type": "array", "items": {"type": "string"}}


def allowed_hardware(args: ResourceValidationArgs) -> Iterator[str]:
    """The model's hardware is on the list, if there is one."""
    allowed = args.get_config().get("deviceTypes")
    given = args.props["device_type"]
    if allowed is not None and given not in allowed:
        yield (
            f"{args.name}: deviceType {given} is not allowed in this stack; allowed: {', '.join(allowed) or 'none'}."
            f" To allow it, add it to `allowed-hardware.deviceTypes` {_HERE}."
        )


def bounded_replicas(args: ResourceValidationArgs) -> Iterator[str]:
    """The model can't grow beyond the bound, if there is one."""
    bound = args.get_config().get("maxReplicas")
    if bound is None:
        return
    scaling = args.props.get("scaling_parameters")
    given = scaling.get("max_replicas") if isinstance(scaling, Mapping) else None
    if given is None:
        yield (
            f"{args.name}: scalingParameters.maxReplicas is not declared, so the platform's own default counts, which"
            f" is not known here. Declare it, {bound:g} at most."
        )
    elif given > bound:
        yield (
            f"{args.name}: scalingParameters.maxReplicas {given:g} is above this stack's bound of {bound:g}."
            f" To raise the bound, change `bounded-replicas.maxReplicas` {_HERE}."
        )


def serves_callers(args: ResourceValidationArgs) -> Iterator[str]:
    """Neither a change of the model nor a slip cuts its callers off."""
    if args.name in args.get_config().get("except", []):
        return
    wanted = {
        "deployed: true": (args.props["deployed"], "it would be undeployed and its callers cut off"),
        "updateStrategy: redeploy": (
            args.props["update_strategy"] == "redeploy",
            "with undeploy-first each changed parameter cuts its callers off for as long as a deploy takes",
        ),
        "protect: true": (args.opts.protect, "else a removed entry, another modelId or `pulumi destroy` undeploys it"),
    }
    for line, (met, why) in wanted.items():
        if not met:
            yield (
                f"{args.name}: this stack requires `{line}`: {why}."
                f" To exempt the model, add its name to `serves-callers.except` {_HERE}."
            )


def _policy(
    name: str,
    description: str,
    rule: Rule,
    options: dict[str, dict[str, object]],
    level: EnforcementLevel = EnforcementLevel.MANDATORY,
) -> ResourceValidationPolicy:
    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        if args.resource_type == TYPE:
            for violation in rule(args):
                report(violation, None)

    return ResourceValidationPolicy(name, description, validate, level, PolicyConfigSchema(options))


if __name__ == "__main__":
    PolicyPack(
        "koreai-models",
        [
            _policy(
                "allowed-hardware",
                "Models run on the hardware that the stack allows.",
                allowed_hardware,
                {"deviceTypes": _TEXTS},
            ),
            _policy(
                "bounded-replicas",
                "Models declare how far they may grow, within the stack's bound.",
                bounded_replicas,
                {"maxReplicas": {"type": "integer", "minimum": 1}},
            ),
            # Off, unless the stack's configuration says "mandatory" (or "advisory": to be warned).
            _policy(
                "serves-callers",
                "Models that people call stay deployed while they are changed.",
                serves_callers,
                {"except": _TEXTS},
                EnforcementLevel.DISABLED,
            ),
        ],
    )
