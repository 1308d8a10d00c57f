"""Values as Spark SQL keeps them in a column of a type, after PySpark's own `toInternal`.

On Spark, the JVM does this when it takes rows over from Python: a Decimal gets the digits of its
type, an array.array becomes a list, a float of 64 bits one of 32, and what the type cannot hold
becomes null.
"""

from __future__ import annotations

import decimal
import struct
from array import array
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyspark
from pyspark.errors import ArithmeticException, IllegalArgumentException
from pyspark.sql import types

from aflint.sql.java_texts import in_javas_order, java_text

Convert = Callable[[Any], Any]
_RELEASE = [int(part) for part in pyspark.__version__.split(".")[:2]]

_BITS = {types.ByteType: 8, types.ShortType: 16, types.IntegerType: 32, types.LongType: 64}
_COUNTS = tuple(  # of days or microseconds; some are newer than others
    getattr(types, name)
    for name in (
        "DateType",
        "TimestampType",
        "TimestampNTZType",
        "DayTimeIntervalType",
        "YearMonthIntervalType",
        "TimeType",
    )
    if hasattr(types, name)
)
_LONG = range(-(1 << 63), 1 << 63)
_EXACT = decimal.Context(prec=decimal.MAX_PREC, Emax=decimal.MAX_EMAX, Emin=decimal.MIN_EMIN)
_BYTES: Convert = bytes if _RELEASE >= [4, 1] else bytearray
"""What `collect` gives of a binary column."""


def kept_rows(schema: types.StructType, rows: Iterable[Any]) -> Iterator[Any]:
    """Yield rows as Spark keeps them.

    Raises ArithmeticException for a number that its type cannot hold, IllegalArgumentException for
    a row of another length than the schema's.
    """
    return map(kept(schema), rows)


def kept(kind: types.DataType) -> Convert:
    """Return what converts the values of a type; None stays None."""
    match kind:
        case types.BooleanType():
            return lambda value: value if isinstance(value, bool) else None
        case types.ByteType() | types.ShortType() | types.IntegerType() | types.LongType():
            return _integers(_BITS[type(kind)])
        case types.FloatType():
            return lambda value: _single(value) if isinstance(value, float) else None
        case types.DoubleType():
            return lambda value: value if isinstance(value, float) else None
        case types.DecimalType():
            return _decimals(kind)
        case types.StringType() | types.CharType() | types.VarcharType():
            return _text
        case types.BinaryType():
            return _binary
        case types.ArrayType():
            return _arrays(kept(kind.elementType))
        case types.MapType():
            return _maps(kept(kind.keyType), kept(kind.valueType))
        case types.StructType():
            return _structs([kept(field.dataType) for field in kind.fields])
        case types.UserDefinedType():
            return kept(kind.sqlType())
        case types.NullType():
            return lambda value: None
        case _ if isinstance(kind, _COUNTS):
            return _integers(64)
    return lambda value: value  # a type without a counterpart here, such as VariantType


def _integers(bits: int) -> Convert:
    half, mask = 1 << (bits - 1), (1 << bits) - 1

    def convert(value: Any) -> int | None:
        # Most values, by one look; the rest is for numpy's integers, bools and what is too large.
        if type(value) is int and -half <= value < half:
            return value
        if not isinstance(value, int) or isinstance(value, bool) or value not in _LONG:
            return None
        return ((value + half) & mask) - half  # it wraps around, as a cast in Java does

    return convert


def _single(value: float) -> float:
    """Return the nearest float of 32 bits."""
    try:
        single: float = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        single = float("inf") if value > 0 else float("-inf")
    return single


def _decimals(kind: types.DecimalType) -> Convert:
    unit = decimal.Decimal(1).scaleb(-kind.scale)
    limit = decimal.Decimal(1).scaleb(kind.precision - kind.scale)

    def convert(value: Any) -> decimal.Decimal | None:
        if not isinstance(value, decimal.Decimal) or value.is_qnan():
            return None
        rounded = value
        if value.is_finite():
            # Rounded before it is compared: 9.99 is too large for Decimal(2, 1).
            rounded = value.copy_abs().quantize(unit, decimal.ROUND_HALF_UP, _EXACT)
            if rounded < limit:
                return rounded.copy_negate() if value.is_signed() and rounded else rounded
            rounded = rounded.copy_sign(value)
        raise ArithmeticException(
            f"[NUMERIC_VALUE_OUT_OF_RANGE.WITHOUT_SUGGESTION] The {rounded:f} rounded half up from "
            f"{value} cannot be represented as Decimal({kind.precision}, {kind.scale}). "
            "SQLSTATE: 22003"
        )

    return convert


def _text(value: Any) -> str | None:
    return value if value is None or type(value) is str else java_text(value)


def _binary(value: Any) -> Any:
    if isinstance(value, str):
        return _BYTES(value.encode())
    return _BYTES(value) if isinstance(value, bytes | bytearray) else None


def _arrays(convert: Convert) -> Convert:
    def items(value: Any) -> list[Any] | None:
        if isinstance(value, bytes | bytearray):  # Java's bytes have signs
            value = array("b", bytes(value))
        return list(map(convert, value)) if isinstance(value, list | tuple | array) else None

    return items


def _maps(key: Convert, value: Convert) -> Convert:
    return lambda pairs: (
        {key(k): value(pairs[k]) for k in in_javas_order(pairs)}
        if isinstance(pairs, dict)
        else None
    )


def _structs(fields: list[Convert]) -> Convert:
    def convert(row: Any) -> Any:
        if not isinstance(row, tuple):
            return None
        if len(row) != len(fields):
            raise IllegalArgumentException(
                "[STRUCT_ARRAY_LENGTH_MISMATCH] Input row doesn't have expected number of values "
                f"required by the schema. {len(fields)} fields are required while {len(row)} "
                "values are provided. SQLSTATE: 2201E"
            )
        return tuple([field(value) for field, value in zip(fields, row, strict=True)])

    return convert
