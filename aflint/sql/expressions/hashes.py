"""Digests and hashes."""

from __future__ import annotations

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.emitter import Emitter, Rule
from aflint.sql.plan import Expression


def _sha2(expression: Expression, emit: Emitter) -> str:
    value, bits = expression.children
    if str(emit.literal(bits, "the bits of sha2")) not in ("0", "256"):
        raise UnsupportedPlanError("sha2 of other bits than 256")
    return f"sha256({emit(value)})"


RULES: dict[str, Rule] = {"Md5": "md5({0})", "Sha1": "sha1({0})", "Sha2": _sha2}
