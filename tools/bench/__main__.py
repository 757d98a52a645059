"""Measures this package's dynamic provider host beside the stock one, on the real engine and the emulator.

Writes `bench.md` (the table), `bench.json` (every run) and `bench.png` to a folder, `docs/bench` unless told otherwise;
`--quick` is for trying it out, prints the table and writes only where it is told to. Everything happens in a temporary
folder and on this machine; nothing is left when it ends, however it ends.
"""

import argparse
import json
import os
import platform
import secrets
import shutil
import signal
import sys
import tempfile
import time
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Final, NoReturn

import engine
from bench.figures import figures, heading, table
from bench.outages import JOBS, simulate_updates
from bench.plan import QUICK, BenchError, Plan
from bench.plot import plot
from bench.processes import CLONE, say
from bench.runs import Bench
from bench.simulated import simulate
from bench.startup import measure_startups
from pulumi_koreai.api.settings import Settings
from pulumi_koreai.core.polling import pause_before_poll

OUTPUT: Final = CLONE / "docs" / "bench"


def _terminated(number: int, _frame: object) -> NoReturn:
    raise SystemExit(128 + number)


def _environment(found: engine.Engine, folder: Path) -> dict[str, str]:
    """The engine's: none of the user's own settings, and everything in `folder`."""
    base = {key: value for key, value in os.environ.items() if not key.startswith(("PULUMI_", "KOREAI_"))}
    return engine.environment(
        found,
        {
            **base,
            "KOREAI_API_KEY": secrets.token_hex(16),
            "NO_COLOR": "1",
            "PULUMI_CONFIG_PASSPHRASE": secrets.token_hex(16),
            "PULUMI_EXPERIMENTAL": "true",  # what the engine wants to be told for the next to count
            "PULUMI_SKIP_CHECKPOINTS": "true",
            "PULUMI_HOME": str(folder / "home"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        },
    )


def measure(plan: Plan, output: Path | None) -> int:
    """Run the plan, print the table, and write it all to `output`. The exit status: 1 where a bar is missed."""
    began = time.monotonic()
    found = engine.obtain()
    stock_folder = found.folder or Path(shutil.which("pulumi") or "").resolve().parent
    say(f"simulating {plan.simulations} jobs of each duration")
    simulated = [
        simulate(pause_before_poll, Settings("", ""), plan.simulations, percentages=percentages)
        for percentages in (True, False)
    ]
    say(f"simulating {plan.updates} updates at once")
    outages = [simulate_updates(plan.updates, *seconds) for seconds in JOBS]
    with tempfile.TemporaryDirectory(prefix="pulumi-koreai-bench-", ignore_cleanup_errors=True) as folder:
        bench = Bench(plan, Path(folder), _environment(found, Path(folder)), stock_folder)
        startups = measure_startups(plan.startups, bench.env)
        bench.run()
    lines = figures(plan, bench.runs, startups, simulated, outages)
    text = table(lines, heading(plan, found.version, (time.monotonic() - began) / 60))
    print(f"\n{text}")
    if output:
        output.mkdir(parents=True, exist_ok=True)
        plot(output / "bench.png", plan, bench.runs, simulated)
        (output / "bench.md").write_text(f"{text}\n![The benchmark's plot](bench.png)\n")
        facts = {
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "engine": found.version,
            "sdk": version("pulumi"),
            "plan": asdict(plan),
            "figures": [asdict(line) for line in lines],
            "startups": [asdict(each) for each in startups],
            "runs": [asdict(run) for run in bench.runs],
            "simulated": [asdict(each) for each in simulated],
            "outages": [asdict(each) for each in outages],
        }
        (output / "bench.json").write_text(json.dumps(_rounded(facts), indent=1) + "\n")
        print(f"written: bench.md, bench.json and bench.png in {os.path.relpath(output)}")
    missed = [line.what for line in lines if line.met is False]
    print("every bar is met" if not missed else f"missed: {'; '.join(missed)}")
    return 1 if missed and plan is not QUICK else 0


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value


def main() -> int:
    """The program. 0: measured, every bar met; 1: a bar missed, or it failed; 130 and 143: interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="small numbers, a minute or so, to try it out")
    parser.add_argument("--output", type=Path, help="the folder to write to (docs/bench; none with --quick)")
    options = parser.parse_args()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _terminated)
    # In the background of a script it is ignored, by the engine's programs too: each command would then take five
    # seconds more, after which the engine kills those that it has asked to end.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        return measure(QUICK if options.quick else Plan(), options.output or (None if options.quick else OUTPUT))
    except (BenchError, engine.EngineError) as error:
        print(f"\nThe benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nInterrupted; everything is stopped and removed.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
