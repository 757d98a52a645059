"""The Pulumi programs that are measured."""

from typing import Final

# An importable class, so that its pickle is a name, as this package's own is.
NOTHING_PROVIDER: Final = """
from typing import Any, Mapping

from pulumi import Output
from pulumi.dynamic import CreateResult, Resource, ResourceProvider

RESULTS = {"state": "", "dock_status_id": "", "last_action": "", "last_status": "", "last_job_seconds": 0}


class NothingProvider(ResourceProvider):
    def create(self, props):
        return CreateResult("nothing", props)


class Nothing(Resource):
    def __init__(self, name):
        super().__init__(NothingProvider(), name, {"name": name})


class WideProvider(ResourceProvider):
    def create(self, props):
        return CreateResult("wide", {**props, **RESULTS})


class Wide(Resource):
    # As many properties as a model has, of the same types.
    model_id: Output[str]
    deployment_name: Output[str]
    model_type: Output[str]
    device_type: Output[str]
    hyper_parameters: Output[Mapping[str, Any]]
    scaling_parameters: Output[Mapping[str, Any] | None]
    optimization_info: Output[Mapping[str, Any] | None]
    deployed: Output[bool]
    adopt: Output[bool]
    update_strategy: Output[str]
    custom_timeouts: Output[Mapping[str, str] | None]
    state: Output[str]
    dock_status_id: Output[str]
    last_action: Output[str]
    last_status: Output[str]
    last_job_seconds: Output[float]

    def __init__(self, name):
        inputs = {
            "model_id": name,
            "deployment_name": name,
            "model_type": "openSource",
            "device_type": "g5.xlarge",
            "hyper_parameters": {"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10},
            "scaling_parameters": None,
            "optimization_info": None,
            "deployed": True,
            "adopt": True,
            "update_strategy": "undeploy-first",
            "custom_timeouts": None,
        }
        super().__init__(WideProvider(), name, {**inputs, **dict.fromkeys(RESULTS)})
"""


NOTHING_PROGRAM: Final = """
import pulumi

from nothing import {kind}

for number in range(pulumi.Config("bench").require_int("count")):
    {kind}(f"nothing-{{number}}")
"""


# A stack's file can't hold a thousand models: Linux passes a program at most 128 KiB of configuration.
MODELS_PROGRAM: Final = """
import pulumi

from pulumi_koreai import ModelDeployment

config = pulumi.Config("bench")
for number in range(config.require_int("count")):
    ModelDeployment(
        f"model-{number}",
        model_id=f"cm-{number}",
        deployment_name=f"model-{number}",
        device_type="g5.xlarge",
        hyper_parameters={"temperature": 0.5, "max_tokens": 128, "top_p": 1, "top_k": 10},
        adopt=config.require_bool("adopt"),
    )
"""


EMPTY_PROGRAM: Final = "import pulumi\n"
