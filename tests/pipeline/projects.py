"""A project that `koreai init` writes for a test."""

from pathlib import Path
from typing import Any

import yaml

from pulumi_koreai.pipeline.init import InitOutcome, NewProject, init_project

DIGEST = "0" * 64


def hash_of(requirement: str) -> str:
    """An index that has everything."""
    return DIGEST


def initialised(folder: Path, **asked: Any) -> InitOutcome:
    return init_project(NewProject(folder, **{"hash_of": hash_of, **asked}))


def yaml_of(file: Path) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load(file.read_text())
    return read
