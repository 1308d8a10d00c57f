"""Catalyst's expressions as SQL of DuckDB's: an allow-list, a table for each family.

A family is a module with a table `RULES`: from the name of an expression's class in Catalyst to a
rule that writes it. A rule is a template in which `{0}`, `{1}` ... stand for the children and
`{*}` for all of them, whose value is cast to the expression's type; or a function that is given
the expression and the emitter, and returns SQL whose type is exactly the expression's. What is in
no table is refused.

Spark's answer is the right one: each rule has a row in tests/sql/test_expressions.py, which
compares it with Spark's own.
"""

from __future__ import annotations

from collections.abc import Mapping

from aflint.sql.expressions import (
    arithmetic,
    casts,
    collections,
    conditional,
    csvs,
    dates,
    hashes,
    invokes,
    jsons,
    lambdas,
    math,
    names,
    predicates,
    random,
    regex,
    strings,
    windows,
)
from aflint.sql.expressions.emitter import Emitter as Emitter
from aflint.sql.expressions.emitter import Rule

_FAMILIES = (
    arithmetic,
    casts,
    collections,
    conditional,
    csvs,
    dates,
    hashes,
    invokes,
    jsons,
    lambdas,
    math,
    names,
    predicates,
    random,
    regex,
    strings,
    windows,
)


def _all_rules() -> Mapping[str, Rule]:
    rules: dict[str, Rule] = {}
    for family in _FAMILIES:
        twice = rules.keys() & family.RULES.keys()
        assert not twice, f"{family.__name__} has rules that another family has: {sorted(twice)}"
        rules.update(family.RULES)
    return rules


RULES = _all_rules()
