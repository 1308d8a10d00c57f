"""Rows chosen at random: by a seed, the partition and a row's place in it.

Without replacement they are the rows that Spark chooses of the same partitions, and the parts of a
`randomSplit` share no row. With replacement, the same seed gives the same rows, but not Spark's.
"""

from __future__ import annotations

import math
import random

from aflint.sql.expressions.random import uniform
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage

_LEAST = 1e-12
"""Counts less likely than this do not come up in a sample with replacement."""


def _sampled(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(node.child)
    low, high = float(node.fields["lowerBound"]), float(node.fields["upperBound"])
    seed = node.fields["seed"]  # none of a TABLESAMPLE: another sample each time
    place = uniform(int(seed) if seed is not None else random.getrandbits(31))
    if not node.fields["withReplacement"]:
        chosen = f"{place} >= {low!r} AND {place} < {high!r}"
        return Relation(f"SELECT * FROM ({child.sql}) QUALIFY {chosen}", child.columns)
    name = stage.name("copies")
    bounds = ", ".join(map(repr, _poisson(high - low)))
    drawn = f"SELECT *, {place} AS {name} FROM ({child.sql})"
    count = f"len(list_filter([{bounds}], lambda bound: bound <= {name}))"
    columns = ", ".join(child.columns)
    copies = f"SELECT {columns}, unnest(range({count})) FROM ({drawn})"
    return Relation(f"SELECT {columns} FROM ({copies})", child.columns)


def _poisson(mean: float) -> list[float]:
    """Return for each count how likely it or a lower one is."""
    bounds, likely, total, count = [], math.exp(-mean), 0.0, 0
    while True:
        total += likely
        bounds.append(total)
        count += 1
        likely *= mean / count
        if count > mean and likely < _LEAST:
            return bounds


OPERATORS = {"SampleExec": _sampled}
