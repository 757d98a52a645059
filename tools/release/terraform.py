"""The Terraform provider as a zip that is unpacked into a filesystem mirror: all it needs but Python.

Compiled packages are there once for each version of Python. Their files have the version in their names, so one folder
holds them all.
"""

import platform as machine
import re
import sys
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from packaging.utils import parse_wheel_filename

from pulumi_koreai.terraform.provider import ADDRESS

from .build import run
from .errors import ReleaseError
from .lock import Lock
from .wheel import requirements

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")

_MANYLINUX: Final = (*(f"manylinux_2_{minor}" for minor in range(28, 16, -1)), "manylinux2014", "manylinux2010")
# Terraform's name of a platform: what pip calls it, and its markers.
_PLATFORMS: Final = {
    "linux_amd64": (tuple(f"{one}_x86_64" for one in _MANYLINUX), ("linux", "Linux", "x86_64")),
    "linux_arm64": (tuple(f"{one}_aarch64" for one in _MANYLINUX), ("linux", "Linux", "aarch64")),
    "darwin_amd64": (("macosx_12_0_x86_64",), ("darwin", "Darwin", "x86_64")),
    "darwin_arm64": (("macosx_12_0_arm64",), ("darwin", "Darwin", "arm64")),
}
PLATFORMS: Final = tuple(_PLATFORMS)

_ENGINES_OWN: Final = frozenset({"pulumi", "dill"})  # of the requirements, what Terraform's front end never imports

_LAUNCHER: Final = """\
#!/bin/sh
# Terraform starts this. What it needs is in `lib` beside it, but for Python. Nothing is written here, as Terraform
# compares the folder's checksum with its lock file.
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd -P)
for python in {candidates} python3; do
    "$python" -c 'import sys; sys.exit("%d.%d" % sys.version_info[:2] not in "{versions}".split())' 2>/dev/null ||
        continue
    exec "$python" -I -S -X pycache_prefix="${{XDG_CACHE_HOME:-$HOME/.cache}}/pulumi-koreai/pycache" -c '
import sys
sys.path.insert(0, sys.argv.pop(1))
from pulumi_koreai.terraform.__main__ import main
main()' "$here/lib" "$@"
done
echo "The provider koreai needs Python {first} to {last} on the PATH: install one, then run terraform again." >&2
exit 1
"""


def here() -> str:
    """Terraform's name of the platform that this runs on."""
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    return f"{machine.system().lower()}_{names.get(machine.machine(), machine.machine())}"


def pack(wheel: Path, lock: Lock, platform: str, into: Path, epoch: int, pythons: Sequence[str] = PYTHONS) -> Path:
    """The zip for one platform, in the folder `into`.

    Args:
        wheel: this package's.
        lock: the pinned packages.
        platform: one of `PLATFORMS`.
        into: where it is written.
        epoch: the time of all its files, in seconds.
        pythons: for which versions of Python.

    Raises:
        ReleaseError: a package has no file for the platform and one of the versions.
    """
    version = str(parse_wheel_filename(wheel.name)[1])
    needed = lock.of(requirements(wheel, "terraform") - _ENGINES_OWN)
    top = f"{ADDRESS}/{version}/{platform}"
    target = into / f"terraform-provider-koreai_{version}_{platform}.zip"
    into.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        _add(
            archive, f"{top}/terraform-provider-koreai_v{version}", _launcher(pythons).encode(), epoch, executable=True
        )
        wheels = {wheel.name: wheel}
        for python in pythons:
            wheels |= _download(needed, platform, python, Path(scratch, python))
        for _, path in sorted(wheels.items()):
            _add_wheel(archive, f"{top}/lib", path, epoch)
    return target


def _launcher(pythons: Sequence[str]) -> str:
    return _LAUNCHER.format(
        candidates=" ".join(f"python{one}" for one in reversed(pythons)),
        versions=" ".join(pythons),
        first=pythons[0],
        last=pythons[-1],
    )


def _download(needed: Lock, platform: str, python: str, into: Path) -> dict[str, Path]:
    tags, (sys_platform, system, processor) = _PLATFORMS[platform]
    environment = {
        "python_version": python,
        "python_full_version": f"{python}.0",
        "sys_platform": sys_platform,
        "platform_system": system,
        "platform_machine": processor,
        "platform_python_implementation": "CPython",
        "implementation_name": "cpython",
        "os_name": "posix",
    }
    into.mkdir()
    pins = into / "pins.txt"
    pins.write_text(str(needed.where(environment)), encoding="utf-8")
    options = [f"--platform={tag}" for tag in tags]
    run(
        *(sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--require-hashes", "--only-binary=:all:", "--implementation=cp", f"--python-version={python}", *options),
        *("--dest", into, "--requirement", pins),
        cwd=into,
    )
    return {path.name: path for path in into.glob("*.whl")}


def _add_wheel(archive: zipfile.ZipFile, top: str, wheel: Path, epoch: int) -> None:
    present = set(archive.namelist())
    with zipfile.ZipFile(wheel) as opened:
        for name in sorted(opened.namelist()):
            # What a wheel would put elsewhere, such as scripts, is not for here; records would differ for each Python.
            if name.endswith("/") or re.match(r"[^/]+\.data/", name):
                if ".data/purelib/" in name or ".data/platlib/" in name:
                    raise ReleaseError(f"{wheel.name} has modules in {name}; they would be missing from the provider.")
                continue
            if re.search(r"^[^/]+\.dist-info/(RECORD|WHEEL)$", name) or f"{top}/{name}" in present:
                continue
            _add(archive, f"{top}/{name}", opened.read(name), epoch)


def _add(archive: zipfile.ZipFile, name: str, content: bytes, epoch: int, *, executable: bool = False) -> None:
    entry = zipfile.ZipInfo(name, time.gmtime(epoch)[:6])
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = (0o755 if executable else 0o644) << 16
    entry.create_system = 3  # whatever it is made on
    archive.writestr(entry, content)
