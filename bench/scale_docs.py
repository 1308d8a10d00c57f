"""`python -m bench.scale_docs` writes the tables of docs/scale.md, and its charts, anew.

How well the model does is what `python -m bench scale` found last, if it was run.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Final

from aflint.cost import format_dollars
from aflint.cost.load import JobLoad, Workload, load_of, two_level
from aflint.cost.prices import US_EAST_1
from aflint.cost.simulator import Cloud, Forecast, Level, simulate
from aflint.cost.workloads import MERGE_S, WORKLOADS
from aflint.driver.report import format_seconds
from bench.__main__ import RESULTS
from bench.compare import load
from bench.report import Report

DOCS: Final = Path(__file__).parents[1] / "docs"
PAGE: Final = DOCS / "scale.md"
CHARTS: Final = DOCS / "scale"

FLINT: Final = {
    "Q0": (101, 0.20), "Q1": (190, 0.59), "Q2": (203, 0.68), "Q3": (165, 0.48),
    "Q4": (132, 0.33), "Q5": (159, 0.45), "Q6": (277, 0.56),
}  # fmt: skip
"""Seconds and dollars, from Table I of the paper: 215 GB, 80 concurrent invocations."""

STARLING: Final = (
    (512, 128, False, "$0.057"), (5120, 1280, False, "more than $5"), (5120, 1280, True, "$0.073"),
)  # fmt: skip
"""Map and reduce tasks, whether by two levels, and dollars: from section 4.2 of the paper."""

SKYRISE: Final = (("TPC-H Q12 at 1 TB", 222.3, 284, 19.2, 0.23),)
"""A query, GiB that it scans, functions of 4 vCPUs, seconds, and dollars with those of storage:
from section 5.2 of the paper.
"""

SIDES: Final = (50, 100, 200, 400, 800, 1600, 3200)
"""Map tasks, and as many reduce tasks."""

SHUFFLED: Final = 100e9
"""Bytes of input of the sorts that are compared by their counts of tasks."""

Series = Sequence[tuple[str, Sequence[tuple[float, float]]]]


def main() -> None:
    """Write the page's tables and charts."""
    CHARTS.mkdir(exist_ok=True)
    parts = {
        "flint": _flint(),
        "sorts": _sorts(),
        "published": _published(),
        "transports": _transports(),
    }
    if RESULTS.exists() and "scale" in (results := load(RESULTS)):
        parts["checked"] = _checked(Report.from_json(results["scale"]))
    text = PAGE.read_text()
    for name, lines in parts.items():
        begin, end = f"<!-- model: {name} -->\n", f"<!-- model ends: {name} -->"
        before, _, rest = text.partition(begin)
        after = rest.partition(end)[2]
        text = f"{before}{begin}{chr(10).join(lines)}\n{end}{after}"
    PAGE.write_text(text)


def _checked(report: Report) -> list[str]:
    """Return what `python -m bench scale` found: the sums of it, and each sort."""
    lines = ["| | off by, median | within 20 % |", "| --- | ---: | ---: |"]
    for off, near in zip(report.goals[::2], report.goals[1::2], strict=True):
        what, _, _ = off.what.partition(":")
        lines.append(f"| {what} | {off.measured:.2f} times | {near.measured:g} of {near.limit:g} |")
    return [*lines, "", *(note for note in report.notes if note.startswith("|"))]


