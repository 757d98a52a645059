"""Deployments of language models on Kore.ai's AI for Process platform, as Pulumi resources.

    from pulumi_koreai import ModelDeployment

The names are imported when they are first used: the host and the emulator are parts of this package too, and each
start of theirs would pay for what a program needs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .resource import HyperParameters, ModelDeployment, OptimizationInfo, ScalingParameters

__all__ = ["HyperParameters", "ModelDeployment", "OptimizationInfo", "ScalingParameters"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .host.loading import loading  # noqa: PLC0415 - see above

    with loading():
        from . import resource  # noqa: PLC0415 - see above

    return getattr(resource, name)
