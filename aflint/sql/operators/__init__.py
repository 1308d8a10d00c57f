"""The steps of a physical plan as SQL: an allow-list, a table for each family.

A family is a module with a table `OPERATORS`: from the name of a step's class in Catalyst to a
function that is given the step and the stage that it is part of, and returns its SELECT.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from aflint.sql.operators import (
    aggregates,
    basic,
    exchanges,
    generators,
    joins,
    leaves,
    python,
    recursion,
    samples,
    sessions,
    windows,
)
from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage

OPERATORS: Mapping[str, Callable[[PlanNode, Stage], Relation]] = {
    name: write
    for family in (
        *(aggregates, basic, exchanges, generators, joins, leaves, python, recursion, samples),
        *(sessions, windows),
    )
    for name, write in family.OPERATORS.items()
}
