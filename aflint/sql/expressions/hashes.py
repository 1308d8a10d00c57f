"""Digests and hashes."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule, cast
from aflint.sql.plan import Expression
from aflint.sql.python_functions import HASHES, TEXTS
from aflint.sql.types import Type, quoted


def _sha2(expression: Expression, emit: Emitter) -> str:
    value, bits = expression.children
    if bits.kind == "Literal" and str(bits.fields["value"]) in ("0", "256"):
        return f"sha256({emit(value)})"
    return f"{TEXTS}sha2({emit(value)}, {emit(bits)})"


def _hash(expression: Expression, emit: Emitter) -> str:
    """`hash` and `xxhash64`: each value's begins with that of what stands before it."""
    function = "xxhash64" if expression.kind == "XxHash64" else "murmur3"
    seed = f"{expression.fields['seed']}::BIGINT"
    for child in expression.children:
        seed = _of(emit(child), child.type, seed, function, emit)
    return cast(seed, expression.type.duckdb)


def _of(value: str, kind: Type, seed: str, function: str, emit: Emitter) -> str:
    match kind.name:
        case "void":
            return seed
        case "struct":

            def write(value: str, seed: str) -> str:
                made = seed
                for name, part in kind.parts:
                    made = _of(f"{value}.{quoted(name)}", part, made, function, emit)
                return made

            return emit.once([value, seed], write)
        case "boolean" | "byte" | "short" | "integer":
            form, sql = "int", f"({value})::INTEGER"
        case "date":
            form, sql = "int", f"(({value}) - DATE '1970-01-01')::INTEGER"
        case "long":
            form, sql = "long", value
        case "timestamp" | "timestamp_ntz":
            form, sql = "long", f"epoch_us({value})"
        case "decimal" if kind.precision <= 18:
            form, sql = "long", f"(({value})::DECIMAL(38, {kind.scale}) * 1e{kind.scale}::HUGEINT)"
            sql = f"{sql}::BIGINT"
        case "float" | "double":
            form, sql = kind.name, value
        case "string":
            form, sql = "bytes", f"encode({value})"
        case "binary":
            form, sql = "bytes", value
        case _:
            raise UnsupportedPlanError(f"{function} of {kind}")
    return f"{HASHES}{function}_{form}({sql}, {seed})"


RULES: dict[str, Rule] = {
    "CollationAwareMurmur3Hash": _hash,  # of what has no collation: others are refused
    "Crc32": TEXTS + "crc32({0})",
    "Md5": "md5({0})",
    "Murmur3Hash": _hash,
    "Sha1": "sha1({0})",
    "Sha2": _sha2,
    "XxHash64": _hash,
}
