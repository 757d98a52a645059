"""What comes out of the runs: the table and its bars."""

import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import version
from typing import Final

from bench.outages import RATIO_MAX, Outages
from bench.plan import HOSTS, NAMES, QUICK, Figure, Host, Plan, Run
from bench.simulated import POLLS_MAX, Simulated, late_bar
from bench.startup import Startup

WALL_RATIO_MAX, PREVIEW_RATIO_MAX = 1.05, 1.15

HELP_SECONDS: Final = 0.3


def limited_floor(count: int) -> float:
    """The seconds before which the published 60 a minute let no client send its last deploy."""
    return 60.0 * ((count - 1) // 60)


class Results:
    """The runs, looked at by kind."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._runs = runs

    def of(self, what: str, host: Host, count: int | None = None) -> list[Run]:
        """The runs of a kind."""
        return [run for run in self._runs if (run.what, run.host) == (what, host) and count in (None, run.count)]

    def wall(self, what: str, host: Host, count: int | None = None) -> float:
        """The median wall time of a kind."""
        return statistics.median(run.wall for run in self.of(what, host, count))

    def ideal(self, host: Host, count: int, seconds: float) -> float:
        """The jobs' time and the engine's own."""
        return seconds + self.wall("nothing", host, count)

    def over_ideal(self, what: str, host: Host, count: int) -> float:
        """The median wall time over the ideal."""
        seconds = self.of(what, host, count)[0].job_seconds
        return self.wall(what, host, count) / self.ideal(host, count, seconds)


def figures(
    plan: Plan,
    runs: Sequence[Run],
    startups: Sequence[Startup],
    simulated: Sequence[Simulated],
    outages: Sequence[Outages],
) -> list[Figure]:
    """The table's lines."""
    return [
        *_wall_figures(plan, Results(runs)),
        *_job_figures(plan, Results(runs)),
        *_preview_figures(plan, Results(runs)),
        *(Figure(f"start: {each.what}", f"{each.seconds:.3f} s") for each in startups),
        _help_figure(Results(runs)),
        *_limited_figures(plan, Results(runs)),
        *_simulated_figures(simulated),
        *_outage_figures(outages),
    ]


def _wall_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    counts_of: dict[Host, tuple[int, ...]] = {
        "own": tuple(count for count, _ in plan.counts),
        "stock": plan.stock_counts,
    }
    for host, counts in counts_of.items():
        for count in counts:
            ratio = results.over_ideal("models", host, count)
            wall = results.wall("models", host, count)
            ideal = results.ideal(host, count, plan.seconds)
            barred = host == "own" and count == plan.bar_count
            lines.append(
                Figure(
                    f"{count} models of {plan.seconds:g} s, {NAMES[host]}: wall over the ideal",
                    f"{wall:.1f} s / {ideal:.1f} s = {ratio:.3f}",
                    f"at most {WALL_RATIO_MAX:g}" if barred else "",
                    ratio <= WALL_RATIO_MAX if barred else None,
                )
            )
    count = plan.bar_count
    faster = results.wall("models", "stock", count) / results.wall("models", "own", count)
    lines.append(
        Figure(f"{count} models: faster than the stock host", f"{faster:.1f} times", "at least 15 times", faster >= 15)
    )
    return lines


def _job_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    count, seconds = plan.waits
    (waits,) = results.of("waits", "own")
    assert waits.jobs is not None
    ratio = results.over_ideal("waits", "own", count)
    ideal = results.ideal("own", count, seconds)
    lines.append(
        Figure(
            f"{count} models of {seconds:g} s, this host: wall over the ideal",
            f"{waits.wall:.1f} s / {ideal:.1f} s = {ratio:.2f}; not tried on the stock host",
        )
    )
    at_once = f"{waits.jobs.at_once} jobs at once: this host's peak memory"
    if waits.peak_mb is None:
        lines.append(Figure(at_once, "not measured on this system", "below 150 MB"))
    else:
        lines.append(Figure(at_once, f"{waits.peak_mb:.0f} MB", "below 150 MB", waits.peak_mb < 150))
    for host in HOSTS:
        for run in results.of("models", host, plan.bar_count)[:1]:
            memory = "" if run.peak_mb is None else f"{run.peak_mb:.0f} MB"
            lines.append(Figure(f"{run.count} models, {NAMES[host]}: peak memory", memory or "not measured"))
    kinds: list[tuple[str, Host, int]] = [(("models"), host, plan.bar_count) for host in HOSTS]
    for what, host, each in (*kinds, ("waits", "own", count)):
        measured = [run for run in results.of(what, host, each) if run.jobs]
        jobs = [run.jobs for run in measured if run.jobs]
        late = statistics.fmean(job.late for job in jobs)
        longest = max(job.late_max for job in jobs)
        bar = late_bar(measured[0].job_seconds, percentages=True)
        lines.append(
            Figure(
                f"{each} models of {measured[0].job_seconds:g} s, {NAMES[host]}: a finished job is noticed after",
                f"{late:.2f} s on average, {longest:.2f} s at most",
                f"at most {bar:g} s on average" if host == "own" else "",
                late <= bar if host == "own" else None,
            )
        )
        sent = statistics.fmean(job.requests for job in jobs)
        lines.append(Figure(f"{each} models, {NAMES[host]}: requests for each job, the deploy included", f"{sent:.1f}"))
    return lines


def _preview_figures(plan: Plan, results: Results) -> list[Figure]:
    lines: list[Figure] = []
    for count in (plan.preview_few, plan.preview_count):
        models = results.of("preview models", "own", count)
        for kind, shape in (("nothing", "with one property"), ("wide", "with as many properties as a model")):
            others = results.of(f"preview {kind}", "stock", count)
            ratio = statistics.median(run.wall / other.wall for run, other in zip(models, others, strict=True))
            wall = results.wall("preview models", "own", count)
            other_wall = results.wall(f"preview {kind}", "stock", count)
            barred = kind == "nothing"
            lines.append(
                Figure(
                    f"preview of {count} unchanged models, this host, over as many that do nothing, {shape},"
                    " stock host",
                    f"{wall:.2f} s / {other_wall:.2f} s, median ratio {ratio:.2f}",
                    f"at most {PREVIEW_RATIO_MAX:g}" if barred else "",
                    ratio <= PREVIEW_RATIO_MAX if barred else None,
                )
            )
    for host in HOSTS:
        dev, empty = results.wall("preview dev", host), results.wall("preview empty", host)
        lines.append(
            Figure(
                f"preview of the dev stack unchanged, {NAMES[host]}, beside an empty program's",
                f"{dev:.2f} s, {empty:.2f} s: {dev - empty:+.2f} s",
                "at most 1 s longer",
                dev - empty <= 1.0,
            )
        )
    return lines


def _help_figure(results: Results) -> Figure:
    wall = results.wall("help", "own")
    return Figure("`koreai --help`", f"{wall:.2f} s", f"at most {HELP_SECONDS:g} s", wall <= HELP_SECONDS)


def _limited_figures(plan: Plan, results: Results) -> list[Figure]:
    count, seconds = plan.limited
    (run,) = results.of("limited", "own", count)
    assert run.jobs is not None
    floor = limited_floor(count) + results.ideal("own", count, seconds)
    return [
        Figure(
            f"{count} models under the published limits: answers of 429",
            f"{run.jobs.refused}",
            "0",
            not run.jobs.refused,
        ),
        Figure(
            f"{count} models under the published limits: wall over the floor",
            f"{run.wall:.1f} s / {floor:.1f} s = {run.wall / floor:.3f}",
            "at most 1.1",
            run.wall / floor <= 1.1,
        ),
    ]


def _simulated_figures(simulated: Sequence[Simulated]) -> list[Figure]:
    lines: list[Figure] = []
    for each in simulated:
        kind = "with percentages" if each.percentages else "without percentages"
        bar = "2 % of the duration or 1 s" if each.percentages else "5 % of the duration or 2 s"
        average = statistics.fmean(each.late_over_bar.values())
        worst = max(each.late_over_bar, key=lambda duration: each.late_over_bar[duration])
        lines.append(
            Figure(
                f"simulated, {kind}: how late an end is noticed, over {bar}",
                f"{average:.2f} on average, 5 s to 40 min; {each.late_over_bar[worst]:.2f} at worst, near {worst} s",
                "at most 1 on average",
                average <= 1.0,
            )
        )
        lines.append(
            Figure(
                f"simulated, {kind}: polls for a job of 10 minutes",
                f"{each.polls:.1f} on average, {each.polls_max} at most",
                f"at most {POLLS_MAX}",
                each.polls_max <= POLLS_MAX,
            )
        )
    return lines


def _outage_figures(outages: Sequence[Outages]) -> list[Figure]:
    lines: list[Figure] = []
    for each in outages:
        jobs = f"jobs of {each.undeploy_seconds:g} s and {each.deploy_seconds:g} s"
        what = f"simulated, {len(each.ratios)} updates at once under the published limits, {jobs}"
        worst = max(each.ratios)
        value = f"{worst:.3f} at most, {each.mean:.3f} on average; all done after {each.seconds / 60:.0f} min"
        bar = f"at most {RATIO_MAX:g} for each model"
        lines.append(Figure(f"{what}: time without callers over the jobs' own", value, bar, worst <= RATIO_MAX))
        lines.append(Figure(f"{what}: answers of 429", f"{each.refused}", "0", not each.refused))
    return lines


def table(lines: Sequence[Figure], heading: str) -> str:
    """The figures in Markdown."""
    marks = {True: "yes", False: "**no**", None: ""}
    rows = "".join(f"| {line.what} | {line.value} | {line.bar} | {marks[line.met]} |\n" for line in lines)
    return f"{heading}\n| what | measured | bar | met |\n| --- | --- | --- | --- |\n{rows}"


def heading(plan: Plan, engine_version: str, minutes: float) -> str:
    """What stands above the table: where and how it was measured."""
    runs = ", ".join(f"{times} for {count}" for count, times in plan.counts)
    return f"""# The benchmark

{"`make bench`" if plan is not QUICK else "`python -m bench --quick`: too small for the bars to mean much"}, \
{minutes:.0f} minutes on {os.cpu_count()} cores; Python {platform.python_version()}, engine {engine_version}, \
SDK {version("pulumi")}, grpcio {version("grpcio")}.

The real engine and the emulator, each a process of its own on one machine, state in a file. The ideal is the jobs'
duration plus the engine's own time, which is the same command's with as many resources that do nothing under the same
host. `PULUMI_PARALLEL` is as many as there are resources, and `PULUMI_SKIP_CHECKPOINTS=true` is set: otherwise each
step writes the whole state, which at hundreds of resources takes longer than all else. Where a run was repeated, it is
the median (on this host {runs}; the rest once; {plan.previews} previews of each kind by turns). The models are
declared in a loop. But for the last part the emulator has no rate limits and `koreai:requestsPerMinute` is out of
reach. The floor under the limits is when 60 calls a minute let the last deploy be sent, plus the job and the engine's
own time. The simulated jobs are looked at by the default schedule with the default settings.
"""
