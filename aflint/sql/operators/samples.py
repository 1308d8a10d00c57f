"""Rows chosen at random: by a seed, the partition and a row's place in it.

They are the rows that Spark chooses of the same partitions, and the parts of a `randomSplit` share
no row.
"""

from __future__ import annotations

import random

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.random import poisson, uniform
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage

_MOST_COPIES = 40
"""From this mean on Spark draws counts in another way."""


def _sampled(node: PlanNode, stage: Stage) -> Relation:
    child = stage.relation(node.child)
    low, high = float(node.fields["lowerBound"]), float(node.fields["upperBound"])
    given = node.fields["seed"]  # none of a TABLESAMPLE: another sample each time
    seed = int(given) if given is not None else random.getrandbits(31)
    if not node.fields["withReplacement"]:
        place = uniform(seed)
        chosen = f"{place} >= {low!r} AND {place} < {high!r}"
        return Relation(f"SELECT * FROM ({child.sql}) QUALIFY {chosen}", child.columns)
    if high - low >= _MOST_COPIES:
        raise UnsupportedPlanError(
            f"sample with replacement of a fraction of {_MOST_COPIES} or more",
            instead="Take a union of several samples.",
        )
    if high <= low:
        return Relation(f"SELECT * FROM ({child.sql}) WHERE false", child.columns)
    name = stage.name("copies")
    drawn = f"SELECT *, {poisson(seed, high - low)} AS {name} FROM ({child.sql})"
    columns = ", ".join(child.columns)
    copies = f"SELECT {columns}, unnest(range({name})) FROM ({drawn})"
    return Relation(f"SELECT {columns} FROM ({copies})", child.columns)


OPERATORS = {"SampleExec": _sampled}
