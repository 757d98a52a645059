"""Deployments of language models on Kore.ai's AI for Process platform, as Pulumi resources.

    from pulumi_koreai import declare            the models of the stack's file
    from pulumi_koreai import ModelDeployment    a model that the program itself declares

The names are imported when they are first used: the host and the emulator are parts of this package too, and each
start of theirs would pay for what a program needs.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import declare
    from .resource import HyperParameters, ModelDeployment, OptimizationInfo, ScalingParameters

    __version__: str

__all__ = ["HyperParameters", "ModelDeployment", "OptimizationInfo", "ScalingParameters", "__version__", "declare"]


def __getattr__(name: str) -> object:
    # The imports are in here for the reason above.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name == "__version__":
        from importlib import metadata  # noqa: PLC0415

        return metadata.version("pulumi-koreai")
    from .host.loading import loading  # noqa: PLC0415

    with loading():
        if name == "declare":
            from .program import declare  # noqa: PLC0415

            return declare
        from . import resource  # noqa: PLC0415

        return getattr(resource, name)
