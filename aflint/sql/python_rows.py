"""Python functions called row by row in a task, with PySpark's conversions of values, both ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from aflint.codec import closure
from aflint.sql.arrays import Columns, written
from aflint.sql.batches import Batches, encoded
from aflint.sql.results import Named, row_blocks
from aflint.sql.tasks import connection
from aflint.sql.types import Type


@dataclass(frozen=True, slots=True)
class Function:
    """A Python function of a plan, or several, each called with what the one before returns.

    `commands` are pickled pairs of a function and its type in PySpark; `arguments` says for each
    argument its keyword, or nothing, and which of the columns that functions are given has it.
    """

    commands: tuple[bytes, ...]
    arguments: tuple[tuple[str, int], ...]

    def loaded(self) -> Callable[[Sequence[Any]], Any]:
        """Return what calls it with a row of arguments, for a value as Spark SQL keeps it."""
        from pyspark.util import fail_on_stopiteration

        from aflint.sql.kept import kept

        chain = [closure.loads(command) for command in self.commands]
        first, *others = (fail_on_stopiteration(function) for function, _ in chain)
        kind = chain[-1][1]
        convert = kept(kind)
        internal = kind.toInternal if kind.needConversion() else None
        by_place = [place for keyword, place in self.arguments if not keyword]
        by_name = {keyword: place for keyword, place in self.arguments if keyword}

        def call(row: Sequence[Any]) -> Any:
            named = {keyword: row[place] for keyword, place in by_name.items()}
            value = first(*[row[place] for place in by_place], **named)
            for function in others:
                value = function(value)
            return convert(value if internal is None else internal(value))

        return call


@dataclass(frozen=True)
class RowByRow:
    """Adds a column for each of some functions to batches."""

    functions: tuple[Function, ...]
    arguments: tuple[Named, ...]
    passed: tuple[str, ...]
    results: tuple[tuple[str, Type], ...]

    def __call__(self, partition: int, batches: Iterator[bytes]) -> Iterator[bytes]:
        calls = [function.loaded() for function in self.functions]
        for batch in batches:
            made = []
            for rows in row_blocks([batch], self.arguments):
                values = [tuple([call(row) for call in calls]) for row in rows]
                made.append(written(self.results, len(rows), list(zip(*values, strict=True))))
            yield from _beside(batch, self.passed, made, self.results)


def _beside(
    batch: bytes, passed: tuple[str, ...], made: list[bytes], results: Columns
) -> Iterator[bytes]:
    """Yield the rows of a batch, each with that of the same place in what was made of them."""
    cursor = connection()
    try:
        cursor.register("given", Batches([batch]))
        cursor.register("made", Batches(made))
        columns = ", ".join([*passed, *(column for column, _ in results)])
        yield from encoded(cursor, f"SELECT {columns} FROM given POSITIONAL JOIN made")
    finally:
        cursor.close()
