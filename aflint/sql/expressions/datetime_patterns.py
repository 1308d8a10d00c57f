"""Patterns of dates and times, as Java's DateTimeFormatter has them: written and read."""

from __future__ import annotations

import re

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter
from aflint.sql.types import text

_TOKEN = re.compile(r"'((?:[^']|'')*)'|(([A-Za-z])\3*)|([^A-Za-z'\[\]{}#]+)")
_MONTHS = "Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec"


def zoned(local: str, name: str, emit: Emitter) -> str:
    """Return the moment that a TIMESTAMP is on the clocks of a zone, by the SQL of its name. Of an
    hour that comes twice it is the first, as in Java: DuckDB takes the second.
    """
    if name in ("'UTC'", "'Z'", "'Etc/UTC'") or name.startswith("'GMT"):
        return f"timezone({name}, {local})"
    again = "to_minutes(30)" if name == "'Australia/Lord_Howe'" else "to_hours(1)"
    if not name.startswith("'"):
        again = f"CASE {name} WHEN 'Australia/Lord_Howe' THEN to_minutes(30) ELSE to_hours(1) END"

    def first(clock: str) -> str:
        last = f"timezone({name}, {clock})"
        return (
            f"CASE WHEN timezone({name}, {last} - {again}) = {clock} THEN {last} - {again} "
            f"ELSE {last} END"
        )

    return emit.once([local], first)


def shifted(local: str, offset: str) -> str:
    """Return the moment that a TIMESTAMP is by clocks that are an offset from UTC, a text."""
    minutes = f"TRY_CAST({offset}[2:3] AS BIGINT) * 60 + TRY_CAST({offset}[-2:] AS BIGINT)"
    behind = f"CASE {offset}[1] WHEN '-' THEN -1 ELSE 1 END * ({minutes})"
    moved = f"CASE {offset} WHEN 'Z' THEN 0 ELSE {behind} END"
    return f"timezone('UTC', {local} - to_minutes({moved}))"


def _tokens(pattern: str) -> list[tuple[str, str]]:
    """Return the pieces of a pattern: ("", literal text) or (letters, "")."""
    found, at = [], 0
    while at < len(pattern):
        token = _TOKEN.match(pattern, at)
        if token is None:
            raise UnsupportedPlanError(f"the pattern of dates {pattern!r}")
        at = token.end()
        if token[2]:
            found.append((token[2], ""))
        elif token[4] is not None:
            found.append(("", token[4]))
        else:
            found.append(("", token[1].replace("''", "'") or "'"))
    return found


def formatted(value: str, pattern: str, time_zone: str, instant: str = "") -> str:
    """Return a TIMESTAMP, which is local, as a pattern writes it. `instant` is the moment that it
    is, for the offset of its zone.
    """
    pieces = [
        text(literal) if literal else _written(value, letters, pattern, time_zone, instant)
        for letters, literal in _tokens(pattern)
    ]
    return f"({' || '.join(pieces) or text('')})"


def _number(sql: str, width: int) -> str:
    return f"lpad(({sql})::VARCHAR, {width}, '0')" if width > 1 else f"({sql})::VARCHAR"


def _written(value: str, letters: str, pattern: str, time_zone: str, instant: str) -> str:
    letter, count = letters[0], len(letters)
    match letter, count:
        case ("y", 2):
            return _number(f"year({value}) % 100", 2)
        case ("y", 1 | 3 | 4):
            digits = _number(f"year({value})", 4 if count == 4 else count)
            plus = f"CASE WHEN year({value}) > 9999 THEN '+' ELSE '' END || " if count == 4 else ""
            return (
                f"CASE WHEN year({value}) < 1 THEN error('aflint does not format years before 1') "
                f"ELSE {plus}CASE WHEN year({value}) > 9999 THEN year({value})::VARCHAR "
                f"ELSE {digits} END END"
            )
        case ("M" | "L", 1 | 2):
            return _number(f"month({value})", count)
        case ("M" | "L", 3 | 4):
            return f"strftime({value}, '{'%b' if count == 3 else '%B'}')"
        case ("d", 1 | 2):
            return _number(f"day({value})", count)
        case ("D", 1 | 3):
            return _number(f"dayofyear({value})", count)
        case ("E", 1 | 2 | 3 | 4):
            return f"strftime({value}, '{'%A' if count == 4 else '%a'}')"
        case ("Q" | "q", 1 | 2):
            return _number(f"quarter({value})", count)
        case ("a", 1):
            return f"strftime({value}, '%p')"
        case ("H", 1 | 2):
            return _number(f"hour({value})", count)
        case ("k", 1 | 2):
            return _number(f"(hour({value}) + 23) % 24 + 1", count)
        case ("h", 1 | 2):
            return _number(f"(hour({value}) + 11) % 12 + 1", count)
        case ("K", 1 | 2):
            return _number(f"hour({value}) % 12", count)
        case ("m", 1 | 2):
            return _number(f"minute({value})", count)
        case ("s", 1 | 2):
            return _number(f"second({value})", count)
        case ("S", size) if size <= 9:
            micros = f"lpad((microsecond({value}) % 1000000)::VARCHAR, 6, '0')"
            return f"rpad({micros}[1:{size}], {size}, '0')"
        case ("V", 2):
            return text(time_zone)
        case ("X" | "x", 2 | 3) | ("Z", 1 | 2 | 3) if instant:
            seconds = f"(epoch_us({value}) - epoch_us({instant})) // 1000000"
            between = ":" if letter in "Xx" and count == 3 else ""
            far = f"abs({seconds})"
            offset = (
                f"CASE WHEN {seconds} < 0 THEN '-' ELSE '+' END || "
                f"{_number(f'{far} // 3600', 2)} || '{between}' || "
                f"{_number(f'{far} // 60 % 60', 2)}"
            )
            return f"CASE {seconds} WHEN 0 THEN 'Z' ELSE {offset} END" if letter == "X" else offset
    raise UnsupportedPlanError(f"{letters} in the pattern of dates {pattern!r}")


