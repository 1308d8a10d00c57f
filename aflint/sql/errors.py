"""What SQL refuses before anything runs."""

from __future__ import annotations

import re

from aflint.errors import (
    AflintError,
    CorruptInputError,
    JobError,
    OutOfMemoryError,
    PathNotFoundError,
    UnreadableInputError,
)


class UnsupportedPlanError(AflintError):
    """A query that aflint does not run: `what` in it is refused, and what to do `instead`.

    `node` is the step of the physical plan that it is in, where that is known.
    """

    def __init__(self, what: str, node: str = "", instead: str = "") -> None:
        self.what, self.node, self.instead = what, node, instead
        where = f", in {node}," if node else ""
        super().__init__(
            f"aflint does not run {what}{where} yet. "
            + (instead or "Write the query without it, or run this part on Spark.")
        )

    def __reduce__(self) -> tuple[object, ...]:
        return (UnsupportedPlanError, (self.what, self.node, self.instead))

    def within(self, node: str) -> UnsupportedPlanError:
        """Return this error naming a step of the plan, if it does not yet."""
        return self if self.node else UnsupportedPlanError(self.what, node, self.instead)


class QueryError(JobError):
    """A query failed over its own data, as by a division by zero under ANSI.

    The message begins with Spark's class of the error, in brackets, where Spark has one.
    """

    @property
    def error_class(self) -> str:
        """Spark's class of the error, such as DIVIDE_BY_ZERO, or nothing."""
        found = re.match(r"\[([A-Z_.]+)\]", str(self))
        return found[1] if found else ""


class DateOutOfRangeError(AflintError, ValueError):
    """A date or time that is collected is before or after all of Python's: a ValueError, as on
    Spark.
    """

    def __init__(self, value: str) -> None:
        self.value = value
        super().__init__(
            f"the year of {value} is out of range: Python has the years 1 to 9999. Cast it to a "
            "string first"
        )


def unread(error: BaseException) -> BaseException:
    """Return the error for a file that could not be read, of Spark's class, or the one given."""
    if isinstance(error, PathNotFoundError):
        return QueryError(f"[FAILED_READ_FILE.FILE_NOT_EXIST] {error}")
    if isinstance(error, CorruptInputError | UnreadableInputError):
        return QueryError(f"[FAILED_READ_FILE.NO_HINT] Encountered error while reading: {error}")
    return error


_CLASSES = (
    (r"No files found that match|Cannot open file", "FAILED_READ_FILE.FILE_NOT_EXIST"),
    (
        r"No magic bytes|too small to be a Parquet file|Failed to read Parquet|Footer length error"
        r"|TProtocolException",
        "FAILED_READ_FILE.CANNOT_READ_FILE_FOOTER",
    ),
    (r"Failed to read file|decompression failure", "FAILED_READ_FILE.NO_HINT"),
    # Of decimals: their digits are integers of 128 bits
    (
        r"Overflow in \w+ of (DECIMAL|U?INT128)|Type UINT128 with value"
        r"|Casting value .* to type DECIMAL|Could not (cast value|convert string) .* to DECIMAL",
        "NUMERIC_VALUE_OUT_OF_RANGE",
    ),
    # No type of Spark's has 128 bits: it is a sum that is cast.
    (r"Overflow in|Out of Range Error|Type INT128 with value", "ARITHMETIC_OVERFLOW"),
    (r"out of range for the destination type", "CAST_OVERFLOW"),
    (
        r"Could not convert string|Could not cast value|invalid .* field format",
        "CAST_INVALID_INPUT",
    ),
)


_TOO_MANY_ROWS = (
    "[SCALAR_SUBQUERY_TOO_MANY_ROWS] More than one row returned by a subquery used as an "
    "expression. SQLSTATE: 21000"
)


_FAULTS = (
    "Binder Error",
    "Parser Error",
    "Catalog Error",
    "Not implemented Error",
    "INTERNAL Error",
)
"""How DuckDB's errors begin that no data cause, but only what is asked of it."""


def explained(message: str) -> QueryError:
    """Return the error for what DuckDB has said."""
    own = re.search(r"\[[A-Z_.]+\] .*", message, re.DOTALL)
    if own:  # one of Spark's own, which the query was written to raise
        return QueryError(own[0])
    if "More than one row returned by a subquery" in message:
        return QueryError(_TOO_MANY_ROWS)
    for pattern, name in _CLASSES:
        if re.search(pattern, message):
            return QueryError(f"[{name}] {message}")
    if message.startswith(_FAULTS):
        return QueryError(
            "aflint wrote this query in a way that DuckDB does not take, which is aflint's fault: "
            f"please report it, and say the part that is named here in another way. {message}"
        )
    return QueryError(message)


def out_of_memory(message: str) -> OutOfMemoryError:
    """Return the error for what DuckDB has said of a task that needs more memory than it has, or
    more room to spill. Another attempt has a larger function, where there is one.
    """
    said = message.split("\n\n")[0].removeprefix("Out of Memory Error: ")  # advice is below
    return OutOfMemoryError(
        f"a query needs more memory than its task has, or more room on its disk to spill: {said}"
    )


class JavaEndedError(AflintError):
    """The JVM that plans queries has ended, and what it knew of is lost."""
