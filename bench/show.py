"""A report for people: as a table in the terminal, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator
from statistics import median

from rich.console import Console
from rich.table import Table
from rich.text import Text

from bench.matrix import LIMIT
from bench.report import Goal, Report, Sample


def tell(report: Report, console: Console) -> None:
    """Print a report: its table, its goals, its notes."""
    console.print(table(report))
    for gap in report.gaps:
        console.print(Text(f"{gap.case}, {gap.peer}: {gap.why}", "yellow"))
    for line in goals(report):
        console.print(line)
    for note in report.notes:
        console.print(f"[dim]{note}[/]")


def table(report: Report) -> Table:
    """Return a row for each engine on each case."""
    drawn = Table(title=report.title, title_justify="left", title_style="bold")
    columns = ("", "", "s", "least-most", "CPU s", "MB held", "MB shuffled", f"x {LIMIT}")
    for number, head in enumerate(columns):
        drawn.add_column(head, justify="right" if number > 1 else "left")
    for case in report.cases:
        for peer in report.peers:
            sample = report.sample(case, peer)
            if sample:
                ratio = report.ratio(case, peer, LIMIT)
                drawn.add_row(case, peer, *figures(sample), "" if ratio is None else f"{ratio:.2f}")
        drawn.add_section()
    return drawn


def figures(sample: Sample) -> list[str]:
    """Return seconds, their spread, CPU seconds, MB of memory and MB shuffled, as text."""
    spread = f"{min(sample.seconds):.3f}-{max(sample.seconds):.3f}"
    cpu = median(sample.cpu)
    of_bytes = ["" if n is None else f"{n / 1e6:,.1f}" for n in (sample.memory, sample.shuffled)]
    return [f"{median(sample.seconds):.3f}", spread, f"{cpu:.2f}" if cpu >= 0 else "", *of_bytes]


def goals(report: Report) -> Iterator[Text]:
    """Yield a line for each goal."""
    for goal in report.goals:
        verdict = Text("✓ ", "green") if goal.met else Text("✗ ", "bold red")
        yield verdict.append(_goal(goal), "default")


def markdown(report: Report) -> str:
    """Return the report as a section of Markdown: a row for each case, a column for each peer."""
    rivals = [peer for peer in report.peers if peer != report.subject]
    with_cpu = all(value >= 0 for sample in report.samples for value in sample.cpu)
    heads = ["", *(f"{peer} s" for peer in report.peers)]
    heads += [f"{peer} CPU s" for peer in report.peers if with_cpu]
    heads += [f"{report.subject} : {rival}" for rival in rivals]
    lines = [f"## {report.title}", "", f"`{report.command}`", ""]
    lines += [row(heads), row(["---", *["---:"] * (len(heads) - 1)])]
    for case in report.cases:
        found = [report.sample(case, peer) for peer in report.peers]
        cells = [case, *(f"{median(s.seconds):.3f}" if s else "" for s in found)]
        cells += [f"{median(s.cpu):.2f}" if s else "" for s in found if with_cpu]
        ratios = [report.ratio(case, report.subject, rival) for rival in rivals]
        lines.append(row(cells + ["" if ratio is None else _times(ratio) for ratio in ratios]))
    gaps = (f"{gap.case}, {gap.peer}: {gap.why}" for gap in report.gaps)
    lines += ["", *(f"- {told}" for told in (*told_goals(report), *gaps, *report.notes))]
    return "\n".join(lines) + "\n"


def told_goals(report: Report) -> Iterator[str]:
    """Yield a sentence for each goal."""
    return (f"{'met' if goal.met else 'MISSED'}: {_goal(goal)}" for goal in report.goals)


def row(cells: list[str]) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cells)} |"


def _times(ratio: float) -> str:
    return f"{ratio:.2f}" if ratio > 0.5 else f"1 / {1 / ratio:.1f}" if ratio else "0"


def _goal(goal: Goal) -> str:
    return (
        f"{goal.what}: {goal.measured:.3g}, promised {'at most' if goal.at_most else 'at least'} "
        f"{goal.limit:g}"
    )
