"""Python functions: what they are given is a stage of its own, and what they return is read by the
next, in the same task.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from aflint.plan.lineage import Mapped, PerPartition
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions import windows
from aflint.sql.expressions.orders import ordered
from aflint.sql.operators.basic import selected, unsorted
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.python_arrow import GROUP, LEFT, RIGHT, Given, OverArrow
from aflint.sql.python_rows import Function, RowByRow
from aflint.sql.results import Named
from aflint.sql.stages import Relation, Stage, in_order
from aflint.sql.types import parse_type, quoted

_FUNCTIONS = ("PythonUDF", "PythonUDAF")
_ARROW_BATCHED = 101
"""PySpark's number of the kind of a plain UDF over Arrow."""


@dataclass(slots=True)
class _Arguments:
    """The columns that functions are given, beside those of their input."""

    stage: Stage
    items: list[str] = field(default_factory=list)
    columns: list[tuple[str, Expression]] = field(default_factory=list)

    def add(self, value: Expression, sql: str = "") -> int:
        """Add the value of an expression, which may have its SQL already, and return its place."""
        column = self.stage.name("argument")
        self.items.append(f"{sql or self.stage.emit(value)} AS {column}")
        self.columns.append((column, value))
        return len(self.columns) - 1

    def function(self, call: Expression) -> Function:
        """Return a function, with the columns of its arguments added.

        One whose only argument is another function is called with what that returns, unconverted.
        """
        commands: list[bytes] = []
        while True:
            commands.insert(0, self.stage.compiler.settings.functions[_command(call)])
            if len(call.children) != 1 or call.children[0].kind not in _FUNCTIONS:
                break
            call = call.children[0]
        arguments = []
        for child in call.children:
            named = child.kind == "NamedArgumentExpression"
            value = child.children[0] if named else child
            arguments.append((str(child.fields["key"]) if named else "", self.add(value)))
        return Function(tuple(commands), tuple(arguments))

    @property
    def given(self) -> Given:
        columns = tuple(column for column, _ in self.columns)
        fields = [(f"_{i}", each) for i, (_, each) in enumerate(self.columns)]
        return Given(columns, _schema(fields))


def _command(call: Expression) -> str:
    return str(call.fields["func"]["command"])


def _schema(columns: Iterable[tuple[str, Expression]]) -> dict[str, Any]:
    """Return a schema in PySpark's JSON."""
    fields = [
        {"name": name, "type": each.json_type, "nullable": each.nullable, "metadata": {}}
        for name, each in columns
    ]
    return {"type": "struct", "fields": fields}


def _results(output: Iterable[Expression]) -> tuple[tuple[str, Any], ...]:
    return tuple((each.column, each.json_type) for each in output)


def _types(output: Iterable[Expression]) -> dict[str, str]:
    return {each.column: each.type.duckdb for each in output}


def _made(
    node: PlanNode, stage: Stage, below: Stage, query: str, task: Any, columns: dict[str, str]
) -> Relation:
    """Read what a task makes of a query's batches."""
    rows = below.lineage(f"{node} (arguments)", query)
    made = Mapped(name=str(node), parent=rows, operator=PerPartition(task))
    return stage.read(made, columns or {"nothing": "INTEGER"})


def _evaluated(node: PlanNode, stage: Stage) -> Relation:
    """Functions of one row, or of a column of rows: columns added to the rows."""
    below = Stage(stage.compiler)
    child = in_order(below.relation(node.child), node.child.output)
    arguments = _Arguments(below)
    calls = node.expressions("udfs")
    functions = tuple(map(arguments.function, calls))
    added = node.expressions("resultAttrs")
    query = f"SELECT {', '.join(['*', *arguments.items])} FROM ({child.sql})"
    passed = tuple(child.columns)
    task: Any
    if node.kind == "BatchEvalPythonExec":
        given = tuple(Named(c, each.type, c) for c, each in arguments.columns)
        kinds = tuple((each.column, each.type) for each in added)
        task = RowByRow(functions, given, passed, kinds)
    else:
        eval_type = int(node.fields["evalType"])
        inputs = arguments.given
        plain = eval_type == _ARROW_BATCHED
        evaluation = {"input_type": json.dumps(inputs.schema)} if plain else {}
        task = OverArrow(
            eval_type,
            functions,
            (inputs,),
            "rows",
            _results(added),
            stage.compiler.settings.python(),
            passed,
            evaluation=evaluation,
        )
    return _made(node, stage, below, query, task, {**child.columns, **_types(added)})


