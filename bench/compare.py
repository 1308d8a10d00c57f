"""Two runs side by side, by the ratio to the hand-written peer: machines differ, ratios do less."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.table import Table

from bench.matrix import LIMIT
from bench.report import Report, Sample

SLOWER = 1.15
"""From which ratio of ratios on something became slower: what rounds differ by is less."""


class ResultsError(Exception):
    """A file that holds no results."""


@dataclass(frozen=True)
class Change:
    """One engine on one case: times as long as the peer, before and now."""

    case: str
    engine: str
    peer: str
    before: float
    after: float

    @property
    def times(self) -> float:
        """How many times as long it takes now."""
        return self.after / self.before

    @property
    def regressed(self) -> bool:
        """Whether it became slower by more than rounds differ."""
        return self.times > SLOWER


def load(path: Path) -> dict[str, Any]:
    """Return the reports of a run by their names. Raises ResultsError."""
    try:
        found: dict[str, Any] = json.loads(path.read_text())
        for name, told in found.items():
            if Report.from_json(told).name != name:
                raise KeyError(name)
    except (OSError, ValueError, TypeError, AttributeError, KeyError) as error:
        raise ResultsError(
            f"{path} holds no results of `python -m bench` ({type(error).__name__}: {error}); "
            "a run writes them with --out"
        ) from None
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return how each engine stands to the hand-written peer in both runs, the worst first.

    Cases without that peer are compared by the first one beside the subject.
    """
    found = [
        change
        for name in after
        if name in before
        for change in _changes(Report.from_json(before[name]), Report.from_json(after[name]))
    ]
    return sorted(found, key=lambda change: -change.times)


def _changes(before: Report, after: Report) -> Iterator[Change]:
    for case in after.cases:
        peer = _peer(after, case)
        for engine in after.peers:
            was, now = (
                report.ratio(case, engine, over=peer) if peer else None
                for report in (before, after)
            )
            if was and now and engine != peer:
                assert peer
                yield Change(after.label(case), engine, peer, was, now)


def _peer(report: Report, case: str) -> str | None:
    there = [peer for peer in report.peers if report.sample(case, peer)]
    if LIMIT in there:
        return LIMIT
    return next((peer for peer in there if peer != report.subject), None)


def table(changes: list[Change]) -> Table:
    """Return the changes for a terminal."""
    drawn = Table(title=f"Slower: more than {SLOWER:g} times", title_justify="left")
    for head in ("", "engine", "times as long as", "before", "now", "change"):
        drawn.add_column(head, justify="left" if head in ("", "engine") else "right")
    for change in changes:
        style = "bold red" if change.regressed else "green" if change.times < 1 / SLOWER else None
        figures = (change.before, change.after, change.times)
        drawn.add_row(
            change.case, change.engine, change.peer, *(f"{f:.2f}" for f in figures), style=style
        )
    return drawn


def spread(sample: Sample) -> float:
    """Return by how much rounds differ, of their median: from the least to the most."""
    middle = median(sample.seconds)
    return (max(sample.seconds) - min(sample.seconds)) / middle if middle else 0.0
