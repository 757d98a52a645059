"""The Pulumi project in the working directory: its name, and which file is which stack's."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ..api.messages import clean
from .yamlfile import NotYaml, YamlFile

_PROJECT_FILE: Final = Path("Pulumi.yaml")
_STACK_FILES: Final = "Pulumi.*.yaml"


class ProjectError(Exception):
    """There is no such project or stack here; the message says what was looked for and what to do."""


@dataclass(frozen=True)
class Project:
    """A project.

    Attributes:
        name: the engine's name for it.
        stack_folder: where its stacks' files are: `stackConfigDir`.
    """

    name: str
    stack_folder: Path = field(default_factory=Path)

    @classmethod
    def read(cls) -> "Project":
        """The one in the working directory.

        Raises:
            ProjectError: there is none, or its file can't be read.
        """
        try:
            data = YamlFile.read(_PROJECT_FILE.read_bytes()).data
        except FileNotFoundError:
            raise ProjectError(
                f"no {_PROJECT_FILE} in this folder. Change to the folder of a Pulumi project."
            ) from None
        except OSError as error:
            raise ProjectError(f"{_PROJECT_FILE}: can't be opened: {error.strerror}") from None
        except NotYaml as error:
            where = f"{_PROJECT_FILE}:{error.place.line}:{error.place.column}"
            raise ProjectError(f"{where}: {clean(error.reason)}. Correct it.") from None
        values = data if isinstance(data, dict) else {}
        name, folder = values.get("name"), values.get("stackConfigDir")
        return cls(name if isinstance(name, str) else "", Path(folder) if isinstance(folder, str) else Path())

    def stack_file(self, stack: str) -> Path:
        """The file of a stack.

        Args:
            stack: as the engine takes it: `prod`, `acme/prod` for one of an organisation. Files go by its last part.

        Raises:
            ProjectError: there is no such file.
        """
        file = self.stack_folder / f"Pulumi.{short_name(stack)}.yaml"
        if is_file(file):
            return file
        names = ", ".join(self.stacks()) or f"none in {self.stack_folder}"
        raise ProjectError(
            f"no stack {clean(stack)!r}: {clean(str(file))} does not exist. Stacks of this project: {names}."
        )

    def stack_files(self) -> list[Path]:
        """The files of all its stacks."""
        return sorted(file for file in self.stack_folder.glob(_STACK_FILES) if is_file(file))

    def stacks(self) -> list[str]:
        """The names of its stacks."""
        return [file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in self.stack_files()]


def is_file(path: Path) -> bool:
    """Whether a path is a file's; one that the system does not take is none."""
    try:
        return path.is_file()
    except OSError:  # too long, or below a folder that can't be read
        return False


def short_name(stack: str) -> str:
    """A stack's name without its organisation and project."""
    return stack.rpartition("/")[2]