def _mapped(node: PlanNode, stage: Stage) -> Relation:
    """Functions of a partition's rows."""
    if node.fields.get("isBarrier"):
        raise UnsupportedPlanError("mapInPandas and mapInArrow with barrier=True")
    below = Stage(stage.compiler)
    child = in_order(below.relation(node.child), node.child.output)
    call: Expression = node.fields["func"]
    given = Given(
        tuple(each.column for each in node.child.output) or tuple(child.columns),
        _schema((each.name, each) for each in node.child.output),
        packed=True,
    )
    return _flat(node, stage, below, child.sql, (given,), "rows", call, ())


def _flat(
    node: PlanNode,
    stage: Stage,
    below: Stage,
    query: str,
    given: tuple[Given, ...],
    how: str,
    call: Expression,
    places: tuple[int, ...],
) -> Relation:
    """A function that gives rows of its own."""
    settings = stage.compiler.settings
    function = Function(
        (settings.functions[_command(call)],), tuple(("", place) for place in places)
    )
    task = OverArrow(
        int(call.fields["evalType"]),
        (function,),
        given,
        how,
        _results(node.output),
        settings.python(),
        unpacks=True,
    )
    return _made(node, stage, below, query, task, _types(node.output))


def _keyed(
    keys: list[Expression], values: list[Expression]
) -> tuple[list[Expression], tuple[int, ...]]:
    """Return the columns that a group has, each once, and how PySpark's worker is told which are
    keys and which are values: how many numbers follow, how many keys there are, and the places of
    both.
    """
    columns = list({each.column: each for each in (*keys, *values)}.values())
    place = {each.column: i for i, each in enumerate(columns)}
    places = [place[each.column] for each in (*keys, *values)]
    return columns, (len(places) + 1, len(keys), *places)


def _numbered(keys: list[str]) -> str:
    """Return the number of a row's group, in the order that Spark sorts groups in."""
    if not keys:
        return f"0 AS {GROUP}"
    return f"dense_rank() OVER (ORDER BY {', '.join(f'{k} NULLS FIRST' for k in keys)}) AS {GROUP}"


_PACKED_GROUPS = (209, 215)
"""PySpark's numbers of functions that are given a group of Arrow's as one column."""


def _grouped_map(node: PlanNode, stage: Stage) -> Relation:
    below = Stage(stage.compiler)
    plan = unsorted(node.child)
    child = in_order(below.relation(plan), plan.output)
    keys = node.expressions("groupingAttributes")
    number = _numbered([each.column for each in keys])
    query = f"SELECT *, {number} FROM ({child.sql}) ORDER BY {GROUP}"
    call: Expression = node.fields["func"]
    columns, places = _keyed(keys, list(call.children))
    given = Given(
        tuple(each.column for each in columns),
        _schema((each.name, each) for each in columns),
        packed=int(call.fields["evalType"]) in _PACKED_GROUPS,
    )
    return _flat(node, stage, below, query, (given,), "groups", call, places)


def _cogrouped_map(node: PlanNode, stage: Stage) -> Relation:
    """The rows of both sides as structs, numbered by the keys of both."""
    below = Stage(stage.compiler)
    call: Expression = node.fields["func"]
    sides, queries = [], []
    places: tuple[int, ...] = ()
    for group, plan in zip(("leftGroup", "rightGroup"), node.children, strict=True):
        plan = unsorted(plan)
        child = in_order(below.relation(plan), plan.output)
        keys = node.expressions(group)
        values = list(plan.output[len(keys) :])  # keys come first, and again if they are columns
        columns, told = _keyed(keys, values)
        names = tuple(f"f{i}" for i in range(len(columns)))
        pairs = zip(names, columns, strict=True)
        packed = ", ".join(f"{quoted(name)} := {each.column}" for name, each in pairs)
        numbers = ", ".join(f"{each.column} AS k{i}" for i, each in enumerate(keys))
        queries.append(f"SELECT struct_pack({packed}) AS side, {numbers} FROM ({child.sql})")
        sides.append(Given(names, _schema((each.name, each) for each in columns)))
        places = (*places, *told)
    keys_of_both = ", ".join(f"k{i}" for i in range(len(node.expressions("leftGroup"))))
    both = (
        f"SELECT side AS {LEFT}, NULL AS {RIGHT}, {keys_of_both} FROM ({queries[0]}) "
        f"UNION ALL SELECT NULL, side, {keys_of_both} FROM ({queries[1]})"
    )
    number = _numbered(keys_of_both.split(", "))
    query = f"SELECT {LEFT}, {RIGHT}, {number} FROM ({both}) ORDER BY {GROUP}"
    return _flat(node, stage, below, query, tuple(sides), "sides", call, places)


