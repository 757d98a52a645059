"""Declares the models that the stack's file lists under `koreai-models:models`."""

import pulumi

from pulumi_koreai import ModelDeployment
from pulumi_koreai.stackfile.entries import StackFileError, read_entries

config = pulumi.Config("koreai-models")
try:
    entries = read_entries(config.get_object("models") if config.get("models") else None)
except StackFileError as error:
    raise pulumi.RunError(str(error)) from None

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

pulumi.export("models", {name: {"state": model.state, "job": model.dock_status_id} for name, model in declared.items()})
