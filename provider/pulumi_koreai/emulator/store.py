"""The models and jobs on disk, so that an emulator that is killed and started again goes on as a platform would.

Not kept: the rate limits' windows, the record of requests, the faults. No key ever gets here: the platform has none.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from .inputs import InvalidInput
from .platform import EmulatedJob, EmulatedPlatform, Model


@dataclass
class _Contents:
    """What is in the file.

    Attributes:
        jobs: with `started` in seconds since 1970, as the clock of one process means nothing to the next.
    """

    version: Literal[1] = 1
    models: list[Model] = field(default_factory=list)
    jobs: list[EmulatedJob] = field(default_factory=list)


_CONTENTS = TypeAdapter(_Contents)


class Store:
    """One platform's file.

    Args:
        path: the file. Where there is one, the platform goes on from it.
        platform: whose models and jobs it keeps.
        epoch: what to add to an instant of the platform's clock for the seconds since 1970.

    Raises:
        InvalidInput: the file holds no state, or can't be used.
    """

    def __init__(self, path: Path, platform: EmulatedPlatform, epoch: float) -> None:
        self._path, self._platform, self._epoch = path, platform, epoch
        self._written = b""
        try:
            contents = _CONTENTS.validate_json(path.read_bytes(), strict=True) if path.exists() else _Contents()
            platform.restore(contents.models, [_moved(job, -epoch) for job in contents.jobs])
            self.save()  # that it can't be written is to be known now
        except OSError as error:
            raise InvalidInput(f"{path} can't be used: {error.strerror}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            place = ".".join(map(str, first["loc"]))
            raise InvalidInput(
                f"{path} holds no state of an emulator: {place and place + ': '}{first['msg']}"
            ) from None

    def save(self) -> None:
        """Write what has changed since the last time, the whole file or nothing of it."""
        models, jobs = self._platform.contents()
        contents = _CONTENTS.dump_json(_Contents(models=models, jobs=[_moved(job, self._epoch) for job in jobs]))
        if contents == self._written:
            return
        beside = self._path.with_name(f"{self._path.name}.new")
        # Not synced: it is the process that gets killed, not the machine.
        beside.write_bytes(contents)
        beside.replace(self._path)
        self._written = contents


def _moved(job: EmulatedJob, seconds: float) -> EmulatedJob:
    return replace(job, started=job.started + seconds)
