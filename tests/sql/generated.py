"""Expressions and queries made up at random, from a seed, over the table `f` of
tests/sql/test_functions.py.

Each is of a type that its place needs, so that Spark accepts nearly all of them.
"""

from __future__ import annotations

from random import Random

EXPRESSIONS = {
    "int": (
        "i", "j", "id", "CAST(b AS int)", "CAST(s AS int)", "{number}", "length({text})",
        "abs({int} % 1000)", "({int} % 7)", "coalesce({int}, {int})", "if({bool}, {int}, {int})",
        "least({int}, {int})", "greatest({int}, {int})", "year({date})", "month({date})",
        "dayofweek({date})", "datediff({date}, {date})", "instr({text}, {text})", "size({array})",
        "CAST(array_position({array}, {int}) AS int)", "ascii({text})", "try_add({int}, {int})",
        "try_subtract({int}, {int})", "pmod({int}, 5)", "({int} & {int})", "({int} | {int})",
        "CASE WHEN {bool} THEN {int} WHEN {bool} THEN {int} END", "nullif({int}, {int})",
        "try_element_at({array}, {number})", "array_max({array})", "try_cast({text} AS int)",
        "aggregate({array}, 0, (total, x) -> try_add(total, coalesce(x, 1)))", "hour(ts)",
        "find_in_set({text}, {text})", "locate({text}, {text})", "CAST(sign({double}) AS int)",
        "bit_count({int})", "weekofyear({date})", "shiftright({int}, 2)", "ceil({dec}) % 100",
    ),
    "text": (
        "t", "u", "{word}", "upper({text})", "lower({text})", "trim({text})", "reverse({text})",
        "substring({text}, {number}, {number})", "concat({text}, {text})",
        "lpad({text}, 6, {word})", "rpad({text}, 3, {word})", "replace({text}, {word}, {word})",
        "coalesce({text}, {text})", "if({bool}, {text}, {text})", "CAST({int} AS string)",
        "CAST({double} AS string)", "CAST({date} AS string)", "CAST({dec} AS string)",
        "CAST({bool} AS string)", "repeat({text}, 2)", "substring_index({text}, ',', {number})",
        "regexp_replace({text}, '[a-c]', 'Z')", "get(split({text}, ','), 1)",
        "regexp_extract({text}, '([0-9]+)', 1)", "concat_ws('-', {text}, {text})",
        "array_join(texts, '+', '?')", "initcap({text})", "translate({text}, 'ab', 'x')",
        "date_format({date}, 'yyyy/M/d')", "hex({int})", "md5({text})", "left({text}, {number})",
        "CAST({array} AS string)", "to_json({array})", "bin({int})", "split_part({text}, ',', 1)",
        "nullif({text}, {text})", "overlay({text} PLACING {word} FROM 2)", "date_format(ts, 'H:m')",
    ),
    "double": (
        "e", "CAST({int} AS double)", "sqrt(abs({double}))", "round({double}, 2)", "abs({double})",
        "({double} + {double})", "({double} * 0.5D)", "nanvl({double}, 1D)", "(- {double})",
        "if({bool}, {double}, {double})", "coalesce({double}, {double})", "CAST({dec} AS double)",
        "least({double}, {double})", "greatest({double}, {double})",
        "try_divide({double}, {double})",
        "bround({double}, 1)", "rint({double})", "try_cast({text} AS double)", "({double} % 3)",
    ),
    "bool": (
        "p", "q", "{int} < {int}", "{int} = {int}", "{int} <=> {int}", "{text} = {text}",
        "{text} < {text}", "{date} <= {date}", "({bool} AND {bool})", "({bool} OR {bool})",
        "(NOT {bool})", "{int} IS NULL", "{text} IS NOT NULL", "{int} IN (0, {int}, 3)",
        "{text} LIKE '%a%'", "{text} rlike '^[a-z]'", "contains({text}, {text})",
        "array_contains({array}, {int})", "exists({array}, x -> x > {int})", "{double} > {double}",
        "forall({array}, x -> x IS NOT NULL)", "startswith({text}, {text})", "{dec} >= {dec}",
        "arrays_overlap({array}, {array})", "isnan({double})", "{int} BETWEEN {int} AND {int}",
    ),
    "date": (
        "nice", "date_add({date}, {number})", "last_day({date})", "add_months({date}, {number})",
        "trunc({date}, 'MM')", "trunc({date}, 'week')", "if({bool}, {date}, {date})",
        "coalesce({date}, {date})", "next_day({date}, 'TU')", "CAST(ts AS date)",
        "date '2020-02-29'", "greatest({date}, {date})", "try_cast({text} AS date)",
    ),
    "array": (
        "a", "array({int}, {int})", "array_distinct({array})", "sort_array({array})",
        "filter({array}, x -> x > {int})", "transform({array}, x -> try_add(x, {int}))",
        "slice({array}, 1, 2)", "array_union({array}, {array})", "reverse({array})",
        "array_except({array}, {array})", "coalesce({array}, {array})", "array_compact({array})",
        "array_intersect({array}, {array})", "if({bool}, {array}, {array})",
        "array_append({array}, {int})", "array_remove({array}, {int})", "array_repeat({int}, 2)",
        "zip_with({array}, {array}, (x, y) -> coalesce(x, y))", "sequence(1, j)",
    ),
    "dec": (
        "dec", "({dec} + dec)", "round({dec}, 1)", "CAST({int} % 100000 AS decimal(10, 2))",
        "abs({dec})", "if({bool}, {dec}, {dec})", "coalesce({dec}, dec)", "least({dec}, {dec})",
        "(dec * 2)", "(- {dec})", "try_divide(dec, 3)",
    ),
    "number": ("0", "1", "2", "3", "-1", "-2", "5"),
    "word": ("'a'", "'b'", "''", "'x1'", "'é'", "','"),
}  # fmt: skip
AGGREGATES = (
    "count(*)", "count({int})", "sum({int} % 1000)", "min({text})", "max({date})", "avg({dec})",
    "max({int})", "sort_array(collect_list({int}))", "count(DISTINCT {int})", "bool_or({bool})",
    "sum({dec})", "sort_array(collect_set({text}))", "percentile({int}, 0.5)", "min({double})",
    "count({int}) FILTER (WHERE {bool})", "max_by(id, id)", "count_if({bool})",
)  # fmt: skip
QUERIES = (
    "SELECT {int} AS a, {text} AS b FROM f WHERE {bool}",
    "SELECT DISTINCT {int} AS a, {bool} AS b FROM f",
    "SELECT {int} AS k, {aggregate} AS a, {aggregate} AS b FROM f GROUP BY 1",
    "SELECT {aggregate} AS a, {aggregate} AS b FROM f WHERE {bool}",
    "SELECT {text} AS k, {aggregate} AS a FROM f GROUP BY 1 HAVING count(*) > 1",
    "SELECT {bool} AS k, {int} AS l, count(*) AS n FROM f GROUP BY CUBE (1, 2)",
    "SELECT l.id, r.id AS other FROM f l {join} JOIN f r ON {left} = {right}",
    "SELECT l.id, r.id AS other FROM f l {join} JOIN f r ON {left} = {right} AND l.id < r.j",
    "SELECT id FROM f l LEFT SEMI JOIN (SELECT {int} AS k FROM f WHERE {bool}) r ON l.j = r.k",
    "SELECT id FROM f l LEFT ANTI JOIN (SELECT {int} AS k FROM f WHERE {bool}) r ON l.j = r.k",
    "SELECT id FROM f WHERE j {not} IN (SELECT {int} FROM f WHERE {bool})",
    "SELECT id FROM f l WHERE {not} EXISTS (SELECT 1 FROM f r WHERE r.j = l.j AND r.id <> l.id)",
    "SELECT id, (SELECT max({int}) FROM f) AS m FROM f WHERE {bool}",
    "SELECT {int} AS a, {text} AS b FROM f {set} SELECT {int}, {text} FROM f",
    "SELECT id, {aggregate} OVER (PARTITION BY {bool} ORDER BY id) AS w FROM f",
    "SELECT id, row_number() OVER (PARTITION BY {bool} ORDER BY {int}, id) AS w FROM f",
    "SELECT id, lag({int}) OVER (ORDER BY id) AS w, rank() OVER (ORDER BY {int}) AS r FROM f",
    "SELECT id, x FROM f LATERAL VIEW OUTER explode({array}) AS x",
    "SELECT x, count(*) AS n FROM f LATERAL VIEW explode({array}) AS x GROUP BY x",
    "SELECT id, {text} AS b FROM f ORDER BY {int}, id LIMIT 3",
    "WITH g AS (SELECT {int} AS k, {aggregate} AS v FROM f GROUP BY 1) "
    "SELECT l.k, count(*) AS n FROM g l JOIN g r ON l.k = r.k GROUP BY l.k",
)
_SIDES = ("{}.j", "{}.i", "{}.id", "abs({}.j)", "coalesce({}.j, 0)", "{}.j + 1")
_CHOICES = {
    "join": ("INNER", "LEFT", "RIGHT", "FULL"),
    "not": ("", "NOT"),
    "set": ("UNION", "UNION ALL", "EXCEPT", "INTERSECT", "EXCEPT ALL", "INTERSECT ALL"),
}


def expression(random: Random, kind: str, depth: int) -> str:
    """Return an expression of a kind, nested at most so deep."""
    listed = EXPRESSIONS[kind]
    flat = [each for each in listed if "{" not in each]
    template = random.choice(listed if depth > 0 else flat)
    return _filled(random, template, depth - 1)


def query(random: Random) -> str:
    """Return a query."""
    return _filled(random, random.choice(QUERIES), 1)


def _filled(random: Random, template: str, depth: int) -> str:
    out, rest = [], template
    while "{" in rest:
        before, _, rest = rest.partition("{")
        name, _, rest = rest.partition("}")
        out += [before, _place(random, name, depth)]
    return "".join([*out, rest])


def _place(random: Random, name: str, depth: int) -> str:
    if name in _CHOICES:
        return random.choice(_CHOICES[name])
    if name == "aggregate":
        return _filled(random, random.choice(AGGREGATES), depth)
    if name in ("left", "right"):
        return random.choice(_SIDES).format(name[0])
    return expression(random, name, depth)
