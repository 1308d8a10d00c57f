"""Why an engine has no program for a workload: what its cell says."""

from __future__ import annotations

from collections.abc import Mapping

Reasons = Mapping[str, str]
"""By workload."""

_ONE_FITS = "a bag joins with one that fits into memory only"

DASK_BAG: Reasons = {
    "sort": "a bag cannot be sorted",
    **dict.fromkeys(("join", "pagerank", "components"), _ONE_FITS),
}

DASK_FRAME: Reasons = {
    "taxi": "lines of six layouts in one file are no table (Dask bag reads them)",
    "empty-tasks": "tasks are no frame's: Dask bag's cell has the scheduler's figure",
    "k-means": "numpy's functions of a partition are no frame's: see Dask bag",
}

LITHOPS: Reasons = {
    **dict.fromkeys(
        ("sort", "group-by", "join", "pagerank", "components"),
        "no shuffle: whatever functions return goes to one place",
    ),
    "six-sides": "functions keep nothing between calls",
}

RAY_DATA: Reasons = dict.fromkeys(
    ("pagerank", "components"),
    "its join needs an actor for each partition, and two CPUs hold two",
)

SQL: Reasons = {
    "k-means": "SQL has no numpy",
    "empty-tasks": "no tasks: it is given a query, and cuts that itself",
}

TUPLEX = (
    "left out: its compiled integers overflow without an error and it reads some floats otherwise "
    "than Python does, so that a figure of it would be one of other answers"
)
"""Of every workload."""
