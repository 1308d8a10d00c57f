"""The soak for people: a table in Markdown, and a chart."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.soak.verdict import Sample, Trend

_HEADS = ("", "when", "first quarter", "second", "last", "least", "most", "slope an hour")
_DRAWN = ("driver MB", "workers MB", "objects", "file descriptors", "processes", "files")
_COLOURS = {"between": "tab:blue", "idle": "tab:orange", "within": "tab:gray"}


def table(found: Sequence[Trend]) -> str:
    """Return a row for each figure, in Markdown."""
    lines = [_row(_HEADS), _row(["---", "---", *["---:"] * (len(_HEADS) - 2)])]
    for trend in found:
        values = (
            trend.first_quarter,
            trend.second_quarter,
            trend.last_quarter,
            trend.least,
            trend.most,
        )
        cells = [f"{value:,.1f}".removesuffix(".0") for value in values]
        lines.append(_row([trend.what, trend.where, *cells, f"{trend.slope_per_hour:+,.1f}"]))
    return "\n".join(lines) + "\n"


def chart(samples: Sequence[Sample], title: str, path: Path) -> bool:
    """Draw the figures over time as an SVG; returns False if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(9, 8), layout="constrained")
    every = figure.subplots(len(_DRAWN), 1, sharex=True)
    for what, axes in zip(_DRAWN, every, strict=True):
        for where, colour in _COLOURS.items():
            points = [(s.at_s / 60, s.held[what]) for s in samples if s.where == where]
            minutes, values = [at for at, _ in points], [value for _, value in points]
            axes.plot(minutes, values, ".", markersize=3, color=colour, label=where)
        axes.set_title(what, loc="left", fontsize="small")
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
    figure.legend(*every[0].get_legend_handles_labels(), loc="upper right", ncols=3, frameon=False)
    every[-1].set_xlabel("minutes")
    figure.suptitle(title, x=0.01, ha="left")
    figure.savefig(path, metadata={"Date": None})
    return True


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
