"""Dates and times."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions import datetime_patterns as patterns
from aflint.sql.expressions.decimals import scaled
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.plan import Expression
from aflint.sql.python_functions import TEXTS
from aflint.sql.text_functions import zone
from aflint.sql.types import decimal, text

_DAY = 86_400_000_000
_DAYS = {
    day: number
    for number, names in enumerate(
        ("MO MON MONDAY", "TU TUE TUESDAY", "WE WED WEDNESDAY", "TH THU THURSDAY",
         "FR FRI FRIDAY", "SA SAT SATURDAY", "SU SUN SUNDAY"), 1)
    for day in names.split()
}  # fmt: skip
_UNITS = {
    name: unit
    for unit, names in {
        "year": "YEAR YYYY YY",
        "quarter": "QUARTER",
        "month": "MONTH MON MM",
        "week": "WEEK",
        "day": "DAY DD",
        "hour": "HOUR",
        "minute": "MINUTE",
        "second": "SECOND",
        "millisecond": "MILLISECOND",
        "microsecond": "MICROSECOND",
    }.items()
    for name in names.split()
}
_DATE_UNITS = ("year", "quarter", "month", "week")
_MICROS = {
    "MICROSECOND": 1,
    "MILLISECOND": 1000,
    "SECOND": 1_000_000,
    "MINUTE": 60_000_000,
    "HOUR": 3_600_000_000,
    "DAY": _DAY,
    "WEEK": 7 * _DAY,
}
_TIMES = tuple(f"interval {unit}" for unit in ("day", "hour", "minute", "second"))
_MONTHS = {"MONTH": 1, "QUARTER": 3, "YEAR": 12}


def _local(expression: Expression, emit: Emitter) -> str:
    """Return a date or time as a TIMESTAMP on the clocks of the session."""
    sql = emit(expression)
    if expression.type.name == "timestamp":
        return f"timezone({text(emit.time_zone)}, {sql})"
    return cast(sql, "TIMESTAMP")


def _zone(name: Expression, emit: Emitter) -> str:
    """Return the SQL of a time zone's name for DuckDB."""
    if name.kind != "Literal":
        return f"{TEXTS}zone({emit(name)})"
    return text(zone(str(name.fields["value"])))


def _add_months(expression: Expression, emit: Emitter) -> str:
    date, months = emit.all(expression.children)
    return f"CAST({date} + to_months({months}) AS DATE)"


def _truncated(expression: Expression, emit: Emitter) -> str:
    """To the start of a year, a month ...; NULL for an unknown unit."""
    date = expression.kind == "TruncDate"
    value, unit = expression.children if date else reversed(expression.children)
    kind = expression.type.duckdb
    units = {n: u for n, u in _UNITS.items() if not date or u in _DATE_UNITS}

    def branch(name: str, sql: str) -> str:
        if name not in ("hour", "minute", "second", "millisecond", "microsecond"):
            return cast(f"date_trunc('{name}', {sql})", kind)
        # On the clocks of the session, whose offset is kept: an hour that comes twice stays itself
        clock = f"timezone({text(emit.time_zone)}, {sql})"
        behind = f"(epoch_us({clock}) - epoch_us(date_trunc('{name}', {clock})))"
        return f"({sql} - to_microseconds({behind}))"

    if unit.kind == "Literal":
        name = units.get(str(unit.fields["value"]).upper())
        if name is None:
            return f"CAST(NULL AS {kind})"
        return emit.once([emit(value)], lambda sql: branch(name, sql))

    def write(sql: str, asked: str) -> str:
        cases = " ".join(f"WHEN {text(n)} THEN {branch(u, sql)}" for n, u in units.items())
        return f"CASE upper({asked}) {cases} END"

    return emit.once([emit(value), emit(unit)], write)


def _next_day(expression: Expression, emit: Emitter) -> str:
    """The first day after a date that has a name."""
    date, name = expression.children
    day = emit.literal(name, "a day of the week")
    number = _DAYS.get(str(day).upper()) if day is not None else None
    if number is None:
        if expression.fields["failOnError"] and day is not None:
            message = f"Illegal input for day of week: {day}."
            return failing(
                f"{emit(date)} IS NOT NULL", "ILLEGAL_DAY_OF_WEEK", message, "CAST(NULL AS DATE)"
            )
        return "CAST(NULL AS DATE)"
    return emit.once(
        [emit(date)],
        lambda sql: f"({sql} + 1 + ((({number} - isodow({sql} + 1)) + 7) % 7)::INTEGER)",
    )


