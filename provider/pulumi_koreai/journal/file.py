"""The file of a journal: durable, private, bounded, shared by processes, and never in the way of a deployment."""

import errno
import os
import stat
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import ValidationError

from ..base.clock import SystemClock
from .calls import Calls, CallTrace, Line

if sys.platform != "win32":  # where there is none; a line is appended in one write there too
    import fcntl

_SIZE_MAX_BYTES: Final = 1 << 20
_READ_MAX_BYTES: Final = 1 << 24
_KEPT_CALLS: Final = 2
"""The calls of a model that stay when the file is shortened: the last one, and the one before it to compare with."""
_LOCK_SECONDS: Final = 2.0
_LOCK_STEP_SECONDS: Final = 0.02


class TroubleKind(Enum):
    """Why a journal is of less use than it should be."""

    NOT_WRITTEN = "a line can't be written"
    NOT_READ = "the file can't be read"
    NOT_PRIVATE = "another user could have written the file, or a commit brought it"
    CORRUPT = "lines of it can't be understood"
    NEWER = "lines of it are of a newer version of this package"


@dataclass(frozen=True)
class Trouble:
    """What is wrong with a journal. No deployment stops for it.

    Attributes:
        kind: what.
        path: the file.
        detail: the system's words; "" where it has none.
    """

    kind: TroubleKind
    path: Path
    detail: str = ""


class _NotPrivateError(OSError):
    """The file is not this user's alone."""


class Journals:
    """The journals of a folder, one for each stack."""

    def __init__(self, folder: Path, now: Callable[[], float], tell: Callable[[Trouble], None]) -> None:
        """Nothing is read or written yet.

        Args:
            folder: where they are; it is made when there is something to write.
            now: the time, in seconds since 1970.
            tell: takes what is wrong with a file, each thing once.
        """
        self._folder, self._now, self._tell = folder, now, tell
        self._lock = threading.Lock()
        self._journals: dict[str, Journal] = {}

    def of(self, stack: str) -> "Journal":
        """The journal of a stack."""
        with self._lock:
            if stack not in self._journals:
                path = self._folder / f"{quote(stack, safe='')}.jsonl"
                self._journals[stack] = Journal(path, self._now, self._tell)
            return self._journals[stack]

    def trouble(self) -> Trouble | None:
        """Why no journal could be written in the folder; None where one could. Writes nothing."""
        there = next(path for path in (self._folder, *self._folder.parents) if path.exists())
        if not there.is_dir():
            return Trouble(TroubleKind.NOT_WRITTEN, self._folder, os.strerror(errno.ENOTDIR))
        if not os.access(there, os.W_OK | os.X_OK):
            return Trouble(TroubleKind.NOT_WRITTEN, self._folder, os.strerror(errno.EACCES))
        return None


