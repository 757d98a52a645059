"""The picture beside the table."""

from collections.abc import Sequence
from pathlib import Path

from bench.figures import Results
from bench.plan import HOSTS, NAMES, Host, Plan, Run
from bench.simulated import DURATIONS, Simulated, late_bar


def plot(path: Path, plan: Plan, runs: Sequence[Run], simulated: Sequence[Simulated]) -> None:
    """Two panels: wall over the ideal by number of models; how late an end is noticed by duration."""
    import matplotlib as mpl  # noqa: PLC0415 - only where there is something to draw

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415
    from matplotlib.ticker import NullLocator  # noqa: PLC0415

    results = Results(runs)
    bars: list[tuple[str, dict[Host, float]]] = []
    for count, _ in plan.counts:
        ratios: dict[Host, float] = {"own": results.over_ideal("models", "own", count)}
        if count in plan.stock_counts:
            ratios["stock"] = results.over_ideal("models", "stock", count)
        bars.append((f"{count} of {plan.seconds:g} s", ratios))
    count, seconds = plan.waits
    bars.append((f"{count} of {seconds:g} s", {"own": results.over_ideal("waits", "own", count)}))

    colours: dict[Host, str] = {"own": "#2a7f62", "stock": "#c05b3c"}
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for shift, host in ((-0.2, HOSTS[0]), (0.2, HOSTS[1])):
        shown = [(place + shift, ratios[host]) for place, (_, ratios) in enumerate(bars) if host in ratios]
        drawn = left.bar([x for x, _ in shown], [y for _, y in shown], 0.38, color=colours[host], label=NAMES[host])
        left.bar_label(drawn, fmt="%.2f", padding=2, fontsize=9)
    left.axhline(1.0, color="#555555", linewidth=0.8, linestyle="--")
    left.set_yscale("log")
    left.set_ylim(0.8, 2 * max(max(ratios.values()) for _, ratios in bars))
    left.set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
    left.yaxis.set_minor_locator(NullLocator())
    left.set_xticks(range(len(bars)), [name for name, _ in bars])
    left.set_xlabel("models of so many seconds (the last not tried on the stock host)")
    left.set_title("`pulumi up`: wall time over the ideal (lower is better)", fontsize=10)
    left.legend(frameon=False)

    right.plot(
        DURATIONS,
        [late_bar(d, percentages=True) for d in DURATIONS],
        "--",
        color="#555555",
        label="bar with percentages: 2 % or 1 s",
    )
    for each in simulated:
        name = "job tells its percentage" if each.percentages else "job tells no percentage"
        colour = "#2a7f62" if each.percentages else "#3b6fb5"
        right.plot(DURATIONS, [each.late[d] for d in DURATIONS], "o-", markersize=4, color=colour, label=name)
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_xticks([5, 20, 60, 300, 1200], ["5 s", "20 s", "1 min", "5 min", "20 min"])
    right.xaxis.set_minor_locator(NullLocator())
    right.set_yticks([0.5, 2, 10, 60], ["0.5 s", "2 s", "10 s", "60 s"])
    right.yaxis.set_minor_locator(NullLocator())
    right.set_xlabel("duration of the job")
    right.set_title("how late its end is noticed, on average (simulated clock)", fontsize=10)
    right.legend(frameon=False)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
