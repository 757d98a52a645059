"""Finds the `deployconfig.json` in a model's export: a zip, a tar (gzip or not), or that file alone.

The vendor documents no form. Whatever it is, it was made elsewhere: nothing is unpacked to disk, and what is read of it
is bounded, however much a compressed part claims to hold.
"""

import gzip
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, Final, cast

from pydantic import JsonValue

from .errors import ExportProblem, ExportUnusable

_NAME: Final = "deployconfig.json"
_CONFIG_MAX_BYTES: Final = 1 << 20
_UNPACKED_MAX_BYTES: Final = 1 << 33
_MEMBERS_MAX: Final = 100_000
_GZIP: Final = b"\x1f\x8b"
_CANT_BE_READ: Final = (
    OSError,
    EOFError,
    ValueError,
    RuntimeError,  # an encrypted member of a zip
    NotImplementedError,
    RecursionError,
    tarfile.TarError,
    zipfile.BadZipFile,
    zlib.error,
)


class _Bounded:
    """What a compressed file holds, as far as `tarfile` may read it."""

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file, self._left = file, _UNPACKED_MAX_BYTES

    def read(self, size: int) -> bytes:
        self._left -= size
        if self._left < 0:
            raise EOFError
        return self._file.read(size)


def config_in(file: IO[bytes], model_id: str) -> JsonValue:
    """The content of the `deployconfig.json` of an export.

    Args:
        file: the export; it can be read anywhere.
        model_id: the model, for the error.

    Raises:
        ExportUnusable: there is none that can be read.
    """
    try:
        found = _configs(file)
    except _CANT_BE_READ:
        raise ExportUnusable(model_id, ExportProblem.NO_ARCHIVE) from None
    if not found:
        raise ExportUnusable(model_id, ExportProblem.NO_CONFIG)
    if len(found) > 1:
        raise ExportUnusable(model_id, ExportProblem.SEVERAL_CONFIGS)
    (content,) = found
    try:
        if len(content) > _CONFIG_MAX_BYTES:
            raise ValueError
        config: JsonValue = json.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        raise ExportUnusable(model_id, ExportProblem.BAD_CONFIG) from None
    return config


def _configs(file: IO[bytes]) -> set[bytes]:
    """The different files of that name: of each no more than is needed to see that it is too large."""
    file.seek(0)
    begin = file.read(2)
    file.seek(0)
    if begin[:1] in (b"{", b"["):
        return {file.read(_CONFIG_MAX_BYTES + 1)}
    if begin != _GZIP and zipfile.is_zipfile(file):
        return set(_in_zip(file))
    file.seek(0)
    if begin == _GZIP:
        with gzip.GzipFile(fileobj=file) as unpacked:
            return set(_in_tar(_Bounded(unpacked)))
    return set(_in_tar(_Bounded(file)))


def _in_zip(file: IO[bytes]) -> Iterator[bytes]:
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if _is_config(member.filename):
                with archive.open(member) as content:
                    yield content.read(_CONFIG_MAX_BYTES + 1)


def _in_tar(file: _Bounded) -> Iterator[bytes]:
    with tarfile.open(fileobj=cast("IO[bytes]", file), mode="r|") as archive:
        for number, member in enumerate(archive):
            if number > _MEMBERS_MAX:
                raise EOFError
            content = archive.extractfile(member) if member.isreg() and _is_config(member.name) else None
            if content is not None:
                yield content.read(_CONFIG_MAX_BYTES + 1)


def _is_config(name: str) -> bool:
    return name.replace("\\", "/").rpartition("/")[2].lower() == _NAME
