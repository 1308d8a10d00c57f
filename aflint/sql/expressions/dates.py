"""Dates and times."""

from __future__ import annotations

from aflint.sql.expressions.emitter import Rule

RULES: dict[str, Rule] = {
    "Year": "year({0})",
    "Month": "month({0})",
    "DayOfMonth": "day({0})",
    "Quarter": "quarter({0})",
    "DayOfYear": "dayofyear({0})",
    "DateAdd": "({0} + {1}::INTEGER)",
    "DateSub": "({0} - {1}::INTEGER)",
    "DateDiff": "({0} - {1})",
}
