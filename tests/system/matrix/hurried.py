"""A host's process in a world that goes `SPEED` times as fast: `python -m tests.system.matrix.hurried MODULE ADDRESS`.

The provider's clock alone is quickened: every pause is as long as ever by that clock, no policy is another one. The
durations of the emulator are divided by the same number; `quickened` does it to a fault's.
"""

import runpy
import sys
import time

from pulumi_koreai.emulator.faults import Effect
from pulumi_koreai.host import current_call

SPEED = 20


def quickened(effect: Effect) -> Effect:
    """The same effect with its durations by this machine's clock. (A `Retry-After` is by the provider's.)"""
    durations = {name: value for name, value in effect if name.endswith("seconds") and isinstance(value, float)}
    if effect.kind == "clock":
        return effect
    return effect.model_copy(update={name: value / SPEED for name, value in durations.items()})


def main() -> None:
    from pulumi_koreai import adapter  # noqa: PLC0415 - only in a host's process

    class Clock(adapter.CallClock):
        def monotonic(self) -> float:
            return time.monotonic() * SPEED

        def sleep(self, seconds: float) -> None:
            current_call().sleep(max(seconds, 0.0) / SPEED)

    adapter.CallClock = Clock  # type: ignore[misc] # before the process's service is made
    module = sys.argv.pop(1)
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
