"""One workload by every engine: inputs made, engines started, rounds taken in turn."""

from __future__ import annotations

import json
import os
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from bench.engine import Engine, EngineError, EngineProcess, Measured
from bench.measure import AnswersDifferError, check, rotated, round_name
from bench.report import Gap, Goal, Report, Sample
from bench.workload import Job, Matrix, Options, Say

ROUNDS = 3
SUBJECT, LIMIT = "aflint", "hand-written"
_ON_DISK = 4
"""Times the size of its input that a workload may take: that, its shuffle, and what it writes."""
_MADE = "made.json"

Cells = dict[tuple[str, str], list[Measured]]


class SizeError(Exception):
    """A size that cannot be measured here."""


async def measure(matrix: Matrix, engines: Sequence[Engine], options: Options, say: Say) -> Report:
    """Measure a workload on the engines that can do it, and say of the others why they cannot.

    Raises AnswersDifferError, SizeError, and EngineError where an engine is asked for that is not
    there.
    """
    names = [engine.name for engine in engines]
    if unknown := (options.peers or frozenset()) - set(names):
        raise EngineError(f"no engine is called {', '.join(unknown)}; there are {', '.join(names)}")
    count = count_of(matrix, options)
    folder = options.data / f"{matrix.name}-{count}"
    files = inputs(matrix, folder, count, say)
    rounds = options.number_of_rounds(ROUNDS)
    cases = matrix.cases or (matrix.name,)
    gaps: dict[tuple[str, str], str] = {}
    async with AsyncExitStack() as stack:
        running = []
        for engine in engines:
            if not options.wants(engine.name):
                continue
            if why := engine.why_not(matrix.name):
                gaps |= {(case, engine.name): why for case in cases}
                continue
            say(f"starting {engine.name}")
            log = options.logs / f"{engine.name}.log"
            process = EngineProcess(engine, log, options.longest)
            try:
                running.append(await stack.enter_async_context(process))
            except EngineError as error:
                gaps |= {(case, engine.name): str(error) for case in cases}
        cells = await take_turns(matrix, cases, running, files, count, folder, rounds, gaps, say)
    samples = tuple(_sample(*key, found) for key, found in cells.items())
    report = Report(
        matrix.name,
        matrix.title,
        f"python -m bench {matrix.name} --size {'tiny' if options.quick else f'{options.size:g}'}"
        f" --rounds {rounds}",
        tuple(sorted(samples, key=lambda s: (cases.index(s.case), names.index(s.peer)))),
        notes=(f"{_size(folder) / 1e6:,.0f} MB of input",),
        gaps=tuple(Gap(*key, why) for key, why in gaps.items()),
        size=f"{count:,} {matrix.unit}",
    )
    return Report(**{**vars(report), "goals": tuple(goals(matrix, report))})


def count_of(matrix: Matrix, options: Options) -> int:
    """Return how many units to measure. Raises SizeError if that is none."""
    count = matrix.tiny if options.quick else int(matrix.usual * options.size)
    if count < 1:
        raise SizeError(
            f"a size of {options.size:g} is {options.size * matrix.usual:g} "
            f"{matrix.unit}: give more than 0, as --size 0.1, or --size tiny"
        )
    return count


def inputs(matrix: Matrix, folder: Path, count: int, say: Say) -> dict[str, Any]:
    """Return the files of a workload, made where they are not there. Raises SizeError if they, and
    what is made of them, do not fit on the disk.
    """
    made = folder / _MADE
    if made.exists():
        found: dict[str, Any] = json.loads(made.read_text())
        return found
    folder.parent.mkdir(parents=True, exist_ok=True)
    needed, free = count * matrix.unit_bytes * _ON_DISK, shutil.disk_usage(folder.parent).free
    if needed > free:
        raise SizeError(
            f"{count:,} {matrix.unit} need {needed / 1e9:,.1f} GB of disk with "
            f"what is made of them, and {folder.parent} has {free / 1e9:,.1f} free: give a "
            "smaller --size, or another folder with --data"
        )
    say(f"making {count:,} {matrix.unit}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    files = matrix.make(folder, count)
    made.write_text(json.dumps(files))
    return files


async def take_turns(
    matrix: Matrix,
    cases: Sequence[str],
    engines: Sequence[EngineProcess],
    files: Mapping[str, Any],
    count: int,
    folder: Path,
    rounds: int,
    gaps: dict[tuple[str, str], str],
    say: Say,
) -> Cells:
    """Measure each case in rounds, one engine right after the other; write to `gaps` who cannot.

    One round before the first is not counted; in it memory is looked at. Answers are compared in
    each.
    """
    cells: Cells = defaultdict(list)
    for number in range(rounds + 1):
        for case in cases:
            answers = {}
            for engine in rotated(engines, number):
                if (case, engine.name) in gaps:
                    continue
                say(f"{round_name(number, rounds)}: {case}, {engine.name}")
                out = folder / "out"
                shutil.rmtree(out, ignore_errors=True)
                job = Job(matrix.name, case, files, count, str(out))
                try:
                    found = await engine.do(job, memory=not number)
                except EngineError as reason:
                    gaps[case, engine.name] = str(reason)
                    cells.pop((case, engine.name), None)
                    continue
                answers[engine.name] = _answer(matrix, engine.name, found, out)
                shutil.rmtree(out, ignore_errors=True)
                cells[case, engine.name].append(found)
            check(case, answers)
    return cells


def _answer(matrix: Matrix, engine: str, found: Measured, out: Path) -> Any:
    """Return what an engine answered: by its files, where it wrote some."""
    if matrix.digest is None:
        return found.answer
    try:
        return matrix.digest(out)
    except ValueError as error:
        raise AnswersDifferError(f"{engine} wrote a wrong answer: {error}") from None


def goals(matrix: Matrix, report: Report) -> list[Goal]:
    """Return what the figures were meant to be."""
    found = []
    for case in report.cases:
        for peer, limit in matrix.goals.items():
            over, under = (SUBJECT, peer) if peer == LIMIT else (peer, SUBJECT)
            times = report.ratio(case, over, over=under)
            if times is not None:
                said = f"{case}, times {'as long as' if peer == LIMIT else 'as fast as'} {peer}"
                found.append(Goal(said, limit, times, at_most=peer == LIMIT))
    return found


def _sample(case: str, peer: str, found: Sequence[Measured]) -> Sample:
    warm_up, *rounds = found
    seconds, cpu = tuple(each.seconds for each in rounds), tuple(each.cpu for each in rounds)
    return Sample(case, peer, seconds, cpu, warm_up.memory, rounds[-1].shuffled)


def _size(folder: Path) -> int:
    return sum(os.path.getsize(path) for path in folder.rglob("*") if path.is_file())
