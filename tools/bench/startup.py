"""What a program's imports and a host's start take, apart from all else."""

import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.processes import say

IMPORTS = {
    "nothing at all": "pass",
    "a program's `import pulumi`": "import pulumi",
    "a program's `import pulumi, pulumi.dynamic`": "import pulumi, pulumi.dynamic",
    "a program's `from pulumi_koreai import ModelDeployment`": "from pulumi_koreai import ModelDeployment",
}
HOSTS = {
    "the stock host, until it serves": ["-u", "-m", "pulumi.dynamic"],
    "this host, until it serves": ["-m", "pulumi_koreai.host"],
}
PROVIDER = "from pulumi_koreai.host.loading import loading\nwith loading():\n    import pulumi_koreai.host.server{}"
LOADS = {
    "this host's own modules": PROVIDER.format(""),
    "this host's modules and the provider's": PROVIDER.format(", pulumi_koreai.adapter"),
}


@dataclass(frozen=True)
class Startup:
    """The seconds that something took before it could do its work, the median of several by turns."""

    what: str
    seconds: float


def measure_startups(turns: int, env: Mapping[str, str]) -> list[Startup]:
    """Time each, by turns.

    Args:
        turns: how often.
        env: of the processes.
    """
    say(f"program's imports and hosts' starts, {turns} times")

    def imports(code: str) -> Callable[[], None]:
        return lambda: _run(code, env)

    def serves(arguments: Sequence[str]) -> Callable[[], None]:
        return lambda: _serve(arguments, env)

    kinds = {what: imports(code) for what, code in {**IMPORTS, **LOADS}.items()}
    kinds |= {what: serves(arguments) for what, arguments in HOSTS.items()}
    seconds: dict[str, list[float]] = {what: [] for what in kinds}
    for _ in range(turns):
        for what, begin in kinds.items():
            began = time.monotonic()
            begin()
            seconds[what].append(time.monotonic() - began)
    return [Startup(what, statistics.median(each)) for what, each in seconds.items()]


def _run(code: str, env: Mapping[str, str]) -> None:
    subprocess.run([sys.executable, "-c", code], check=True, env=dict(env), cwd=Path(sys.prefix))


def _serve(arguments: Sequence[str], env: Mapping[str, str]) -> None:
    with subprocess.Popen(
        [sys.executable, *arguments, "127.0.0.1:1"], env=dict(env), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.kill()