_READ = {
    ("y", 4): ("year", "([0-9]{4})"),
    ("M", 2): ("month", "([0-9]{2})"),
    ("M", 1): ("month", "([0-9]{1,2})"),
    ("M", 3): ("name", f"({_MONTHS})"),
    ("L", 2): ("month", "([0-9]{2})"),
    ("d", 2): ("day", "([0-9]{2})"),
    ("d", 1): ("day", "([0-9]{1,2})"),
    ("H", 2): ("hour", "([0-9]{2})"),
    ("H", 1): ("hour", "([0-9]{1,2})"),
    ("h", 2): ("half", "(0[1-9]|1[0-2])"),
    ("h", 1): ("half", "(0?[1-9]|1[0-2])"),
    ("m", 2): ("minute", "([0-9]{2})"),
    ("m", 1): ("minute", "([0-9]{1,2})"),
    ("s", 2): ("second", "([0-9]{2})"),
    ("s", 1): ("second", "([0-9]{1,2})"),
    ("a", 1): ("noon", "(AM|PM|am|pm)"),
    ("X", 3): ("offset", "(Z|[+-][0-9]{2}:[0-9]{2})"),
}


def read(value: str, pattern: str) -> tuple[str, str]:
    """Return the local TIMESTAMP that a pattern reads in a text, NULL where it does not fit; and
    the part of the text that is the offset of its zone, or nothing.
    """
    regex, fields = _regex(pattern)
    if "year" not in fields:
        raise UnsupportedPlanError(f"reading dates without a year, by {pattern!r}")
    whole = text(f"^{regex}$")

    def part(name: str, otherwise: str) -> str:
        if name not in fields:
            return otherwise
        return f"TRY_CAST(regexp_extract({value}, {whole}, {fields[name]}) AS BIGINT)"

    month = part("month", "1")
    if "name" in fields:
        name = f"regexp_extract({value}, {whole}, {fields['name']})"
        month = f"list_position({_MONTHS.split('|')!r}, {name})"
    hour = part("hour", "0")
    if "half" in fields:
        after = (
            f"lower(regexp_extract({value}, {whole}, {fields['noon']})) = 'pm'"
            if ("noon" in fields)
            else "false"
        )
        hour = f"({part('half', '0')} % 12 + CASE WHEN {after} THEN 12 ELSE 0 END)"
    minute, second = part("minute", "0"), part("second", "0")
    good = f"{hour} < 24 AND {minute} < 60 AND {second} < 60"
    made = (
        f"TRY(make_timestamp({part('year', '1970')}, {month}, {part('day', '1')}, {hour}, "
        f"{minute}, ({second})::DOUBLE))"
    )
    if "fraction" in fields:
        digits = f"rpad(regexp_extract({value}, {whole}, {fields['fraction']}), 6, '0')[1:6]"
        made = f"({made} + to_microseconds(TRY_CAST({digits} AS BIGINT)))"
    offset = f"regexp_extract({value}, {whole}, {fields['offset']})" if "offset" in fields else ""
    matches = f"regexp_matches({value}, {whole})"
    return f"CASE WHEN {matches} AND {good} THEN {made} END", offset


def _regex(pattern: str) -> tuple[str, dict[str, int]]:
    """Return a regular expression for what a pattern reads, and the group of each field."""
    tokens, out, fields = _tokens(pattern), [], dict[str, int]()
    for place, (letters, literal) in enumerate(tokens):
        if literal:
            out.append(re.escape(literal))
            continue
        name, group = _READ.get((letters[0], len(letters)), ("", ""))
        if letters[0] == "S" and len(letters) <= 9:
            name, group = "fraction", f"([0-9]{{{len(letters)}}})"
        after = tokens[place + 1][0] if place + 1 < len(tokens) else ""
        if not name or name in fields or (len(letters) == 1 and after and letters != "a"):
            raise UnsupportedPlanError(f"reading {letters} by the pattern of dates {pattern!r}")
        fields[name] = len(fields) + 1
        out.append(group)
    return "".join(out), fields
