"""Rounding, roots, logarithms and their like."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Rule

RULES: dict[str, Rule] = {
    "Exp": "exp({0})",
    "Floor": "floor({0})",
    "Ceil": "ceil({0})",
    "Signum": "sign({0})",
}
