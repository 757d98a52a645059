"""The vendor's HTTP API: typed requests and answers, errors, retries and pacing. Knows no engine.

The client itself is `pulumi_koreai.api.client.Client`: it is not imported here, as most of what an engine asks (a
preview of unchanged models) needs no request and does not pay for the import of an HTTP library.
"""

from .declared import DeployRequest, HyperParameters, OptimizationInfo, ScalingParameters
from .dock_job import DockJob
from .errors import (
    AbsenceInDoubt,
    AnswerLost,
    ApiError,
    BadAnswer,
    Busy,
    ConfigError,
    ExportUnusable,
    Forbidden,
    ForeignAnswer,
    JobError,
    JobFailed,
    JobStuck,
    JobTimeout,
    KoreaiError,
    NotDeployed,
    NotFound,
    NotSent,
    OutageRefused,
    RateLimited,
    Refused,
    Remedy,
    ServerError,
    SettingFault,
    Unauthorized,
    WrongJob,
)
from .settings import Settings

__all__ = [
    "AbsenceInDoubt",
    "AnswerLost",
    "ApiError",
    "BadAnswer",
    "Busy",
    "ConfigError",
    "DeployRequest",
    "DockJob",
    "ExportUnusable",
    "Forbidden",
    "ForeignAnswer",
    "HyperParameters",
    "JobError",
    "JobFailed",
    "JobStuck",
    "JobTimeout",
    "KoreaiError",
    "NotDeployed",
    "NotFound",
    "NotSent",
    "OptimizationInfo",
    "OutageRefused",
    "RateLimited",
    "Refused",
    "Remedy",
    "ScalingParameters",
    "ServerError",
    "SettingFault",
    "Settings",
    "Unauthorized",
    "WrongJob",
]
