"""This host for an inline program of the Automation API, whose `Pulumi.yaml` the SDK writes."""

import sysconfig
from pathlib import Path
from typing import Any

from pulumi import automation


class ProjectSettings(automation.ProjectSettings):
    """The settings of a project whose dynamic providers this package's host serves.

    The SDK's own class, whose arguments it takes, has no word for a project's plugins.
    """

    def to_dict(self) -> dict[str, Any]:
        """The project's file.

        Raises:
            FileNotFoundError: the package was installed without its host.
        """
        folder = Path(sysconfig.get_path("data"), "libexec", "koreai")
        if not (folder / "pulumi-resource-pulumi-python").exists():
            raise FileNotFoundError(
                f"There is no host of dynamic providers in {folder}.\n"
                "Install pulumi-koreai with pip or uv into the environment that runs this program."
            )
        return {**super().to_dict(), "plugins": {"providers": [{"name": "pulumi-python", "path": str(folder)}]}}
