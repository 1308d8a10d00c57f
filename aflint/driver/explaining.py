"""How a program that is explained tells what its jobs were predicted to come to."""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from aflint.cost.prediction import PredictedJob

EXPLAIN_VARIABLE: Final = "AFLINT__EXPLAIN"
"""Names the file to which a program's sessions write; they sample its jobs, and run none."""


def explained_to(environ: Mapping[str, str] = os.environ) -> Path | None:
    """Return the file that predictions are written to, where this program is to be explained."""
    target = environ.get(EXPLAIN_VARIABLE)
    return Path(target) if target else None


def write(target: Path, job: PredictedJob) -> None:
    """Add a job: each by itself, so that those before an error are there."""
    with target.open("ab") as file:
        pickle.dump(job, file)


def read(target: Path) -> Iterator[PredictedJob]:
    """Yield the jobs of a program, in the order in which they were predicted."""
    with target.open("rb") as file:
        while True:
            try:
                yield pickle.load(file)
            except EOFError:
                return
