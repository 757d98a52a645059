"""The steps of a release.

python -m release build              the wheel and the source distribution, built twice and checked
python -m release notes TAG          whether the tag, the version and the changelog agree; prints what it says
python -m release sbom               the bill of materials of the wheel in DIST
python -m release terraform [NAME…]  the Terraform provider for each platform, or for those named
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from . import build, sbom, tag, terraform
from .errors import ReleaseError
from .lock import Lock

_ROOT: Final = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a step. Returns the exit status: 0 done, 1 failed; argparse exits with 2 at a wrong usage."""
    parser = argparse.ArgumentParser(prog="release", description="The steps of a release.")
    parser.add_argument("--into", type=Path, default=_ROOT / "dist", metavar="DIST", help="the folder of what is made")
    steps = parser.add_subparsers(dest="step", required=True)
    steps.add_parser("build", help="the wheel and the source distribution, built twice and checked")
    steps.add_parser("notes", help="check a tag, and print the changelog's section").add_argument("tag")
    steps.add_parser("sbom", help="the bill of materials of the wheel in DIST")
    named = steps.add_parser("terraform", help="the Terraform provider, with the wheel in DIST")
    named.add_argument("platforms", nargs="*", metavar="NAME", help=f"of {', '.join(terraform.PLATFORMS)}; all if none")
    options = parser.parse_args(arguments)
    try:
        if options.step == "notes":
            print(tag.notes(_ROOT, options.tag), end="")
            return 0
        for made in _made(options):
            print(made)
    except ReleaseError as error:
        print(f"release: {error}", file=sys.stderr)
        return 1
    return 0


def _made(options: argparse.Namespace) -> list[Path]:
    into: Path = options.into.resolve()
    if options.step == "build":
        return build.build(_ROOT, into)
    wheel = _wheel(into)
    lock = Lock.read(_ROOT / "requirements.lock")
    if options.step == "sbom":
        return [sbom.write(wheel, lock, _ROOT, into)]
    if unknown := set(options.platforms) - set(terraform.PLATFORMS):
        raise ReleaseError(f"got {', '.join(sorted(unknown))}; expected some of {', '.join(terraform.PLATFORMS)}")
    epoch = build.commit_time(_ROOT)
    return [terraform.pack(wheel, lock, one, into, epoch) for one in options.platforms or terraform.PLATFORMS]


def _wheel(folder: Path) -> Path:
    name = f"pulumi_koreai-{tag.version(_ROOT)}-py3-none-any.whl"
    if not (folder / name).exists():
        raise ReleaseError(f"{name} is not in {folder}: run `make dist` first.")
    return folder / name


if __name__ == "__main__":
    sys.exit(main())
