"""Takes what the package and its extras need at run time out of requirements.lock: the pins that `koreai init` writes.

    python tools/runtime_lock.py

`runtime.txt` has what `pip install pulumi-koreai` brings, another file of an extra's name what the extra adds to that.
"""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from packaging.requirements import Requirement

from release.lock import Lock

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "provider" / "pulumi_koreai" / "pipeline" / "project" / "requirements"
_EXTRAS: Final = ("emulator", "policy")  # of a project; Terraform's has none of Pulumi's files


def parts() -> dict[str, str]:
    """Each file's name with its text."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = Lock.read(ROOT / "requirements.lock")
    runtime = lock.of(_names(project["dependencies"]))
    files = {"runtime.txt": str(runtime)}
    for extra in _EXTRAS:
        needed = lock.of(_names(project["optional-dependencies"][extra]))
        files[f"{extra}.txt"] = str(Lock(tuple(one for one in needed.entries if one not in runtime.entries)))
    return files


def _names(requirements: Iterable[str]) -> set[str]:
    return {Requirement(one).name for one in requirements}


if __name__ == "__main__":
    for file, text in parts().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
