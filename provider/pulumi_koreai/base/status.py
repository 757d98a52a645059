"""The exit statuses of the program's commands."""

from enum import IntEnum


class ExitStatus(IntEnum):
    """What a command's exit status says.

    Attributes:
        DONE: it has done what was asked.
        FAILED: it has not.
        USAGE: the command line is wrong, or a file that it names can't be used.
        REFUSED: it differs, or what is asked of it is refused.
    """

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
