"""The readers' chart: time and memory against the log's length and the number of files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from benchmarks.readers_figures import OURS, Measured

#: Inputs that differ in one quantity alone, and how much of it each has.
SERIES: Final = MappingProxyType(
    {
        "commits, no checkpoint": MappingProxyType(
            {"log_1k": 1_000, "log_5k": 5_000, "log_20k": 20_000}
        ),
        "files in the checkpoint": MappingProxyType(
            {"files_100": 100, "files_10k": 10_000, "files_1m": 1_000_000}
        ),
    }
)
_COLOURS: Final = MappingProxyType(
    {
        "ours": "#d1495b",
        "chdb": "#edae49",
        "duckdb": "#66a182",
        "deltalake": "#2e4057",
        "polars": "#8d96a3",
    }
)


def points(
    found: Sequence[Measured], series: Mapping[str, int], peer: str, attribute: str
) -> list[tuple[int, float]]:
    """Return one curve: how much of the quantity, and the peer's local figure."""
    values = {
        each.input: getattr(each, attribute)
        for each in found
        if each.peer == peer and each.where == "local" and not each.unchanged
    }
    return [
        (amount, values[name]) for name, amount in series.items() if values.get(name) is not None
    ]


def draw(found: Sequence[Measured], path: Path, *, caption: str) -> None:
    """Write the chart as PNG: ours against each peer, on the local disk, warm."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(2, 2, figsize=(11, 7.5), layout="constrained")
    for column, (name, series) in enumerate(SERIES.items()):
        _panel(axes[0][column], found, series, "warm_seconds")
        axes[0][column].set(ylabel="seconds, warm", xlabel=name)
        _panel(axes[1][column], found, series, "peak_mib")
        axes[1][column].set(ylabel="peak resident MiB, with imports", xlabel=name)
    axes[0][0].legend()
    figure.suptitle("Reading a Delta table's schema on the local disk, each reader warm")
    figure.supxlabel(caption, fontsize=7)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(axes: Any, found: Sequence[Measured], series: Mapping[str, int], name: str) -> None:
    for peer, colour in _COLOURS.items():
        if curve := points(found, series, peer, name):
            amounts, values = zip(*curve, strict=True)
            width = 2.5 if peer == OURS else 1.5
            axes.plot(amounts, values, "o-", label=peer, color=colour, linewidth=width)
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.grid(visible=True, which="major", alpha=0.3)
