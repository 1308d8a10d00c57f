"""A report for people: as a table in the terminal, as Markdown, as a chart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median

from rich.table import Table
from rich.text import Text

from bench.report import Goal, Report

STYLES = ("cyan", "green", "yellow", "magenta")


def table(report: Report) -> Table:
    """Return medians of every peer side by side, and how the subject stands to each."""
    heads, rows = _cells(report)
    drawn = Table(title=report.title, title_justify="left", title_style="bold")
    for number, head in enumerate(heads):
        drawn.add_column(head, justify="right" if number else "left")
    for row in rows:
        drawn.add_row(*row)
    return drawn


def goals(report: Report) -> Iterator[Text]:
    """Yield a line for each goal."""
    for goal in report.goals:
        verdict = Text("✓ ", "green") if goal.met else Text("✗ ", "bold red")
        yield verdict.append(_goal(goal), "default")


def markdown(report: Report) -> str:
    """Return the report as a section of Markdown."""
    heads, rows = _cells(report)
    lines = [f"## {report.title}", "", f"`{report.command}`", ""]
    lines += [_row(heads), _row(["---", *["---:"] * (len(heads) - 1)])]
    lines += [_row(row) for row in rows]
    lines += ["", *(f"- {'met' if goal.met else 'MISSED'}: {_goal(goal)}" for goal in report.goals)]
    lines += [f"- {note}" for note in report.notes]
    return "\n".join(lines) + "\n"


def chart(report: Report, path: Path) -> bool:
    """Draw the medians as an SVG; returns False if matplotlib is not installed."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        return False
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.subplots()
    width = 0.8 / len(report.peers)
    for number, peer in enumerate(report.peers):
        found = [(at, report.sample(case, peer)) for at, case in enumerate(report.cases)]
        drawn = [(at, median(sample.seconds)) for at, sample in found if sample]
        places = [at + number * width for at, _ in drawn]
        axes.bar(places, [value for _, value in drawn], width, label=peer)
    middle = 0.4 - width / 2
    axes.set_xticks([at + middle for at in range(len(report.cases))], report.cases)
    axes.set_ylabel("seconds")
    axes.set_title(report.title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    figure.savefig(path, metadata={"Date": None})
    return True


def _cells(report: Report) -> tuple[list[str], list[list[str]]]:
    rivals = [peer for peer in report.peers if peer != report.subject]
    with_cpu = all(value >= 0 for sample in report.samples for value in sample.cpu)
    heads = ["", *(f"{peer} s" for peer in report.peers)]
    heads += [f"{peer} CPU s" for peer in report.peers if with_cpu]
    heads += [f"{report.subject} : {rival}" for rival in rivals]
    rows = []
    for case in report.cases:
        found = [report.sample(case, peer) for peer in report.peers]
        row = [case, *(f"{median(s.seconds):.3f}" if s else "" for s in found)]
        row += [f"{median(s.cpu):.2f}" if s else "" for s in found if with_cpu]
        ratios = [report.ratio(case, report.subject, rival) for rival in rivals]
        rows.append(row + ["" if ratio is None else _times(ratio) for ratio in ratios])
    return heads, rows


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio > 0.5 else f"1 / {1 / ratio:.1f}" if ratio else "0"


def _goal(goal: Goal) -> str:
    return (
        f"{goal.what}: {goal.measured:.3g}, promised {'at most' if goal.at_most else 'at least'} "
        f"{goal.limit:g}"
    )


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"
