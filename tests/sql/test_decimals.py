"""Products, quotients and remainders of decimals, beside those of Python's decimals, which are
exact.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from decimal import Decimal
from random import Random
from typing import Any

import duckdb
import pytest

from aflint.sql.expressions import decimals
from aflint.sql.types import Type

_EXACT = decimal.Context(prec=200, rounding=decimal.ROUND_HALF_UP)


def _fitted(precision: int, scale: int) -> Type:
    """Return the type that Spark gives a result: at most 38 digits, those behind the point less."""
    if precision <= 38:
        return Type("decimal", precision, scale)
    whole = precision - scale
    return Type("decimal", 38, max(38 - whole, min(scale, 6)))


def _type(random: Random) -> Type:
    precision = random.choice([random.randint(1, 38), random.randint(1, 18), 38])
    return Type("decimal", precision, random.choice([0, precision, random.randint(0, precision)]))


def _value(random: Random, kind: Type) -> Decimal:
    most = 10 ** random.choice([0, 1, kind.precision // 2, kind.precision, kind.precision])
    digits = random.choice([random.randrange(most), most - 1]) * random.choice([1, -1])
    return Decimal(digits).scaleb(-kind.scale, _EXACT)


def _cases(count: int) -> Iterator[tuple[str, Type, Decimal, Type, Decimal, Type, Decimal]]:
    """Yield SQL over x and y, their types and values, and the type and value of what it makes."""
    random = Random(5)
    for _ in range(count):
        a, b = _type(random), _type(random)
        x, y = _value(random, a), _value(random, b)
        kind = _fitted(a.precision + b.precision + 1, a.scale + b.scale)
        yield decimals.product("x", a, "y", b, kind), a, x, b, y, kind, _EXACT.multiply(x, y)
        if not y:
            continue
        scale = max(6, a.scale + b.precision + 1)
        kind = _fitted(a.precision - a.scale + b.scale + scale, scale)
        yield decimals.divided("x", a, "y", b, kind), a, x, b, y, kind, _EXACT.divide(x, y)
        scale = max(a.scale, b.scale)
        kind = _fitted(min(a.precision - a.scale, b.precision - b.scale) + scale, scale)
        yield decimals.remainder("x", a, "y", b, kind), a, x, b, y, kind, _EXACT.remainder(x, y)
        whole = Type("decimal", 38, 0)
        quotient = _EXACT.divide_int(x, y)
        yield decimals.whole_quotient("x", a, "y", b), a, x, b, y, whole, quotient


def _answer(connection: Any, sql: str) -> Decimal | None:
    try:
        (found,) = connection.execute(sql).fetchone()
    except duckdb.Error:
        return None
    assert isinstance(found, Decimal)
    return found


def test_decimals_have_all_their_digits_or_do_not_fit() -> None:
    with duckdb.connect() as connection:
        for sql, a, x, b, y, kind, exact in _cases(80):
            values = f"CAST('{x:f}' AS {a.duckdb}) AS x, CAST('{y:f}' AS {b.duckdb}) AS y"
            expected = exact.quantize(Decimal(1).scaleb(-kind.scale), context=_EXACT)
            fits = expected.copy_abs() < Decimal(10) ** (kind.precision - kind.scale)
            found = _answer(connection, f"SELECT {sql} FROM (SELECT {values})")
            assert found == (expected if fits else None), (a, x, b, y, kind)


@pytest.mark.parametrize("operation", [decimals.product, decimals.divided])
def test_the_sql_of_nested_decimals_grows_no_faster_than_it_must(operation: Any) -> None:
    kind, sql = Type("decimal", 38, 6), "x"
    for _ in range(4):
        sql = operation(sql, kind, "y", kind, kind)
    assert len(sql) < 200_000