class Journal:
    """The journal of a stack. Safe to share between threads and processes."""

    def __init__(self, path: Path, now: Callable[[], float], tell: Callable[[Trouble], None]) -> None:
        """Nothing is read or written yet.

        Args:
            path: the file; it is made when there is something to write.
            now: the time, in seconds since 1970.
            tell: takes what is wrong with the file, each thing once.
        """
        self.path = path
        self._now, self._tell = now, tell
        self._lock = threading.Lock()
        self._told: set[TroubleKind] = set()
        self._calls, self._inode, self._read_bytes = Calls(), 0, 0
        self._shortened_to = 0

    @property
    def now(self) -> float:
        """The time, in seconds since 1970."""
        return self._now()

    def calls(self, host: str, model_id: str) -> Sequence[CallTrace]:
        """The calls that may have changed something for a model, in the order in which they began."""
        with self._lock:
            self._read()
            return self._calls.of(host, model_id)

    def last_calls(self) -> Sequence[CallTrace]:
        """Of each model the last call that may have changed something."""
        with self._lock:
            self._read()
            return [calls[-1] for calls in self._calls.models()]

    def write(self, line: Line, *, durable: bool = True) -> None:
        """Append a line; when this returns it survives the machine's end, if it is to be durable.

        Whatever stands against it is told, and nothing is raised.
        """
        with self._lock:
            try:
                with self._opened() as file:
                    _append(file, line.text(), durable=durable)
                    size = os.fstat(file).st_size
                    if size > max(_SIZE_MAX_BYTES, 2 * self._shortened_to):
                        self._shorten(file)
            except OSError as error:
                self._trouble(error, TroubleKind.NOT_WRITTEN)

    def _read(self) -> None:
        """Take in what was written since the last time, by whichever process."""
        try:
            about = self.path.lstat()
            if (about.st_ino, about.st_size) == (self._inode, self._read_bytes):
                return
            file = os.open(self.path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
            try:
                _want_private(file)
                self._take_in(file)
            finally:
                os.close(file)
        except FileNotFoundError:
            self._calls, self._inode, self._read_bytes = Calls(), 0, 0
        except OSError as error:
            self._trouble(error, TroubleKind.NOT_READ)

    def _take_in(self, file: int) -> None:
        about = os.fstat(file)
        if about.st_ino != self._inode or about.st_size < self._read_bytes:
            self._calls, self._inode = Calls(), about.st_ino
            self._read_bytes = max(0, about.st_size - _READ_MAX_BYTES)
        content = _content(file, self._read_bytes)
        whole = content[: content.rfind(b"\n") + 1]  # another process may be in the middle of a line
        self._read_bytes += len(whole)
        for line in self._lines(whole):
            self._calls.take(line)

    def _lines(self, content: bytes) -> Iterator[Line]:
        for raw in content.splitlines():
            try:
                yield Line.model_validate_json(raw)
            except ValidationError as error:
                newer = any(fault["loc"][:1] == ("version",) for fault in error.errors())
                self._say(TroubleKind.NEWER if newer else TroubleKind.CORRUPT)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """The file, locked. Another process may put a shorter one in its place: that one is meant then."""
        self._make_folder()
        while True:
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600)
            try:
                _want_private(file)
                _lock(file)
                with suppress(FileNotFoundError):
                    if self.path.stat().st_ino == os.fstat(file).st_ino:
                        yield file
                        return
            finally:
                os.close(file)

    def _make_folder(self) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(parents=True, mode=0o700, exist_ok=True)
            with suppress(FileExistsError), (folder / ".gitignore").open("x") as ignore:
                ignore.write("*\n")

    def _shorten(self, file: int) -> None:
        """Keep of each model the last calls."""
        lines, calls = list(self._lines(_content(file, 0))), Calls()
        for line in lines:
            calls.take(line)
        names = {call.call for of_model in calls.models() for call in of_model[-_KEPT_CALLS:]}
        texts = [line.text() for line in lines if line.call in names]
        room = _READ_MAX_BYTES // 2
        while texts and sum(map(len, texts)) > room:
            texts = texts[len(texts) // 2 :]
        shorter = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        target = os.open(shorter, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            _append(target, "\n".join(texts), durable=True)
            self._shortened_to = os.fstat(target).st_size
        finally:
            os.close(target)
        shorter.replace(self.path)

    def _trouble(self, error: OSError, kind: TroubleKind) -> None:
        if isinstance(error, _NotPrivateError):
            self._say(TroubleKind.NOT_PRIVATE)
        else:
            self._say(kind, error.strerror or type(error).__name__)

    def _say(self, kind: TroubleKind, detail: str = "") -> None:
        if kind not in self._told:
            self._told.add(kind)
            self._tell(Trouble(kind, self.path, detail))


def _content(file: int, begin: int) -> bytes:
    content = bytearray()
    os.lseek(file, begin, os.SEEK_SET)
    while block := os.read(file, 1 << 16):
        content += block
    return bytes(content)


def _append(file: int, text: str, *, durable: bool) -> None:
    content = f"{text}\n".encode()
    if os.fstat(file).st_size and os.pread(file, 1, os.fstat(file).st_size - 1) != b"\n":
        content = b"\n" + content  # after the half line of a process that died, or of a full disk
    while content:
        content = content[os.write(file, content) :]
    if durable:
        os.fsync(file)


def _want_private(file: int) -> None:
    """Refuse a file that another user could have written, or a commit: git keeps no mode of 0600."""
    about = os.fstat(file)
    mine = not hasattr(os, "geteuid") or (about.st_uid == os.geteuid() and not about.st_mode & 0o077)
    if not (stat.S_ISREG(about.st_mode) and mine):
        raise _NotPrivateError


def _lock(file: int) -> None:
    """Wait for the other processes, but not for one that hangs: a line that mixes with another is found corrupt."""
    if sys.platform == "win32":
        return
    clock = SystemClock()
    deadline = clock.monotonic() + _LOCK_SECONDS
    while clock.monotonic() < deadline:
        with suppress(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        clock.sleep(_LOCK_STEP_SECONDS)
