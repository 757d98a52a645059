"""The bill of materials: what the wheel brings with it at run time, in CycloneDX's JSON."""

import sys
import tempfile
from pathlib import Path

from .build import run
from .lock import Lock
from .wheel import metadata, requirements


def write(wheel: Path, lock: Lock, root: Path, into: Path) -> Path:
    """The file, made of an environment that has the wheel and what it needs, as locked, and nothing else.

    Args:
        wheel: this package's.
        lock: the pinned packages.
        root: the folder of pyproject.toml.
        into: the folder that the file is written into.
    """
    target = into / f"pulumi-koreai-{metadata(wheel)['Version']}.cdx.json"
    with tempfile.TemporaryDirectory() as scratch:
        environment, pins = Path(scratch, "environment"), Path(scratch, "pins.txt")
        pins.write_text(str(lock.of(requirements(wheel))), encoding="utf-8")
        run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=root)
        python = environment / "bin" / "python"
        pip = (sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--disable-pip-version-check")
        run(*pip, "--require-hashes", "--requirement", pins, cwd=root)
        # By its name: pip would note down the folder of a wheel that is given by its path.
        run(
            *pip,
            "--no-deps",
            "--no-index",
            "--find-links",
            wheel.parent,
            f"pulumi-koreai=={metadata(wheel)['Version']}",
            cwd=root,
        )
        run(
            *(Path(sys.executable).parent / "cyclonedx-py", "environment", "--output-reproducible"),
            *("--pyproject", root / "pyproject.toml", "--output-format", "JSON", "--output-file", target, python),
            cwd=root,
        )
    return target
