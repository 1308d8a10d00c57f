"""Decimals: products, quotients and remainders with all of their digits, rounded half up at last.

DuckDB divides decimals as floats, and multiplies them in as many bits as their types have. Here
digits are integers of 128 bits; where a product or a dividend may have more digits than these hold,
and the values have, it is made of parts.

Nothing here raises errors of its own, so that all of it can stand in a TRY: what does not fit its
type fails in a cast or an operation of DuckDB's.
"""

from __future__ import annotations

from collections.abc import Callable

from aflint.sql.expressions.emitter import cast
from aflint.sql.types import Type

_WIDE = "DECIMAL(38, 0)"
_BIGINT_DIGITS = 18
_MOST_INLINE = 300
"""SQL of so many characters is written again; longer is bound to a name, which is slower."""


def _integer(value: int) -> str:
    return f"CAST('{value}' AS UHUGEINT)"


_HALF = _integer(10**19)  # half of the digits of a decimal
_ALL = _integer(10**38)


def unscaled(sql: str, kind: Type) -> str:
    """Return the digits of a decimal as an integer."""
    if not kind.scale:
        return f"CAST({sql} AS HUGEINT)"
    if kind.precision + kind.scale > 38:  # the product below may have more digits than there are
        return f"CAST(replace(CAST(CAST({sql} AS {kind.duckdb}) AS VARCHAR), '.', '') AS HUGEINT)"
    return f"CAST(CAST({sql} AS DECIMAL(38, {kind.scale})) * {10**kind.scale}::{_WIDE} AS HUGEINT)"


def scaled(sql: str, kind: Type) -> str:
    """Return an integer's digits as a decimal."""
    if not kind.scale:
        return cast(sql, kind.duckdb)
    unit = "0." + "0" * (kind.scale - 1) + "1"
    return cast(
        f"CAST({sql} AS {_WIDE}) * {unit}::DECIMAL({kind.scale}, {kind.scale})", kind.duckdb
    )


def product(left: str, a: Type, right: str, b: Type, kind: Type) -> str:
    """Return the product of two decimals."""
    plain = cast(f"({left} * {right})", kind.duckdb)
    digits, scale = a.precision + b.precision, a.scale + b.scale
    if digits <= 18 or (digits <= 38 and max(a.precision, b.precision) > 18):
        return plain
    if digits <= 38:
        # DuckDB gives the product of two integers of 64 bits as many, which is the fastest.
        share = 18 * a.precision // digits
        small = f"{_short(left, a, share)} AND {_short(right, b, 18 - share)}"
        wide = cast(f"({cast(left, f'DECIMAL(19, {a.scale})')} * {right})", kind.duckdb)
        return f"CASE WHEN {small} THEN {plain} ELSE {wide} END"
    parts = _product_of_parts(left, a, right, b, kind)
    if scale > 38:
        return parts
    small = f"abs(CAST({left} AS DOUBLE) * CAST({right} AS DOUBLE)) < 1e{37 - scale}"
    return f"CASE WHEN {small} THEN {plain} ELSE {parts} END"


def _short(sql: str, kind: Type, digits: int) -> str:
    """Whether a decimal has only so many digits."""
    if kind.precision <= digits:
        return "true"
    most = cast(f"{10**digits - 1}e-{kind.scale}", kind.duckdb)
    return f"{sql} BETWEEN -{most} AND {most}"


def _product_of_parts(left: str, a: Type, right: str, b: Type, kind: Type) -> str:
    """A product of up to 76 digits, of two halves of each factor, which has `low`, its last 38, and
    `high`, the rest.
    """

    def write(x: str, y: str) -> str:
        ah, al, bh, bl = (f"({n} {op} {_HALF})" for n in (x, y) for op in ("//", "%"))
        middle = f"({ah} * {bl} + {al} * {bh})"
        last = f"({al} * {bl} + ({middle} % {_HALF}) * {_HALF})"
        low, high = f"({last} % {_ALL})", f"({ah} * {bh} + {middle} // {_HALF} + {last} // {_ALL})"
        drop = a.scale + b.scale - kind.scale
        if drop > 38:
            half, unit = _integer(5 * 10 ** (drop - 39)), _integer(10 ** (drop - 38))
            return f"({high} + {half}) // {unit}"
        half, unit = _integer(5 * 10 ** (drop - 1) if drop else 0), _integer(10**drop)
        return f"({high} * {_integer(10 ** (38 - drop))} + ({low} + {half}) // {unit})"

    return _of_digits(left, a, right, b, write, kind)


def divided(left: str, a: Type, right: str, b: Type, kind: Type) -> str:
    """Return the quotient of two decimals."""
    shift = kind.scale - a.scale + b.scale

    def write(x: str, y: str) -> str:
        def rounded(whole: str, rest: str, by: str) -> str:
            up = f"CASE WHEN {rest} >= {by} - {rest} THEN {_integer(1)} ELSE {_integer(0)} END"
            return f"({whole} + {up})"

        whole = _long_division(x, y, shift, rounded, a.precision)
        return _short_quotient(x, y, shift, whole) if 0 <= shift < _BIGINT_DIGITS else whole

    return _of_digits(left, a, right, b, write, kind)


