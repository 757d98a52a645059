"""The processes of this machine, on every system that the tests run on."""

import psutil


def is_alive(pid: int) -> bool:
    """Whether a process has not ended; one that only its parent has not heard of yet has."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def children_of(parent: int, *, named: str) -> list[int]:
    """The processes below a process, at any depth, whose command line has this text."""
    try:
        below = psutil.Process(parent).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return [process.pid for process in below if named in command_line(process)]


def command_line(process: psutil.Process) -> str:
    """Its arguments, with a NUL between them; empty where it has ended or is another user's."""
    try:
        return "\0".join(process.cmdline())
    except psutil.Error:
        return ""


def hosts_below(parent: int) -> list[int]:
    """The dynamic provider hosts below a process."""
    return children_of(parent, named="pulumi_koreai.host")
