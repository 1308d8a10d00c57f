"""Functions that queries call and DuckDB has not: few rows need them, or no SQL says the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, wraps
from typing import Any

CSV_FIELDS = "aflint_csv_fields"
STRICT_JSON = "aflint_strict_json"
JAVA_JSON = "aflint_java_json"
RAW_JSON = "aflint_raw_json"
HASHES = "aflint_hash_"
"""What the names of hashes begin with: of a function, and of the kind of values."""
TEXTS = "aflint_text_"
"""What the names of the functions of `text_functions` begin with."""

ZONE = "aflint_zone"
"""The function that gives DuckDB's name of a time zone that Java knows, and NULL for others."""


def register(connection: Any, query: str) -> None:
    """Have the functions that a query calls known to the database."""
    if "getvariable('partition')" in query:
        from aflint.sql import spark_random  # which few queries need

        spark_random.register(connection, query)
    functions = _FUNCTIONS
    if HASHES in query:
        functions = functions | _hashes()
    if TEXTS in query:
        functions = functions | _texts()
    if ZONE in query and ZONE not in _known:
        functions = functions | {ZONE: (_of_nothing(_zone(connection)), [_TEXT], _TEXT)}
    for name, (function, arguments, result) in functions.items():
        if name in query and name not in _known:
            # What is given NULL gives it; but a function may make it of something else, too
            connection.create_function(name, function, arguments, result, null_handling="special")
            _known.add(name)


_known: set[str] = set()


def _texts() -> dict[str, tuple[Any, list[Any], Any]]:
    from aflint.sql import text_functions as texts

    return {
        f"{TEXTS}{function.__name__}": (_of_nothing(function), arguments, result)
        for function, arguments, result in (
            (texts.crc32, ["BLOB"], "BIGINT"),
            (texts.sha2, ["BLOB", "INTEGER"], _TEXT),
            (texts.soundex, [_TEXT], _TEXT),
            (texts.conv, [_TEXT, "INTEGER", "INTEGER", "BOOLEAN"], _TEXT),
            (texts.re2, [_TEXT, "BOOLEAN", "INTEGER"], _TEXT),
            (texts.re2_replacement, [_TEXT, _TEXT], _TEXT),
            (texts.split, [_TEXT, _TEXT, "INTEGER"], "VARCHAR[]"),
            (texts.zone, [_TEXT], _TEXT),
            (texts.hmac, ["BLOB", "BLOB", _TEXT], "BLOB"),
            (texts.frequent, ["BLOB[]", "BIGINT[]", "INTEGER"], _COUNTED),
            (texts.url_decode, [_TEXT], _TEXT),
            (texts.parse_url, [_TEXT, _TEXT, "BOOLEAN"], _TEXT),
            (texts.parse_url_key, [_TEXT, _TEXT, _TEXT, "BOOLEAN"], _TEXT),
        )
    }


def _zone(connection: Any) -> Callable[[str], str | None]:
    from aflint.sql.text_functions import SHORT_ZONES

    found = connection.execute("SELECT name FROM pg_timezone_names()").fetchall()
    names = frozenset(name for (name,) in found)

    def zone(text: str) -> str | None:
        name = SHORT_ZONES.get(text, text)
        return name if name in names else None

    return zone


def _of_nothing(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that gives NULL where an argument is NULL."""

    @wraps(function)
    def called(*arguments: Any) -> Any:
        return None if None in arguments else function(*arguments)

    return called


def _hashes() -> dict[str, tuple[Any, list[Any], Any]]:
    from aflint.sql.hashing import hashing, murmur3, xxhash64

    kinds = {"int": "INTEGER", "long": "BIGINT", "float": "FLOAT", "double": "DOUBLE"}
    return {
        f"{HASHES}{digest.__name__}_{kind}": (hashing(digest, kind), [held, "BIGINT"], "BIGINT")
        for digest in (murmur3, xxhash64)
        for kind, held in (kinds | {"bytes": "BLOB"}).items()
    }


def _csv_fields(
    line: str | None, separator: str, quote: str, escape: str, trims_left: bool, trims_right: bool
) -> list[str] | None:
    """Return the fields of a record of CSV, quoted so that they are regular."""
    if line is None:
        return None
    style = _style(separator, quote, escape, trims_left, trims_right)
    return [style.quoted(value) for value in style.fields(line)[0]]


@cache
def _style(*parts: Any) -> Any:
    from aflint.sql.csv_records import CsvStyle

    return CsvStyle(*parts)


def _strict_json(text: str | None, words: bool, last: bool) -> str | None:
    from aflint.sql.lenient_json import strict_json

    return None if text is None else strict_json(text, words, last)


def _java_json(text: str | None) -> str | None:
    from aflint.sql.lenient_json import java_json

    return None if text is None else java_json(text)


def _raw_json(text: str | None, name: str) -> str | None:
    from aflint.sql.lenient_json import raw_json

    return None if text is None else raw_json(text, name)


_TEXT, _COUNTED = "VARCHAR", "STRUCT(place BIGINT, count BIGINT)[]"
_FUNCTIONS: dict[str, tuple[Any, list[Any], Any]] = {
    CSV_FIELDS: (_csv_fields, [_TEXT] * 4 + ["BOOLEAN"] * 2, "VARCHAR[]"),
    STRICT_JSON: (_strict_json, [_TEXT, "BOOLEAN", "BOOLEAN"], _TEXT),
    JAVA_JSON: (_java_json, [_TEXT], _TEXT),
    RAW_JSON: (_raw_json, [_TEXT, _TEXT], _TEXT),
}
