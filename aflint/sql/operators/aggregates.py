"""Grouping and aggregation, in part before an exchange and to the end after it."""

from __future__ import annotations

from dataclasses import dataclass, field

from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.expressions.aggregates import rule_of
from aflint.sql.expressions.orders import comparable
from aflint.sql.expressions.parts import Aggregate
from aflint.sql.operators.basic import selected, unsorted
from aflint.sql.plan import Expression, PlanNode
from aflint.sql.stages import Relation, Stage

_MERGES = ("PartialMerge", "Final")
_ENDS = ("Final", "Complete")
_EXCHANGE = "ShuffleExchangeExec"
_REUSED = "ReusedExchangeExec"
_BETWEEN = (_EXCHANGE, _REUSED)


def _aggregate(node: PlanNode, stage: Stage) -> Relation:
    if (begun := _begun_below(node, stage)) is not None:
        return _complete(node, begun, stage)
    child = stage.relation(unsorted(node.child))
    keys = node.expressions("groupingExpressions")
    calls = [_Call.of(each) for each in node.expressions("aggregateExpressions")]
    results = node.expressions("resultExpressions")
    items = [f"{stage.emit(key)} AS {key.column}" for key in keys]
    columns = {key.column: key.type.duckdb for key in keys}
    _read_buffers(calls, child, node.child.output)
    ends = not calls or calls[0].ends
    attributes = node.expressions("aggregateAttributes") if ends else results[len(keys) :]
    for call in calls:
        made = call.ended(stage) if ends else call.buffers(stage)
        for (sql, kind), attribute in zip(made, attributes, strict=False):
            items.append(f"CAST({sql} AS {kind}) AS {attribute.column}")
            columns[attribute.column] = kind
        attributes = attributes[len(made) :]
    if not items:
        items, columns = ["count(*) AS nothing"], {"nothing": "BIGINT"}
    groups = _group_by(keys) + (stage.settled(node, _orders(keys)) if ends else "")
    grouped = Relation(f"SELECT {', '.join(items)} FROM ({child.sql}){groups}", columns)
    return selected(results, f"FROM ({grouped.sql})", stage.emit) if ends else grouped


def _group_by(keys: list[Expression]) -> str:
    return f" GROUP BY {', '.join(str(i + 1) for i in range(len(keys)))}" if keys else ""


def _orders(keys: list[Expression]) -> list[str]:
    return [f"{comparable(key.column, key.type)} NULLS FIRST" for key in keys]


@dataclass(frozen=True, slots=True)
class _Begun:
    """The step that begins what an aggregation ends, and the exchange between them that other
    aggregations read, too, if there is one.
    """

    partial: PlanNode
    exchange: PlanNode | None


def _begun_below(node: PlanNode, stage: Stage) -> _Begun | None:
    """Return the step that begins what an aggregation ends, where the stage has both."""
    below, reused = unsorted(node.child), None
    while stage.whole and below.kind in _BETWEEN:
        exchange = below.fields["child"] if below.kind == _REUSED else below
        if exchange.kind != _EXCHANGE:
            return None
        if exchange.id in stage.compiler.reused:
            reused = exchange
        below = unsorted(exchange.child)
    modes = {each.fields["mode"] for each in node.expressions("aggregateExpressions")}
    if below.kind not in OPERATORS or modes != {"Final"}:
        return None
    began = {each.fields["mode"] for each in below.expressions("aggregateExpressions")}
    return _Begun(below, reused) if began == {"Partial"} else None


def _complete(node: PlanNode, begun: _Begun, stage: Stage) -> Relation:
    """Aggregate at once what Spark would in part before an exchange and to the end after it; once
    for all that read the exchange.
    """
    if begun.exchange is None:
        groups = _groups(begun.partial, stage)
    else:
        place = ("groups", begun.exchange.id)
        groups = stage.once(place, lambda: _groups(begun.partial, stage))
    ended = (*node.expressions("groupingExpressions"), *node.expressions("aggregateAttributes"))
    pairs = zip(ended, groups.columns, strict=True)
    named = ", ".join(f"{column} AS {each.column}" for each, column in pairs)
    order = stage.settled(node, _orders(node.expressions("groupingExpressions")))
    source = f"FROM (SELECT {named or '*'} FROM ({groups.sql}){order})"
    return selected(node.expressions("resultExpressions"), source, stage.emit)


