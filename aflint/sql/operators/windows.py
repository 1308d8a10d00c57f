"""Window functions."""

from __future__ import annotations

from collections.abc import Callable

from aflint.sql.plan import PlanNode
from aflint.sql.stages import Relation, Stage

OPERATORS: dict[str, Callable[[PlanNode, Stage], Relation]] = {}
