"""Takes what the package and its extras need at run time out of requirements.lock: the pins that `koreai init` writes.

    python tools/runtime_lock.py

`runtime.txt` has what `pip install pulumi-koreai` brings, another file of an extra's name what the extra adds to that.
"""

import re
import tomllib
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
FOLDER: Final = ROOT / "provider" / "pulumi_koreai" / "pipeline" / "project" / "requirements"
_EXTRAS: Final = ("emulator", "policy")  # of a project; Terraform's has none of Pulumi's files


def parts() -> dict[str, str]:
    """Each file's name with its text."""
    entries: dict[str, str] = {}
    needed_by: dict[str, set[str]] = {}
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    for entry in re.split(r"^(?=[^\s#])", lock, flags=re.MULTILINE)[1:]:
        name = _name(entry)
        # Of a package with a version for each of two Pythons, both.
        entries[name] = entries.get(name, "") + re.sub(r"^    #.*\n", "", entry, flags=re.MULTILINE)
        needed_by.setdefault(name, set()).update(
            map(_name, re.findall(r"^    #(?: via|  ) (\S+)", entry, re.MULTILINE))
        )

    def closure(roots: list[str]) -> set[str]:
        names = set(map(_name, roots))
        while more := {name for name, needing in needed_by.items() if needing & names} - names:
            names |= more
        return names

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    runtime = closure(project["dependencies"])
    chosen = {"runtime": runtime}
    chosen |= {extra: closure(project["optional-dependencies"][extra]) - runtime for extra in _EXTRAS}
    return {f"{part}.txt": "".join(entries[name] for name in sorted(names)) for part, names in chosen.items()}


def _name(requirement: str) -> str:
    return re.split(r"[^\w.-]", requirement, maxsplit=1)[0].lower().replace("_", "-")


if __name__ == "__main__":
    for file, text in parts().items():
        (FOLDER / file).write_text(text, encoding="utf-8")
