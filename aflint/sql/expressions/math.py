"""Rounding, roots, logarithms, bits and their like."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.arithmetic import wrapped
from aflint.sql.expressions.decimals import scaled, unscaled
from aflint.sql.expressions.emitter import Emitter, Rule, cast, failing
from aflint.sql.plan import Expression

_BITS = {"byte": 8, "short": 16, "integer": 32, "long": 64}


def _rounded(expression: Expression, emit: Emitter) -> str:
    """Half up, half even (BRound), up or down to so many digits; negative ones are tens."""
    child, digits = expression.children
    places, kind = int(emit.literal(digits, "digits to round to")), child.type
    how = expression.kind
    if kind.name == "decimal" or kind.is_integral:
        return emit.once([emit(child)], lambda value: _exact(expression, value, places))
    if how not in ("Round", "BRound"):
        raise UnsupportedPlanError(f"{expression} of a {kind}")
    wide = cast(emit(child), "DOUBLE")  # of a float's digits as a double they are rounded
    return cast(
        emit.once([wide], lambda value: _floating(value, places, how == "BRound")), kind.duckdb
    )


def _exact(expression: Expression, value: str, places: int) -> str:
    """Round the digits of an integer or a decimal, as an integer of 128 bits."""
    kind, result = expression.children[0].type, expression.type
    drop = kind.scale - places
    if drop <= 0:
        return cast(value, result.duckdb)
    digits, unit = unscaled(value, kind), 10**drop
    if drop > 37:
        raise UnsupportedPlanError(f"{expression.kind} to {places} digits")
    quotient, rest = f"({digits} // {unit}::HUGEINT)", f"({digits} % {unit}::HUGEINT)"
    match expression.kind:
        case "Round":
            step = f"CASE WHEN 2 * abs({rest}) >= {unit}::HUGEINT THEN sign({digits}) ELSE 0 END"
        case "BRound":
            step = (
                f"CASE WHEN 2 * abs({rest}) > {unit}::HUGEINT OR (2 * abs({rest}) = "
                f"{unit}::HUGEINT AND {quotient} % 2 <> 0) THEN sign({digits}) ELSE 0 END"
            )
        case "RoundCeil":
            step = f"CASE WHEN {rest} > 0 THEN 1 ELSE 0 END"
        case _:
            step = f"CASE WHEN {rest} < 0 THEN -1 ELSE 0 END"
    whole = f"({quotient} + {step})"
    lost = result.scale - places if places < result.scale else 0
    if lost > 0:
        whole = f"({whole} * {10**lost}::HUGEINT)"
    if result.is_integral and not expression.fields.get("ansiEnabled"):
        return wrapped(whole, result)
    return scaled(whole, result)


def _floating(value: str, places: int, even: bool) -> str:
    """By its shortest text, as a decimal; what is too large for one has no digits to round."""
    if places > 18:
        return f"CASE WHEN {value} = 0 THEN 0 ELSE {value} END"
    most, scale = ("1e15", 20) if places >= 0 else ("1e33", 4)
    finite = f"CASE WHEN abs({value}) < {most} THEN {value} END"
    exact = f"CAST(CAST({finite} AS VARCHAR) AS DECIMAL(38, {scale}))"
    if places >= 0:
        rounded = f"{'round_even' if even else 'round'}({exact}, {places})::DOUBLE"
    elif even:
        raise UnsupportedPlanError("bround of floats to tens")
    else:
        unit = f"{10**-places}::HUGEINT"
        digits = f"CAST({exact} * 10000 AS HUGEINT)"
        half = f"((2 * abs({digits}) + 10000 * {unit}) // (20000 * {unit}))"
        rounded = f"({half} * {unit} * CASE WHEN {digits} < 0 THEN -1 ELSE 1 END)::DOUBLE"
    return (
        f"CASE WHEN {value} = 0 THEN 0 WHEN isnan({value}) OR abs({value}) >= {most} THEN {value} "
        f"ELSE {rounded} END"
    )


def _whole(call: str) -> Rule:
    """`floor` and `ceil`: of decimals in decimals, of floats as long integers."""

    def rule(expression: Expression, emit: Emitter) -> str:
        (child,) = expression.children
        return cast(f"{call}({emit(child)})", expression.type.duckdb)

    return rule


def _positive_only(call: str, bound: str = "0") -> Rule:
    """A logarithm: NULL up to a bound."""

    def rule(expression: Expression, emit: Emitter) -> str:
        def write(value: str) -> str:
            safe = f"CASE WHEN {value} > {bound} THEN {value} ELSE 1 END"
            return f"CASE WHEN {value} > {bound} THEN {call.format(safe)} END"

        return emit.once(emit.all(expression.children), write)

    return rule


def _logarithm(expression: Expression, emit: Emitter) -> str:
    def write(base: str, value: str) -> str:
        good = f"{base} > 0 AND {value} > 0"
        top, bottom = (f"ln(CASE WHEN {good} THEN {each} ELSE 2 END)" for each in (value, base))
        return f"CASE WHEN {good} THEN {top} / {bottom} END"

    return emit.once(emit.all(expression.children), write)


def _within(call: str, good: str) -> Rule:
    """A function that has no value, but NaN, outside of a range."""

    def rule(expression: Expression, emit: Emitter) -> str:
        def write(value: str) -> str:
            inside = good.format(value)
            safe = f"CASE WHEN {inside} THEN {value} END"
            return (
                f"CASE WHEN {inside} THEN {call.format(safe)} "
                f"WHEN {value} IS NOT NULL THEN CAST('nan' AS DOUBLE) END"
            )

        return emit.once(emit.all(expression.children), write)

    return rule


def _shifted(expression: Expression, emit: Emitter) -> str:
    """By the lowest bits of the distance, as Java does, and bits that fall off are lost."""
    bits = 64 if expression.type.name == "long" else 32

    def write(value: str, distance: str) -> str:
        by = f"({distance} & {bits - 1})"
        unsigned = f"(CAST({value} AS HUGEINT) & {2**bits - 1}::HUGEINT)"
        if expression.kind == "ShiftLeft":
            moved = f"(({unsigned} * (1::HUGEINT << {by})) & {2**bits - 1}::HUGEINT)"
            # two factors of 64 bits may need more than 127: the parts of it that count do not
            if bits == 64:
                low = f"({unsigned} & ((1::HUGEINT << ({bits} - {by})) - 1))"
                moved = f"({low} * (1::HUGEINT << {by}))"
        else:
            moved = f"({unsigned} // (1::HUGEINT << {by}))"
        negative = f"{moved} >= {2 ** (bits - 1)}::HUGEINT"
        signed = f"CASE WHEN {negative} THEN {moved} - {2**bits}::HUGEINT ELSE {moved} END"
        return cast(signed, expression.type.duckdb)

    return emit.once(emit.all(expression.children), write)


def _bits_counted(expression: Expression, emit: Emitter) -> str:
    """As of a long integer: the sign of a negative one fills it."""
    (child,) = expression.children
    kind = "INTEGER" if child.type.name == "boolean" else "BIGINT"
    return f"CAST(bit_count(CAST({emit(child)} AS {kind})) AS INTEGER)"


def _bit(expression: Expression, emit: Emitter) -> str:
    value, place = emit.all(expression.children)
    bits = _BITS[expression.children[0].type.name]
    name = "INVALID_PARAMETER_VALUE.BIT_POSITION_RANGE"
    outside = f"{place} NOT BETWEEN 0 AND {bits - 1}"
    checked = failing(outside, name, "The bit position is out of range.", place)
    return f"CAST((({value}::BIGINT >> ({checked})) & 1) AS TINYINT)"


def _factorial(expression: Expression, emit: Emitter) -> str:
    (value,) = emit.all(expression.children)
    return f"CASE WHEN {value} BETWEEN 0 AND 20 THEN factorial({value})::BIGINT END"


def _bucket(expression: Expression, emit: Emitter) -> str:
    def write(value: str, low: str, high: str, count: str) -> str:
        good = (
            f"{count} > 0 AND {count} <> 9223372036854775807 AND NOT isnan({value}) "
            f"AND isfinite({low}) AND isfinite({high}) AND {low} <> {high}"
        )
        rising = (
            f"CASE WHEN {value} < {low} THEN 0 WHEN {value} >= {high} THEN {count} + 1 "
            f"ELSE trunc({count} * ({value} - {low}) / ({high} - {low})) + 1 END"
        )
        falling = (
            f"CASE WHEN {value} > {low} THEN 0 WHEN {value} <= {high} THEN {count} + 1 "
            f"ELSE trunc({count} * ({low} - {value}) / ({low} - {high})) + 1 END"
        )
        found = f"CASE WHEN {low} < {high} THEN {rising} ELSE {falling} END"
        return f"CAST(CASE WHEN {good} THEN {found} END AS BIGINT)"

    return emit.once(emit.all(expression.children), write)


def exponential(value: str, emit: Emitter) -> str:
    """Return e to the power of a double, to the last digit of Java's StrictMath: by the steps of
    fdlibm, which DuckDB's own `exp` does not take.
    """

    def of(x: str) -> str:
        steps = (
            f"CASE WHEN abs({x}) < {_HALF_LN2!r} THEN 0 WHEN abs({x}) < {_MORE_LN2!r} "
            f"THEN sign({x})::DOUBLE ELSE trunc(1.44269504088896338700e+00::DOUBLE * {x} "
            f"+ CASE WHEN {x} < 0 THEN -0.5::DOUBLE ELSE 0.5::DOUBLE END) END::DOUBLE"
        )
        made = emit.once([steps], lambda k: reduced(x, k))
        return (
            f"CASE WHEN {x} > 7.09782712893383973096e+02::DOUBLE THEN "
            f"CASE WHEN isnan({x}) THEN {x} ELSE 'inf'::DOUBLE END "
            f"WHEN {x} < -7.45133219101941108420e+02::DOUBLE THEN 0::DOUBLE "
            f"WHEN abs({x}) < {2.0**-28!r}::DOUBLE THEN 1::DOUBLE + {x} ELSE {made} END"
        )

    def reduced(x: str, k: str) -> str:
        high = f"({x} - {k} * 6.93147180369123816490e-01::DOUBLE)"
        low = f"({k} * 1.90821492927058770002e-10::DOUBLE)"
        half = f"trunc({k} / 2)"  # of the scale, which alone might be out of range
        return emit.once(
            [f"({high} - {low})"],
            lambda r: emit.once(
                [rest(r)],
                lambda c: (
                    f"(1::DOUBLE - (({low} - ({r} * {c}) / (2::DOUBLE - {c})) - {high})) "
                    f"* pow(2::DOUBLE, {half}) * pow(2::DOUBLE, {k} - {half})"
                ),
            ),
        )

    def rest(r: str) -> str:
        square, series = f"({r} * {r})", _SERIES[-1]
        for factor in reversed(_SERIES[:-1]):
            series = f"({factor}::DOUBLE + {square} * {series}::DOUBLE)"
        return f"({r} - {square} * {series})"

    return emit.once([value], of)


_HALF_LN2, _MORE_LN2 = 0.3465735912322998, 1.0397205352783203
"""Between which fdlibm takes off ln 2 once."""
_SERIES = (
    "1.66666666666666019037e-01", "-2.77777777770155933842e-03", "6.61375632143793436117e-05",
    "-1.65339022054652515390e-06", "4.13813679705723846039e-08",
)  # fmt: skip


def _exponential(expression: Expression, emit: Emitter) -> str:
    return exponential(emit(expression.children[0]), emit)


def _hyperbolic_cosine(expression: Expression, emit: Emitter) -> str:
    def write(x: str) -> str:
        halves = emit.once(
            [exponential(f"abs({x})", emit)], lambda e: f"(0.5::DOUBLE * {e} + 0.5::DOUBLE / {e})"
        )
        between = f"abs({x}) >= {_HALF_LN2!r} AND abs({x}) < 22"
        return f"CASE WHEN {between} THEN {halves} ELSE cosh({x}) END"

    return emit.once([emit(expression.children[0])], write)


def _binary(expression: Expression, emit: Emitter) -> str:
    (child,) = expression.children
    return f"bin(CAST({emit(child)} AS BIGINT))"


RULES: dict[str, Rule] = {
    "Exp": _exponential,
    # Near to zero most digits of exp(x) - 1 and of ln(1 + x) would be lost
    "Expm1": "CASE WHEN abs({0}) < 0.5 THEN 2 * sinh({0} / 2) * exp({0} / 2) ELSE exp({0}) - 1 END",
    "Floor": _whole("floor"),
    "Ceil": _whole("ceil"),
    "Round": _rounded,
    "BRound": _rounded,
    "RoundCeil": _rounded,
    "RoundFloor": _rounded,
    "Rint": "round_even({0}, 0)",
    "Signum": "CASE WHEN isnan({0}) OR {0} = 0 THEN {0} ELSE sign({0}) END",
    "Sqrt": _within("sqrt({0})", "{0} >= 0"),
    "Cbrt": "cbrt({0})",
    "Pow": "pow({0}, {1})",
    "Hypot": "sqrt({0} * {0} + {1} * {1})",
    "Log": _positive_only("ln({0})"),
    "Log10": _positive_only("log10({0})"),
    "Log2": _positive_only("ln({0}) / 0.6931471805599453::DOUBLE"),
    "Log1p": _positive_only(
        "CASE WHEN abs({0}) < 0.5 THEN 2 * atanh({0} / (2 + {0})) ELSE ln(1 + {0}) END",
        "-1",
    ),
    "Logarithm": _logarithm,
    "Sin": _within("sin({0})", "isfinite({0})"),
    "Cos": _within("cos({0})", "isfinite({0})"),
    "Tan": _within("tan({0})", "isfinite({0})"),
    "Cot": _within("(1 / tan({0}))", "isfinite({0})"),
    "Sec": _within("(1 / cos({0}))", "isfinite({0})"),
    "Csc": _within("(1 / sin({0}))", "isfinite({0})"),
    "Asin": _within("asin({0})", "{0} BETWEEN -1 AND 1"),
    "Acos": _within("acos({0})", "{0} BETWEEN -1 AND 1"),
    "Atan": "atan({0})",
    "Atan2": "atan2({0} + 0.0, {1} + 0.0)",
    "Sinh": "sinh({0})",
    "Cosh": _hyperbolic_cosine,
    "Tanh": "tanh({0})",
    "Asinh": "asinh({0})",
    "Acosh": _within("acosh({0})", "{0} >= 1"),
    "Atanh": _within("atanh({0})", "{0} BETWEEN -1 AND 1"),
    "ToDegrees": "degrees({0})",
    "ToRadians": "radians({0})",
    "Factorial": _factorial,
    "WidthBucket": _bucket,
    "Bin": _binary,
    "BitwiseCount": _bits_counted,
    "BitwiseGet": _bit,
    "ShiftLeft": _shifted,
    "ShiftRightUnsigned": _shifted,
}
