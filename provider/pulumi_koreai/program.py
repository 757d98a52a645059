"""The program of a project: `from pulumi_koreai import declare; declare()`."""

from typing import Final

import pulumi

from .resource import ModelDeployment, refuse
from .stackfile.entries import FORMER_KEY, MODELS_KEY, StackFileError, read_entries

_NAMESPACE, _, _MODELS = MODELS_KEY.partition(":")
_OUTPUT: Final = "models"


def declare() -> dict[str, ModelDeployment]:
    """Declare a `ModelDeployment` for each entry of `koreai:models` in the stack's configuration.

    Exports the stack output `models`: each model's state and last dock job, by the entry's name.

    Returns:
        The resources by the names of their entries, each after those that it depends on.

    Raises:
        pulumi.RunError: listing all the faults of all the entries. No model of this program is registered then, not
            even one that was declared before.
    """
    config = pulumi.Config(_NAMESPACE)
    others = {FORMER_KEY.partition(":")[0], pulumi.get_project()} - {_NAMESPACE}
    keys = [f"{other}:{_MODELS}" for other in sorted(others) if pulumi.Config(other).get(_MODELS)]
    try:
        entries = read_entries(config.get_object(_MODELS) if config.get(_MODELS) else None, keys)
    except StackFileError as error:
        refuse(str(error))
    declared: dict[str, ModelDeployment] = {}
    for name, entry in entries.items():
        declared[name] = ModelDeployment(
            name,
            model_id=entry.model_id,
            deployment_name=entry.deployment_name,
            model_type=entry.model_type,
            device_type=entry.device_type,
            hyper_parameters=entry.hyper_parameters.plain(),
            scaling_parameters=entry.scaling_parameters.plain() if entry.scaling_parameters else None,
            optimization_info=entry.optimization_info.plain() if entry.optimization_info else None,
            deployed=entry.deployed,
            adopt=entry.adopt,
            update_strategy=entry.update_strategy,
            opts=pulumi.ResourceOptions(
                depends_on=[declared[other] for other in entry.depends_on or []],
                protect=entry.protect,
                custom_timeouts=pulumi.CustomTimeouts(**dict(entry.timeouts)) if entry.timeouts else None,
            ),
        )
    pulumi.export(
        _OUTPUT, {name: {"state": model.state, "job": model.dock_status_id} for name, model in declared.items()}
    )
    return declared
