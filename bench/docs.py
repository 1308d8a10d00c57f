"""The figures and charts of docs/benchmarks.md, from the results of a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median
from typing import Any

from bench import show
from bench.matrix import LIMIT
from bench.registry import ENGINES, MATRICES, WORKLOADS
from bench.report import Report, Sample
from bench.show import row, told_goals

BEGIN = "<!-- figures: python -m bench docs -->"
"""What stands behind it is written anew."""
CHARTS = {"seconds": "Seconds", "cpu": "CPU seconds"}
_MACHINE = "{processor}, {cpus} CPUs, Python {python}"

Told = tuple[Report, Mapping[str, Any]]
"""A report, and the machine that it is true of."""


def write(results: Mapping[str, Any], folder: Path) -> None:
    """Rewrite what stands behind the mark in benchmarks.md, the charts, and benchmarks.json."""
    page = folder / "benchmarks.md"
    before, _, _ = page.read_text().partition(BEGIN)
    page.write_text(f"{before}{BEGIN}\n\n{figures(results)}\n")
    (folder / "benchmarks.json").write_text(json.dumps(results) + "\n")
    reports = [report for report, _ in _by_engines(results)]
    for field, title in CHARTS.items():
        chart(
            reports,
            field,
            f"{title}, times those of the {LIMIT} program",
            folder / f"benchmarks-{field}.svg",
        )


def figures(results: Mapping[str, Any]) -> str:
    """Return the figures: every engine's in common tables, then a section for each other report."""
    found = _by_engines(results)
    lines = ["## Every engine", "", *_tables([report for report, _ in found]), *_told(found)]
    for report, machine in _of_their_own(results):
        lines += [show.markdown(report), _run(machine), ""]
    return "\n".join(lines).rstrip()


def _by_engines(results: Mapping[str, Any]) -> list[Told]:
    return _reports(results, [matrix.name for matrix in MATRICES])


def _of_their_own(results: Mapping[str, Any]) -> list[Told]:
    engines = {matrix.name for matrix in MATRICES}
    return _reports(results, [name for name in WORKLOADS if name not in engines])


def _reports(results: Mapping[str, Any], workloads: list[str]) -> list[Told]:
    """Return the reports of some workloads, in their order."""
    found = [(Report.from_json(told), told["machine"]) for told in results.values()]
    found = [(report, machine) for report, machine in found if report.workload in workloads]
    return sorted(found, key=lambda told: workloads.index(told[0].workload))


def _tables(reports: list[Report]) -> Iterator[str]:
    """Yield tables of seconds, of CPU seconds and of memory: a row for each case."""
    names = [e.name for e in ENGINES if any(e.name in report.peers for report in reports)]
    cells: dict[str, Callable[[Sample], str]] = {
        "Median seconds, with half the difference of the slowest and the fastest round": _seconds,
        "CPU seconds of all processes": lambda s: f"{median(s.cpu):.2f}",
        "MB held at most, by all processes": lambda s: _mb(s.memory),
        "MB shuffled, where an engine says": lambda s: _mb(s.shuffled),
    }
    for title, cell in cells.items():
        yield from (f"### {title}", "", row(["", *names]), row(["---", *["---:"] * len(names)]))
        for report in reports:
            for case in report.cases:
                samples = (report.sample(case, name) for name in names)
                yield row(
                    [report.label(case), *(cell(sample) if sample else "-" for sample in samples)]
                )
        yield ""


def _seconds(sample: Sample) -> str:
    half = (max(sample.seconds) - min(sample.seconds)) / 2
    return f"{median(sample.seconds):.3g} ± {half:.2g}"


def _mb(of: int | None) -> str:
    return "" if of is None else f"{of / 1e6:,.1f}"


def _told(found: list[Told]) -> Iterator[str]:
    """Yield the goals, who cannot do what, and how each was run."""
    yield from ("### What was promised", "")
    yield from (f"- {told} ({r.size})" for r, _ in found for told in told_goals(r))
    if whys := _whys(found):
        yield from ("", "### What an engine cannot do", "", row(["", "workloads", "why"]))
        yield row(["---"] * 3)
        yield from (row([name, ", ".join(cases), why]) for (name, why), cases in whys.items())
    yield from ("", "### How it was run", "")
    for report, machine in found:
        yield f"- `{report.command}`, {'; '.join(report.notes)}: {_run(machine)}"
    yield ""
    yield from (f"![{t}](benchmarks-{field}.svg)" for field, t in CHARTS.items())
    yield ""


def _run(machine: Mapping[str, Any]) -> str:
    """Say when a report was made, and on what."""
    return f"{machine['time'][:10]}, {_MACHINE.format(**machine)}, load {machine['load']:.1f}"


def _whys(found: list[Told]) -> dict[tuple[str, str], list[str]]:
    """Return what each engine cannot do, by its reason: what it says itself, whatever was run, and
    what came of a run.
    """
    whys: dict[tuple[str, str], list[str]] = {}
    for engine in ENGINES:
        if engine.left_out:
            whys[engine.name, engine.left_out] = ["all"]
        for workload, why in engine.cannot.items():
            whys.setdefault((engine.name, why), []).append(workload)
    said = {(name, why) for name, why in whys}
    for report, _ in found:
        for gap in report.gaps:
            cannot = whys.setdefault((gap.peer, gap.why), [])
            if (gap.peer, gap.why) not in said and report.workload not in cannot:
                cannot.append(report.workload)
    return whys


def chart(reports: list[Report], field: str, title: str, path: Path) -> None:
    """Draw each engine's figures over the hand-written program's, a line of marks for each case."""
    from matplotlib.figure import Figure

    rows = [(r, c) for r in reports for c in r.cases if r.sample(c, LIMIT)]
    figure = Figure(figsize=(9, 1.2 + 0.3 * len(rows)), layout="constrained")
    axes = figure.subplots()
    for number, engine in enumerate(ENGINES):
        marks = [
            (_over(r.sample(c, engine.name), r.sample(c, LIMIT), field), at)
            for at, (r, c) in enumerate(rows)
        ]
        drawn = [(x, y) for x, y in marks if x]
        if drawn:
            axes.plot(*zip(*drawn, strict=True), "os^vDPX*<>hpd"[number], label=engine.name)
    labels = [report.label(case) for report, case in rows]
    axes.set_yticks(range(len(rows)), labels)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.axvline(1, color="gray", linewidth=0.5)
    axes.set_title(title, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, bbox_to_anchor=(1.01, 1), loc="upper left")
    figure.savefig(path, metadata={"Date": None})


def _over(sample: Sample | None, limit: Sample | None, field: str) -> float:
    if sample is None or limit is None:
        return 0.0
    below = median(getattr(limit, field))
    return median(getattr(sample, field)) / below if below else 0.0