def _groups(partial: PlanNode, stage: Stage) -> Relation:
    """Return the keys and the values of the groups that a step begins, under names of their own."""
    child = stage.relation(unsorted(partial.child))
    keys = partial.expressions("groupingExpressions")
    made = [(stage.emit(key), key.type.duckdb) for key in keys]
    for call in partial.expressions("aggregateExpressions"):
        made += _Call.of(call).ended(stage)
    columns = {f"g{place}": kind for place, (_, kind) in enumerate(made)}
    typed = zip(made, columns, strict=True)
    items = ", ".join(f"CAST({sql} AS {kind}) AS {name}" for (sql, kind), name in typed)
    return Relation(f"SELECT {items} FROM ({child.sql}){_group_by(keys)}", columns)


def _read_buffers(calls: list[_Call], child: Relation, output: tuple[Expression, ...]) -> None:
    """Tell calls that merge where their buffers are: the last columns of the input, in order."""
    merging = [call for call in calls if call.merges]
    places = list(output[len(output) - sum(call.width for call in merging) :])
    for call in merging:
        call.places = [each.column for each in places[: call.width]]
        del places[: call.width]


@dataclass(slots=True)
class _Call:
    """One aggregate function of a step; `width` is how many columns Spark keeps for it."""

    call: Expression
    function: Expression
    rule: Aggregate
    width: int
    places: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, call: Expression) -> _Call:
        """Return a call by its rule. Raises UnsupportedPlanError where there is none."""
        function: Expression = call.fields["aggregateFunction"]
        rule = rule_of(function)
        if rule is None:
            raise UnsupportedPlanError(f"the aggregate function {function} ({function.kind})")
        return cls(call, function, rule, int(function.fields["bufferWidth"]))

    @property
    def merges(self) -> bool:
        return self.call.fields["mode"] in _MERGES

    @property
    def ends(self) -> bool:
        return self.call.fields["mode"] in _ENDS

    def _parts(self, stage: Stage) -> list[str]:
        """Return the calls that make each part for a group."""
        parts, function = self.rule.parts, self.function
        if self.merges:
            held = self.places[: len(parts)]
            if len(parts) > self.width:  # see `buffers`
                held = [f"{self.places[0]}.p{i}" for i in range(len(parts))]
            return [part.merged(function, held) for part in parts]
        arguments = self.rule.arguments(function, stage.emit.all(list(function.children)))
        chosen = self.call.fields["filter"]
        condition = stage.emit(chosen) if chosen is not None else ""
        return [part.updated(function, arguments, condition) for part in parts]

    def ended(self, stage: Stage) -> list[tuple[str, str]]:
        """Return the function's value, with its type."""
        return [(self.rule.finish(self.function, self._parts(stage)), self.call.type.duckdb)]

    def buffers(self, stage: Stage) -> list[tuple[str, str]]:
        """Return what is kept of a group, with types, in exactly as many columns as Spark has.

        Where these are too few, the first has all parts as a struct.
        """
        parts = self._parts(stage)
        kinds = [part.kind(self.function) for part in self.rule.parts]
        if len(parts) > self.width:
            members = ", ".join(f"p{i} := {sql}" for i, sql in enumerate(parts))
            fields = ", ".join(f"p{i} {kind}" for i, kind in enumerate(kinds))
            parts, kinds = [f"struct_pack({members})"], [f"STRUCT({fields})"]
        missing = self.width - len(parts)
        return [*zip(parts, kinds, strict=True), *[("NULL", "INTEGER")] * missing]


OPERATORS = {
    "HashAggregateExec": _aggregate,
    "ObjectHashAggregateExec": _aggregate,
    "SortAggregateExec": _aggregate,
}
