"""Deployments of language models on Kore.ai's AI for Process platform, as Pulumi resources.

>>> from pulumi_koreai import ModelDeployment
"""

from .resource import HyperParameters, ModelDeployment, OptimizationInfo, ScalingParameters

__all__ = ["HyperParameters", "ModelDeployment", "OptimizationInfo", "ScalingParameters"]
