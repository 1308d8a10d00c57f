"""What becomes of rows that are no good in a file or a text: by the mode that they are read in."""

from __future__ import annotations

from collections.abc import Mapping

from aflint.sql.plan import Expression
from aflint.sql.types import text

STRICT = ("DROPMALFORMED", "FAILFAST")
"""Modes other than PERMISSIVE, which is every other word."""
IN_TEXT = (
    "[MALFORMED_RECORD_IN_PARSING.WITHOUT_SUGGESTION] Malformed records are detected in record "
    "parsing. Parse Mode: FAILFAST. To process malformed records as null result, try setting the "
    "option 'mode' as 'PERMISSIVE'. SQLSTATE: 22023"
)
MALFORMED = f"[FAILED_READ_FILE.NO_HINT] Encountered error while reading a file. {IN_TEXT}"


def mode_of(options: Mapping[str, str]) -> str:
    """Return the mode that options ask for."""
    return options.get("mode", "PERMISSIVE").upper()


def judged(
    rows: str,
    bad: str,
    options: Mapping[str, str],
    data: list[Expression],
    shown: str = "line",
    error: str = MALFORMED,
) -> str:
    """Return rows less those that are bad, or failing over them by an `error`, or with the texts of
    these, which are `shown`, as their mode says.
    """
    mode, corrupt = mode_of(options), options["columnnameofcorruptrecord"]
    told = [i for i, each in enumerate(data) if each.name == corrupt]
    if mode not in STRICT and not told:
        return rows
    line = "NULL" if mode in STRICT else f"CASE WHEN {bad} THEN {shown} END"
    items = "".join(f", {line} AS v{place}" for place in told)
    good = "true"
    if mode == "DROPMALFORMED":
        good = f"NOT ({bad})"
    elif mode == "FAILFAST":
        good = f"CASE WHEN {bad} THEN error({text(error)}) ELSE true END"
    return f"SELECT *{items} FROM ({rows}) WHERE {good}"
