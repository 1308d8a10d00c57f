"""Small charts for the terminal: pure functions from an answer to something that rich prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

EIGHTHS = " ▁▂▃▄▅▆▇█"
PARTS = " ▏▎▍▌▋▊▉█"
WIDTH = 30  # of a bar, so that the whole fits into 80 columns


def chart(name: str, answer: Any) -> RenderableType:
    """Return the answer to a query, drawn as suits it."""
    if name == "Q0":
        return Text(f"  {answer:,} lines", style="bold")
    if name in {"Q1", "Q2", "Q3"}:
        return hours(dict(answer))
    if name == "Q4":
        return shares(answer, (("credit", "card", "cyan"), ("cash", "cash", "green")))
    if name == "Q5":
        return shares(answer, (("yellow", "yellow", "yellow"), ("green", "green", "green")))
    days = [(f"{inches:.1f} in", trips / count, count) for inches, (trips, count) in answer]
    return per_day(days)


def hours(counts: Mapping[int, int], height: int = 6, style: str = "cyan") -> RenderableType:
    """Return 24 upright bars, one an hour, with a scale; hours without trips are empty."""
    most = max(counts.values(), default=0)
    label = len(f"{most:,}")
    lines = [Text()]
    for row in range(height, 0, -1):
        mark = f"{most:,}" if row == height else "0" if row == 1 else ""
        bars = "".join(
            f" {_cell(counts.get(hour, 0), most, height, row) * 2}" for hour in range(24)
        )
        lines.append(Text.assemble(f" {mark:>{label}} ", ("│", "dim"), (bars, style)))
    ticks = "".join(f" {hour:02}" for hour in range(24))
    lines.append(Text(f" {'':>{label}} └{'─' * 72}", style="dim"))
    lines.append(Text(f" {'':>{label}}  {ticks}", style="dim"))
    lines.append(Text(f" {'':>{label}}   {sum(counts.values()):,} trips, by hour of the day"))
    return Group(*lines)


def shares(
    answer: Sequence[tuple[tuple[str, str], int]], kinds: Sequence[tuple[str, str, str]]
) -> RenderableType:
    """Return a bar a month, divided among kinds: each (key, what to call it, style)."""
    counts = dict(answer)
    table = Table.grid(padding=(0, 1))
    for month in sorted({month for month, _ in counts}):
        values = [counts.get((month, key), 0) for key, _, _ in kinds]
        total = sum(values)
        bar, drawn = Text(), 0
        for value, (_, _, style) in zip(values[:-1], kinds, strict=False):
            cells = round(WIDTH * value / total)
            bar.append("█" * cells, style)
            drawn += cells
        bar.append("▒" * (WIDTH - drawn), kinds[-1][2])
        words = Text("  ").join(
            Text(f"{name} {100 * value / total:5.1f}%", style)
            for value, (_, name, style) in zip(values, kinds, strict=True)
        )
        table.add_row(f"  {month}", bar, words, Text(f"{total:>9,}", style="dim"))
    return table


def per_day(rows: Sequence[tuple[str, float, int]], style: str = "blue") -> RenderableType:
    """Return a bar for each (label, trips a day, days)."""
    most = max((value for _, value, _ in rows), default=0)
    table = Table.grid(padding=(0, 1))
    table.add_column(justify="right")
    for label, value, days in rows:
        eighths = round(8 * WIDTH * value / most) if most else 0
        bar = "█" * (eighths // 8) + PARTS[eighths % 8].strip()
        told = f"{value:>9,.0f} trips a day, over {days} day{'s' if days > 1 else ''}"
        table.add_row(f"    {label}", Text(bar.ljust(WIDTH), style=style), Text(told, style="dim"))
    return table


def _cell(value: int, most: int, height: int, row: int) -> str:
    """Return the block that row `row` (1 is the lowest) of a bar shows."""
    eighths = round(8 * height * value / most) if most else 0
    if value and not eighths:
        eighths = 1  # a trip is seen
    return EIGHTHS[max(0, min(8, eighths - 8 * (row - 1)))]
