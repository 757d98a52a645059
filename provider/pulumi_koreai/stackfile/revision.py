"""Stack files as they were at a revision of their git repository."""

import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

_STACK_FILE: Final = re.compile(r"Pulumi\.[^/]+\.ya?ml")


class RevisionError(Exception):
    """A revision can't be read; the message says why and what to do."""


def files_at(revision: str, files: Iterable[Path]) -> Mapping[Path, bytes]:
    """The content that each of the files had, and that of the stack files beside them that are gone now.

    A file that there was not has no content.

    Args:
        revision: as git takes it: `origin/main`, `HEAD^`, a commit.
        files: each by its resolved path.

    Raises:
        RevisionError: the revision is unknown, or there is no repository or no git.
    """
    wanted = set(files)
    found: dict[Path, bytes] = {}
    for folder in sorted({file.parent for file in wanted}):
        if not folder.is_dir():
            continue
        # `--verify` takes nothing but a revision's name. `^{commit}`: no blob, and no name that ends like an option.
        commit = _git(
            folder, revision, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}"
        )
        for line in _git(folder, revision, "ls-tree", "-z", commit.decode().strip()).split(b"\0"):
            about, _, raw = line.partition(b"\t")
            file = folder / raw.decode(errors="surrogateescape")
            gone = bool(_STACK_FILE.fullmatch(file.name)) and not file.exists()
            if b" blob " in about and (file in wanted or gone):
                found[file] = _git(folder, revision, "cat-file", "blob", about.split()[-1].decode())
    return found


def _git(folder: Path, revision: str, *arguments: str) -> bytes:
    tried = f"the stack files can't be compared with {revision!r}"
    try:
        ended = subprocess.run(
            ["git", *arguments], cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError as error:
        raise RevisionError(f"{tried}: git can't be started: {error.strerror}. Install it.") from None
    if ended.returncode:
        said = " ".join(ended.stderr.decode(errors="replace").split()) or "git knows no such commit"
        raise RevisionError(f"{tried}: {said}. Fetch the revision, or name another one.")
    return ended.stdout