def _months_between(expression: Expression, emit: Emitter) -> str:
    """In months of 31 days, but for days at the same place of their months."""
    later, earlier, rounds = expression.children
    digits = emit.literal(rounds, "whether to round") == "true"

    def write(a: str, b: str, since: str, until: str) -> str:
        months = f"((year({a}) - year({b})) * 12 + month({a}) - month({b}))"
        last = " AND ".join(f"{each}::DATE = last_day({each}::DATE)" for each in (a, b))
        seconds = " - ".join(
            f"(day({each}) * 86400 + {passed})" for each, passed in ((a, since), (b, until))
        )
        value = f"({months} + ({seconds})::DOUBLE / 2678400.0)"
        if digits:
            value = f"round(CAST(CAST({value} AS VARCHAR) AS DECIMAL(38, 20)), 8)::DOUBLE"
        return f"CASE WHEN day({a}) = day({b}) OR ({last}) THEN {months}::DOUBLE ELSE {value} END"

    def passed(instant: str, local: str) -> str:
        """Return the seconds since midnight, which a change of the clocks counts in."""
        midnight = patterns.zoned(f"date_trunc('day', {local})", text(emit.time_zone), emit)
        return f"((epoch_us({instant}) - epoch_us({midnight})) // 1000000)"

    locals_ = [_local(later, emit), _local(earlier, emit)]
    since = [passed(emit(each), at) for each, at in zip((later, earlier), locals_, strict=True)]
    return emit.once([*locals_, *since], write)


def _formatted(expression: Expression, emit: Emitter) -> str:
    value, pattern = expression.children
    java = emit.literal(pattern, "a pattern of dates")
    if java is None:
        return "CAST(NULL AS VARCHAR)"

    def write(local: str) -> str:
        instant = emit(value) if value.type.name == "timestamp" else ""
        return patterns.formatted(local, str(java), emit.time_zone, instant)

    return emit.once([_local(value, emit)], write)


def _of_seconds(expression: Expression, emit: Emitter) -> str:
    """`from_unixtime`."""
    seconds, pattern = expression.children
    java = emit.literal(pattern, "a pattern of dates")
    instant = f"make_timestamptz({emit(seconds)} * 1000000)"
    return emit.once(
        [f"timezone({text(emit.time_zone)}, {instant})"],
        lambda local: patterns.formatted(local, str(java), emit.time_zone, instant),
    )


def _parsed(expression: Expression, emit: Emitter) -> str:
    """`to_timestamp` with a pattern: what does not fit it is an error under ANSI."""
    value, pattern = expression.children
    java = emit.literal(pattern, "a pattern of dates")

    def write(sql: str) -> str:
        local, offset = patterns.read(sql, str(java))
        made = local
        if expression.type.name == "timestamp":
            made = patterns.zoned(local, text(emit.time_zone), emit)
            if offset:
                made = patterns.shifted(local, offset)
        if not expression.fields.get("failOnError"):
            return made
        message = "A text does not fit the pattern. Use `try_to_timestamp` to tolerate it."
        return emit.once(
            [made],
            lambda found: failing(
                f"{sql} IS NOT NULL AND {found} IS NULL", "CANNOT_PARSE_TIMESTAMP", message, found
            ),
        )

    return emit.once([emit(value)], write, apart=True)


def down(value: str, unit: int) -> str:
    """Return a whole number divided by a positive one, rounded down."""
    return f"(({value} - (({value} % {unit}) + {unit}) % {unit}) // {unit})"


def _unix_seconds(expression: Expression, emit: Emitter) -> str:
    """`unix_timestamp`: of a date, a time, or a text with a pattern."""
    value = expression.children[0]
    match value.type.name:
        case "timestamp":
            instant = emit(value)
        case "date":
            instant = patterns.zoned(cast(emit(value), "TIMESTAMP"), text(emit.time_zone), emit)
        case "timestamp_ntz":
            instant = f"timezone('UTC', {emit(value)})"
        case _:
            read = replace(expression, kind="GetTimestamp", json_type="timestamp")
            instant = _parsed(read, emit)
    return f"(epoch_us({instant}) // 1000000)"  # towards zero


def _epoch(unit: int) -> Rule:
    def rule(expression: Expression, emit: Emitter) -> str:
        (value,) = emit.all(expression.children)
        return emit.once([f"epoch_us({value})"], lambda micros: down(micros, unit))

    return rule


def _instant(expression: Expression, emit: Emitter) -> str:
    """The moment so many seconds after 1970."""
    (child,) = expression.children
    kind, sql = child.type, emit(child)
    if kind.is_integral:
        return f"make_timestamptz({sql}::BIGINT * 1000000)"
    if kind.name == "decimal":
        return f"make_timestamptz(trunc({sql} * 1000000)::BIGINT)"
    return emit.once(
        [sql],
        lambda value: (
            f"CASE WHEN isfinite({value}) THEN "
            f"make_timestamptz(trunc({value} * 1000000)::BIGINT) END"
        ),
    )


