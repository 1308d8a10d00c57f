"""JSON."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Rule

RULES: dict[str, Rule] = {}
