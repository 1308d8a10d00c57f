"""Catalyst's physical plan as Python data: what PlanReader.java wrote, read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from aflint.events import PlanInfo
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.types import Type, parse_type

_MOST_TEXT: Final = 1000


@dataclass(frozen=True, slots=True, eq=False)
class Expression:
    """An expression by the name of its class in Catalyst, with its constructor's parameters as
    `fields`. Named ones have a `name`, and an `id` that is theirs alone in the plan.
    """

    kind: str
    children: tuple[Expression, ...]
    fields: Mapping[str, Any]
    json_type: Any = None
    nullable: bool = True
    name: str = ""
    id: int = -1

    @property
    def type(self) -> Type:
        """The type of its values. Raises UnsupportedPlanError for a type that is refused."""
        try:
            return parse_type(self.json_type)
        except UnsupportedPlanError as error:
            raise UnsupportedPlanError(f"{error.what} of {self}", "", error.instead) from None

    @property
    def column(self) -> str:
        """The column that holds a named expression's values."""
        return f"c{self.id}"

    @property
    def mode(self) -> str:
        """ANSI, TRY or LEGACY, for an expression that can fail."""
        context = self.fields.get("evalContext")
        return str(
            context["evalMode"]
            if isinstance(context, dict)
            else self.fields.get("evalMode", "ANSI" if self.fields.get("failOnError") else "LEGACY")
        )

    def walk(self) -> Iterator[Expression]:
        """Yield this expression and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()

    def __str__(self) -> str:
        if self.kind == "Literal":
            return str(self.fields["value"])
        if self.name:
            return self.name
        return f"{self.kind}({', '.join(map(str, self.children))})"


@dataclass(frozen=True, slots=True, eq=False)
class PlanNode:
    """A step of a physical plan. The same object stands wherever the plan has the same step, so
    that a reused exchange is one object.
    """

    kind: str
    id: int
    children: tuple[PlanNode, ...]
    output: tuple[Expression, ...]
    fields: Mapping[str, Any] = field(repr=False)
    info: PlanInfo = field(repr=False)

    @property
    def child(self) -> PlanNode:
        """The only child."""
        (only,) = self.children
        return only

    def expressions(self, name: str) -> list[Expression]:
        """Return a field that is a list of expressions."""
        found: list[Expression] = self.fields[name]
        return found

    def __str__(self) -> str:
        return self.kind.removesuffix("Exec")

    def walk(self) -> Iterator[PlanNode]:
        """Yield this node and all below it."""
        yield self
        for child in self.children:
            yield from child.walk()


def parse_plan(json: Any) -> PlanNode:
    """Return the plan that PlanReader.java wrote."""
    return _Parser().plan(json)


class _Parser:
    def __init__(self) -> None:
        self._known: dict[int, PlanNode] = {}

    def plan(self, json: Any) -> PlanNode:
        if "ref" in json:
            return self._known[json["ref"]]
        children = tuple(map(self.plan, json["children"]))
        node = PlanNode(
            kind=json["class"],
            id=json["id"],
            children=children,
            output=tuple(map(self.expression, json["output"])),
            fields={name: self._value(value, children) for name, value in json["fields"].items()},
            info=PlanInfo(
                json["nodeName"], json["text"][:_MOST_TEXT], tuple(each.info for each in children)
            ),
        )
        self._known[node.id] = node
        return node

    def expression(self, json: Any) -> Expression:
        children = tuple(map(self.expression, json["children"]))
        literal = json["class"] == "Literal"  # whose value is data, whatever it looks like
        return Expression(
            kind=json["class"],
            children=children,
            fields=json["fields"]
            if literal
            else {name: self._value(value, children) for name, value in json["fields"].items()},
            json_type=json.get("type"),
            nullable=json.get("nullable", True),
            name=json.get("name", ""),
            id=json.get("exprId", -1),
        )

    def _value(self, value: Any, children: tuple[Any, ...]) -> Any:
        if isinstance(value, list):
            return [self._value(each, children) for each in value]
        if not isinstance(value, dict):
            return value
        if "child" in value and len(value) == 1:
            return children[value["child"]]
        if "ref" in value and len(value) == 1:
            return self._known[value["ref"]]
        if "children" in value and "fields" in value and "class" in value:
            return self.plan(value) if "output" in value else self.expression(value)
        return {name: self._value(each, children) for name, each in value.items()}