def _moved(call: str) -> Rule:
    """`from_utc_timestamp` and `to_utc_timestamp`: the clocks of one zone read as the other's."""

    def rule(expression: Expression, emit: Emitter) -> str:
        value, name = expression.children
        named = _zone(name, emit)
        source, target = ("'UTC'", named) if call == "from" else (named, "'UTC'")
        return patterns.zoned(f"timezone({target}, {emit(value)})", source, emit)

    return rule


def _between_zones(expression: Expression, emit: Emitter) -> str:
    source, target, value = expression.children
    before, after = (_zone(each, emit) for each in (source, target))
    return f"timezone({after}, {patterns.zoned(emit(value), before, emit)})"


def _made_date(expression: Expression, emit: Emitter) -> str:
    def write(year: str, month: str, day: str) -> str:
        made = f"TRY(make_date({year}, {month}, {day}))"
        if not expression.fields["failOnError"]:
            return made
        missing = " OR ".join(f"{each} IS NULL" for each in (year, month, day))
        message = "A field of the date is out of its bounds."
        return failing(
            f"NOT ({missing}) AND {made} IS NULL", "DATETIME_FIELD_OUT_OF_BOUNDS", message, made
        )

    return emit.once(emit.all(expression.children), write, apart=True)


def _made_timestamp(expression: Expression, emit: Emitter) -> str:
    named = expression.fields["timezone"]
    of_zone = text(emit.time_zone) if named is None else _zone(named, emit)
    fields = emit.all(expression.children)

    def write(*parts: str) -> str:
        year, month, day, hour, minute, second = parts
        whole = f"trunc({second})::BIGINT"
        micros = f"(({second} - trunc({second})) * 1000000)::BIGINT"
        moment = (
            f"TRY(make_timestamp({year}, {month}, {day}, {hour}, {minute}, 0.0)) + "
            f"to_microseconds({whole} * 1000000 + {micros})"
        )
        good = f"{second} BETWEEN 0 AND 60"
        made = f"CASE WHEN {good} THEN {moment} END"
        if expression.type.name == "timestamp":
            made = patterns.zoned(made, of_zone, emit)
        if not expression.fields["failOnError"]:
            return made
        missing = " OR ".join(f"{each} IS NULL" for each in parts)
        message = "A field of the time is out of its bounds."
        return emit.once(
            [made],
            lambda found: failing(
                f"NOT ({missing}) AND {found} IS NULL",
                "DATETIME_FIELD_OUT_OF_BOUNDS",
                message,
                found,
            ),
        )

    return emit.once(fields[:6], write, apart=True)


def _added(expression: Expression, emit: Emitter) -> str:
    """`timestampadd`: months and days on the clocks of the session, less by the second."""
    quantity, value = (emit(each) for each in expression.children)
    unit = str(expression.fields["unit"]).upper()
    if unit in _MONTHS:
        step = f"to_months(({quantity} * {_MONTHS[unit]})::INTEGER)"
    elif unit in ("DAY", "WEEK", "DAYOFYEAR"):
        step = f"to_days(({quantity} * {7 if unit == 'WEEK' else 1})::INTEGER)"
    elif unit in _MICROS:
        step = f"to_microseconds({quantity}::BIGINT * {_MICROS[unit]})"
    else:
        raise UnsupportedPlanError(f"timestampadd of {unit}")
    return cast(f"({value} + {step})", expression.type.duckdb)


def _months_added(expression: Expression, emit: Emitter) -> str:
    value, interval = expression.children
    months = int(emit.literal(interval, "an interval"))
    return cast(f"({emit(value)} + to_months({months}))", expression.type.duckdb)


def _steps(interval: str) -> list[str]:
    """Return what a calendar's interval adds, by its text: months first, then days, then less."""
    count = dict.fromkeys(("month", "day", "microsecond"), 0)
    for number, unit in re.findall(r"(-?[\d.]+) (\w+?)s?\b", interval):
        whole, share = _CALENDAR[unit]
        count[whole] += int(Decimal(number) * share)
    return [f"to_{unit}s({number})" for unit, number in count.items() if number]


_CALENDAR = {
    "year": ("month", 12),
    "month": ("month", 1),
    "day": ("day", 1),
    "hour": ("microsecond", 3_600_000_000),
    "minute": ("microsecond", 60_000_000),
    "second": ("microsecond", 1_000_000),
}