def _short_quotient(x: str, y: str, shift: int, otherwise: str) -> str:
    """A quotient of integers of 64 bits, as most are: DuckDB divides those of 128 bit by bit."""
    most = 10**_BIGINT_DIGITS
    by, more = f"TRY_CAST({y} AS BIGINT)", f"(TRY_CAST({x} AS BIGINT) * {10**shift})"
    rest = f"{more} % {by}"
    up = f"CASE WHEN {rest} >= {by} - {rest} THEN 1 ELSE 0 END"
    small = f"{x} < {_integer(most // 10**shift)} AND {y} < {_integer(most)}"
    return f"CASE WHEN {small} THEN CAST({more} // {by} + {up} AS UHUGEINT) ELSE {otherwise} END"


def whole_quotient(left: str, a: Type, right: str, b: Type) -> str:
    """Return the quotient of two decimals as an integer of 128 bits, without its fraction."""

    def write(x: str, y: str) -> str:
        return _long_division(x, y, b.scale - a.scale, lambda whole, rest, by: whole, a.precision)

    return _of_digits(left, a, right, b, write, Type("decimal", 38, 0))


def remainder(left: str, a: Type, right: str, b: Type, kind: Type) -> str:
    """Return the remainder of two decimals, which has the sign of the dividend."""
    common = Type("decimal", 38, max(a.scale, b.scale))

    def write(x: str, y: str) -> str:
        return _long_division(
            x, y, b.scale - a.scale, lambda whole, rest, by: rest, a.precision, False
        )

    return cast(_of_digits(left, a, right, b, write, common, f"{left} < 0"), kind.duckdb)


def _of_digits(
    left: str,
    a: Type,
    right: str,
    b: Type,
    write: Callable[[str, str], str],
    kind: Type,
    negative: str = "",
) -> str:
    """Return a decimal whose digits are what `write` makes of the digits of two, less their signs;
    by default it is `negative` where one of them is.
    """
    x, y = (f"CAST(abs({unscaled(*each)}) AS UHUGEINT)" for each in ((left, a), (right, b)))
    negative = negative or f"({left} < 0) <> ({right} < 0)"

    def signed(x: str, y: str, negative: str) -> str:
        return f"(CAST({write(x, y)} AS HUGEINT) * CASE WHEN {negative} THEN -1 ELSE 1 END)"

    if len(made := signed(x, y, negative)) > _MOST_INLINE * 8 or len(x + y) > _MOST_INLINE:
        pair = f"[struct_pack(x := {x}, y := {y}, minus := {negative})]"
        made = f"list_transform({pair}, lambda d: {signed('d.x', 'd.y', 'd.minus')})[1]"
    return scaled(made, kind)


def _long_division(
    x: str,
    y: str,
    shift: int,
    write: Callable[[str, str, str], str],
    digits: int,
    divides: bool = True,
) -> str:
    """Return what `write` makes of the quotient and the remainder of x, of so many digits, with
    `shift` digits more, by y; where `shift` is negative y has them. The quotient is nothing where
    it is not asked for, as it may not fit.
    """
    if shift < 0:
        by, most = f"({y} * {_integer(10**-shift)})", (2**128 - 1) // 10**-shift
        return (
            f"CASE WHEN {y} > {_integer(most)} THEN {write('0', x, _integer(2**128 - 1))} "
            f"ELSE {write(f'({x} // {by})', f'({x} % {by})', by)} END"
        )
    more = f"({x} * {_integer(10**shift)})" if shift < 38 else x
    # What fits in 128 bits is divided at once
    short = write(f"({more} // {y})", f"({more} % {y})", y)
    if digits + shift <= 38:
        return short
    # One digit more after the other. Ten times a rest may not fit; three times and twice it does.
    nine = f"(3 * (3 * s.r % {y}))"
    one_more = f"{nine} % {y} + s.r"
    ten = f"3 * (3 * s.r // {y}) + {nine} // {y} + ({one_more}) // {y}"
    whole = f"s.q * 10 + {ten}" if divides else "s.q"
    step = f"struct_pack(q := {whole}, r := ({one_more}) % {y})"
    none = "struct_pack(q := 0::UHUGEINT, r := 0::UHUGEINT)"
    steps = f"list_transform(range({shift}), lambda i: {none})"
    start = f"struct_pack(q := {x} // {y}, r := {x} % {y})"
    made = f"list_reduce({steps}, lambda s, i: {step}, {start})"
    long = f"list_transform([{made}], lambda n: {write('n.q', 'n.r', y)})[1]"
    if shift >= 38:
        return long
    return f"CASE WHEN {x} < {_integer(10 ** (38 - shift))} THEN {short} ELSE {long} END"
