"""What aggregate functions keep for a group, and what travels between a partial and a final one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aflint.sql.expressions.emitter import cast, filled
from aflint.sql.plan import Expression

TypeOf = Callable[[Expression], str]


@dataclass(frozen=True, slots=True)
class Part:
    """One column that an aggregate keeps for a group.

    `update` is a call over the function's arguments, `{0}`, `{1}` ..., and `merge` one over all of
    its parts as they lie in several rows of one group; rows count only where `where` or
    `merge_where` holds. `type` is the column's type of DuckDB's, `nothing` its value where no row
    counts, by default NULL.
    """

    update: str
    merge: str
    type: str | TypeOf
    where: str = ""
    merge_where: str = ""
    nothing: str = ""

    def kind(self, function: Expression) -> str:
        return self.type if isinstance(self.type, str) else self.type(function)

    def updated(
        self, function: Expression, arguments: list[str], condition: str, over: str = ""
    ) -> str:
        """Return the call over rows that meet a condition, of the input or of a window."""
        update = self.update.replace("{type}", self.kind(function))
        where = filled(self.where, arguments)
        return self._call(
            function,
            filled(update, arguments),
            " AND ".join(filter(None, (condition, where))),
            over,
        )

    def merged(self, function: Expression, parts: list[str]) -> str:
        """Return the call over the parts of a group."""
        return self._call(function, filled(self.merge, parts), filled(self.merge_where, parts))

    def _call(self, function: Expression, call: str, where: str, over: str = "") -> str:
        sql = call + (f" FILTER (WHERE {where})" if where else "") + over
        return cast(
            f"coalesce({sql}, {self.nothing})" if self.nothing else sql, self.kind(function)
        )


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregate function: its parts, its value out of these, by default the first part, and what
    the parts are made of, by default the function's arguments.
    """

    parts: tuple[Part, ...]
    finish: Callable[[Expression, list[str]], str] = lambda function, parts: parts[0]
    arguments: Callable[[Expression, list[str]], list[str]] = lambda function, given: given


def own(function: Expression) -> str:
    """The type of a part that is of the function's own."""
    return function.type.duckdb