def _flint() -> list[str]:
    lines = [
        "| query | Flint s | aflint s | (fast to slow) | Flint $ | aflint $ | (fast to slow) "
        "| bound by |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    theirs, ours = [], []
    for query, (seconds, dollars) in FLINT.items():
        load = load_of(query, WORKLOADS[query], 215e9, concurrency=80)
        low, found, high = _levels(load, Cloud(80))
        lines.append(
            f"| {query} | {seconds} | {found.seconds:.0f} "
            f"| {low.seconds:.0f} to {high.seconds:.0f} "
            f"| {dollars:.2f} | {found.cost.total:.2f} "
            f"| {low.cost.total:.2f} to {high.cost.total:.2f} | {found.limit} |"
        )
        theirs.append(float(seconds))
        ours.append(found.seconds)
    chart = bars(
        "Seconds of a query over 215 GB",
        list(FLINT),
        (("Flint", theirs), ("aflint, by the model", ours)),
    )
    (CHARTS / "flint.svg").write_text(chart)
    return lines


def _sorts() -> list[str]:
    lines = [
        "| sort | functions | shuffle | time | (fast to slow) | dollars | GET | bound by |",
        "| --- | ---: | --- | ---: | ---: | ---: | ---: | --- |",
    ]
    for size, name, functions in ((1e12, "1 TB", 1000), (1e14, "100 TB", 10_000)):
        load = load_of("sort", WORKLOADS["sort"], size, concurrency=functions)
        for transport, levels in (("hybrid", 1), ("s3", 1), ("hybrid", 2)):
            wanted = two_level(load, MERGE_S) if levels == 2 else load
            low, found, high = _levels(wanted, Cloud(functions, transport=transport))
            how = transport + (", two levels" if levels == 2 else "")
            lines.append(
                f"| {name} | {functions:,} | {how} | {format_seconds(found.seconds)} "
                f"| {format_seconds(low.seconds)} to {format_seconds(high.seconds)} "
                f"| {format_dollars(found.cost.total)} | {found.usage.s3_get:,} | {found.limit} |"
            )
    return lines


def _published() -> list[str]:
    """Return what others published of single stages, beside what the model says of as much."""
    lines = ["| what | published | aflint, by the model |", "| --- | --- | --- |"]
    for maps, reduces, two, theirs in STARLING:
        # Blocks of 100 kB: each is one read.
        load = load_of("shuffle", Workload(0.0, shuffled=1.0), maps * reduces * 1e5, maps, reduces)
        wanted = two_level(load, 0.0) if two else load
        stages = simulate(wanted, Cloud(5000, transport="s3")).stages
        asked = sum(stage.requests.gets for stage in stages[1:])
        lines.append(
            f"| Starling: reads of a shuffle of {maps:,} x {reduces:,}"
            f"{', two levels' if two else ''} | {theirs} "
            f"| {format_dollars(asked * US_EAST_1.s3_get)} |"
        )
    for query, size, functions, seconds, dollars in SKYRISE:
        load = load_of("scan", WORKLOADS["scan"], size * 2**30, functions)
        low, found, high = _levels(load, Cloud(functions))
        lines.append(
            f"| Skyrise: {query}, {size} GiB, {functions} functions | {seconds} s, ${dollars} "
            f"| a scan: {found.seconds:.1f} s ({low.seconds:.1f} to {high.seconds:.1f}), "
            f"{format_dollars(found.cost.total)} |"
        )
    return lines


def _transports() -> list[str]:
    lines = [
        "| M x R | sqs $ | s3 $ | hybrid $ | hybrid, two levels $ "
        "| sqs s | s3 s | hybrid s | hybrid, two levels s |",
        "| ---: " * 9 + "|",
    ]
    ways = {"sqs": 1, "s3": 1, "hybrid": 1, "hybrid, two levels": 2}
    series: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for side in SIDES:
        load = load_of("sort", WORKLOADS["sort"], SHUFFLED, side, side)
        found = {}
        for way, levels in ways.items():
            wanted = two_level(load, MERGE_S) if levels == 2 else load
            found[way] = simulate(wanted, Cloud(transport=way.partition(",")[0]))
            series[way].append((side, found[way].cost.total))
        dollars = " | ".join(f"{each.cost.total:.2f}" for each in found.values())
        seconds = " | ".join(f"{each.seconds:.0f}" for each in found.values())
        lines.append(f"| {side:,} x {side:,} | {dollars} | {seconds} |")
    (CHARTS / "transports.svg").write_text(
        curves(
            "Dollars of a sort of 100 GB, by map tasks (and as many reduce tasks)",
            list(series.items()),
        )
    )
    return lines


def _levels(load: JobLoad, cloud: Cloud) -> Iterator[Forecast]:
    levels: tuple[Level, ...] = ("low", "likely", "high")
    return (simulate(load, cloud, level) for level in levels)


# ---- charts, as SVG

COLORS: Final = ("#c0504d", "#1f77b4", "#2e8b57", "#8064a2")
WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 760, 360, 60, 40, 50


def bars(title: str, names: Sequence[str], series: Sequence[tuple[str, Sequence[float]]]) -> str:
    """Return bars side by side, a group for each name."""
    most = max(max(values) for _, values in series)
    height, step = HEIGHT - BOTTOM - TOP, (WIDTH - LEFT - 20) / len(names)
    wide = step * 0.8 / len(series)
    parts = []
    for number, (_, values) in enumerate(series):
        for place, value in enumerate(values):
            tall = value / most * height
            x, y = LEFT + place * step + number * wide, HEIGHT - BOTTOM - tall
            parts.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{wide:.1f}" height="{tall:.1f}" '
                f'fill="{COLORS[number]}"/>'
            )
            parts.append(_text(x + wide / 2, y - 4, f"{value:.0f}", "middle"))
    for place, name in enumerate(names):
        parts.append(_text(LEFT + (place + 0.4) * step, HEIGHT - BOTTOM + 18, name, "middle"))
    return _svg(title, [name for name, _ in series], parts)


def curves(title: str, series: Series) -> str:
    """Return lines over two axes that are both logarithmic."""
    xs = [x for _, points in series for x, _ in points]
    ys = [y for _, points in series for _, y in points]

    def across(x: float) -> float:
        share = math.log(x / min(xs)) / math.log(max(xs) / min(xs))
        return LEFT + share * (WIDTH - LEFT - 40)

    def up(y: float) -> float:
        share = math.log(y / min(ys)) / math.log(max(ys) / min(ys))
        return HEIGHT - BOTTOM - share * (HEIGHT - BOTTOM - TOP)

    parts = []
    for number, (_, points) in enumerate(series):
        path = " ".join(f"{across(x):.1f},{up(y):.1f}" for x, y in points)
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{COLORS[number]}" stroke-width="2"/>'
        )
    for x in sorted(set(xs)):
        parts.append(_text(across(x), HEIGHT - BOTTOM + 18, f"{x:,.0f}", "middle"))
    power = 10.0 ** math.ceil(math.log10(min(ys)))
    while power <= max(ys):
        parts.append(_text(LEFT - 6, up(power) + 4, f"${power:,.0f}", "end"))
        power *= 10
    return _svg(title, [name for name, _ in series], parts)


def _svg(title: str, names: Sequence[str], parts: Sequence[str]) -> str:
    legend = []
    for number, name in enumerate(names):
        x = LEFT + number * 170
        legend.append(f'<rect x="{x}" y="28" width="10" height="10" fill="{COLORS[number]}"/>')
        legend.append(_text(x + 15, 37, name, "start"))
    body = "\n".join([_text(LEFT, 18, title, "start"), *legend, *parts])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'font-family="sans-serif" font-size="12">\n'
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n{body}\n</svg>\n'
    )


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


if __name__ == "__main__":
    main()