def _interval_added(expression: Expression, emit: Emitter) -> str:
    """Days on the clocks of the session, then what is less."""
    value, interval = expression.children
    if interval.json_type == "interval":
        steps = _steps(str(emit.literal(interval, "an interval")))
        return cast(f"({' + '.join([emit(value), *steps])})", expression.type.duckdb)
    if not str(interval.json_type).startswith(_TIMES):
        raise UnsupportedPlanError(f"adding {interval.json_type}")
    micros = int(emit.literal(interval, "an interval"))
    days = abs(micros) // _DAY * (1 if micros > 0 else -1)  # towards zero
    rest = micros - days * _DAY
    moved = f"({emit(value)} + to_days({days}))"
    moved = f"({moved} + to_microseconds({rest}))" if rest else moved
    return cast(moved, expression.type.duckdb)


def _complete_units(expression: Expression, emit: Emitter) -> str:
    """`timestampdiff`: how many whole units lie between, by the clocks of the session."""
    unit = str(expression.fields["unit"]).upper()
    start, end = (_local(each, emit) for each in expression.children)
    if unit in _MICROS:
        return f"((epoch_us({end}) - epoch_us({start})) // {_MICROS[unit]})"
    if unit not in _MONTHS:
        raise UnsupportedPlanError(f"timestampdiff of {unit}")

    def write(a: str, b: str) -> str:
        short = f"{b}::DATE > {a}::DATE AND {b}::TIME < {a}::TIME"
        long = f"{b}::DATE < {a}::DATE AND {b}::TIME > {a}::TIME"
        until = f"({b}::DATE + CASE WHEN {short} THEN -1 WHEN {long} THEN 1 ELSE 0 END)"
        place = "((year({0}) * 12 + month({0})) * 32 + day({0}))"
        months = f"(({place.format(until)} - {place.format(a)}) // 32)"
        return f"CAST({months} // {_MONTHS[unit]} AS BIGINT)"

    return emit.once([start, end], write)


def _fraction_of_minute(expression: Expression, emit: Emitter) -> str:
    local = _local(expression.children[0], emit)
    return scaled(f"microsecond({local})", decimal(8, 6))


def _micros(expression: Expression, emit: Emitter) -> str:
    """A moment as microseconds or back, for the bounds of `window`."""
    (child,) = expression.children
    sql = emit(child)
    match expression.type.name:
        case "timestamp":
            return f"make_timestamptz({sql})"
        case "timestamp_ntz":
            return f"make_timestamp({sql})"
    return f"epoch_us({sql})"


RULES: dict[str, Rule] = {
    "PreciseTimestampConversion": _micros,
    "Year": "year({0})",
    "Month": "month({0})",
    "DayOfMonth": "day({0})",
    "Quarter": "quarter({0})",
    "DayOfYear": "dayofyear({0})",
    "DayOfWeek": "(dayofweek({0}) + 1)",
    "WeekDay": "(isodow({0}) - 1)",
    "WeekOfYear": "weekofyear({0})",
    "YearOfWeek": "isoyear({0})",
    "DayName": "strftime({0}, '%a')",
    "MonthName": "strftime({0}, '%b')",
    "Hour": "hour({0})",
    "Minute": "minute({0})",
    "Second": "second({0})",
    "SecondWithFraction": _fraction_of_minute,
    "DateAdd": "({0} + {1}::INTEGER)",
    "DateSub": "({0} - {1}::INTEGER)",
    "DateDiff": "({0} - {1})",
    "AddMonths": _add_months,
    "DateAddYMInterval": _months_added,
    "TimestampAddYMInterval": _months_added,
    "TimestampAddInterval": _interval_added,
    "TimestampAdd": _added,
    "TimestampDiff": _complete_units,
    "MonthsBetween": _months_between,
    "LastDay": "last_day({0})",
    "NextDay": _next_day,
    "TruncDate": _truncated,
    "TruncTimestamp": _truncated,
    "DateFormatClass": _formatted,
    "GetTimestamp": _parsed,
    "FromUnixTime": _of_seconds,
    "UnixTimestamp": _unix_seconds,
    "ToUnixTimestamp": _unix_seconds,
    "UnixDate": "({0} - DATE '1970-01-01')",
    "DateFromUnixDate": "(DATE '1970-01-01' + {0})",
    "UnixSeconds": _epoch(1_000_000),
    "UnixMillis": _epoch(1000),
    "UnixMicros": "epoch_us({0})",
    "SecondsToTimestamp": _instant,
    "MillisToTimestamp": "make_timestamptz({0}::BIGINT * 1000)",
    "MicrosToTimestamp": "make_timestamptz({0}::BIGINT)",
    "FromUTCTimestamp": _moved("from"),
    "ToUTCTimestamp": _moved("to"),
    "ConvertTimezone": _between_zones,
    "MakeDate": _made_date,
    "MakeTimestamp": _made_timestamp,
}