def _aggregated(node: PlanNode, stage: Stage) -> Relation:
    """Functions of a group's columns that give one value."""
    below = Stage(stage.compiler)
    child = below.relation(unsorted(node.child))
    keys = node.expressions("groupingExpressions")
    arguments = _Arguments(below)
    calls = node.expressions("aggExpressions")
    functions = tuple(arguments.function(each.fields["aggregateFunction"]) for each in calls)
    items = [f"{below.emit(key)} AS {key.column}" for key in keys]
    columns = {key.column: key.type.duckdb for key in keys}
    inner = f"SELECT {', '.join([*items, *arguments.items]) or '1 AS nothing'} FROM ({child.sql})"
    query = f"SELECT *, {_numbered(list(columns))} FROM ({inner}) ORDER BY {GROUP}"
    added = [(f"c{each.fields['resultId']}", each.json_type) for each in calls]
    task = OverArrow(
        int(node.fields["evalType"]),
        functions,
        (arguments.given,),
        "groups",
        tuple(added),
        stage.compiler.settings.python(),
        tuple(columns),
        passes_first=True,
    )
    columns |= {column: parse_type(kind).duckdb for column, kind in added}
    made = _made(node, stage, below, query, task, columns)
    return selected(node.expressions("resultExpressions"), f"FROM ({made.sql})", stage.emit)


_PLACE = Expression("FrameEnd", (), {}, "integer", nullable=False)
_WINDOW_TYPES = {202: 203, 252: 253}
"""Of PySpark's numbers, those of functions of windows for those of functions of groups."""


def _frame_ends(spec: Expression, order: str, stage: Stage) -> list[str]:
    """Return where a row's frame begins and ends among the rows of its group, or nothing where it
    is always the whole group.
    """
    frame: Expression = spec.fields["frameSpecification"]
    if [each.kind for each in frame.children] == ["UnboundedPreceding", "UnboundedFollowing"]:
        return []
    if frame.fields["frameType"] == "RowFrame":  # among equals, by the places that were given
        order = "ORDER BY place"
    rows = windows.frame_of(frame, spec.fields["orderSpec"], stage.emit)
    over = f"OVER (PARTITION BY {GROUP} {order} {rows})"
    return [
        f"CAST(coalesce({end}, 0) AS INTEGER)"
        for end in (f"min(place) {over}", f"max(place) {over} + 1")
    ]


def _windowed(node: PlanNode, stage: Stage) -> Relation:
    """Functions of the rows around a row: where each frame begins and ends goes with the rows."""
    below = Stage(stage.compiler)
    plan = unsorted(node.child)
    child = in_order(below.relation(plan), plan.output)
    emit = below.emit
    parts = emit.all(node.expressions("partitionSpec"))
    orders = node.expressions("orderSpec")
    by = f"PARTITION BY {', '.join(parts)} " if parts else ""
    order = f"ORDER BY {ordered(orders, emit)}" if orders else ""
    placed = (
        f"SELECT *, row_number() OVER ({by}{order}) - 1 AS place, {_numbered(parts)} "
        f"FROM ({child.sql})"
    )
    arguments = _Arguments(below)
    functions, bounds = [], []
    for each in node.expressions("windowExpression"):
        written = next(part for part in (each, *each.children) if part.kind == "WindowExpression")
        call, spec = written.children
        call = call.fields.get("aggregateFunction", call)
        ends = _frame_ends(spec, order, below)
        bounds.append("bounded" if ends else "unbounded")
        places = tuple(("", arguments.add(_PLACE, end)) for end in ends)
        made = arguments.function(call)
        functions.append(Function(made.commands, (*places, *made.arguments)))
    added = node.expressions("windowExpression")
    query = f"SELECT {', '.join(['*', *arguments.items])} FROM ({placed}) ORDER BY {GROUP}, place"
    settings = {**stage.compiler.settings.python(), "window_bound_types": ",".join(bounds)}
    task = OverArrow(
        _WINDOW_TYPES.get(kind := int(node.fields["evalType"]), kind),
        tuple(functions),
        (arguments.given,),
        "groups",
        _results(added),
        settings,
        tuple(child.columns),
    )
    return _made(node, stage, below, query, task, {**child.columns, **_types(added)})


OPERATORS = {
    "BatchEvalPythonExec": _evaluated,
    "ArrowEvalPythonExec": _evaluated,
    "ArrowAggregatePythonExec": _aggregated,
    "ArrowWindowPythonExec": _windowed,
    "FlatMapGroupsInPandasExec": _grouped_map,
    "FlatMapGroupsInArrowExec": _grouped_map,
    "FlatMapCoGroupsInPandasExec": _cogrouped_map,
    "FlatMapCoGroupsInArrowExec": _cogrouped_map,
    "MapInPandasExec": _mapped,
    "MapInArrowExec": _mapped,
}
