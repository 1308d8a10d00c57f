"""Spark's data types, as its JSON names them, and the types of DuckDB that hold their values."""

from __future__ import annotations

import json as jsons
from dataclasses import dataclass, field, replace
from typing import Any

from aflint.sql.errors import UnsupportedPlanError

_SIMPLE = {
    "boolean": "BOOLEAN",
    "byte": "TINYINT",
    "short": "SMALLINT",
    "integer": "INTEGER",
    "long": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMPTZ",
    "timestamp_ntz": "TIMESTAMP",
    "void": "INTEGER",  # holds nothing but NULL
}
INTEGRAL = ("byte", "short", "integer", "long")
FRACTIONAL = ("float", "double")


@dataclass(frozen=True, slots=True)
class Type:
    """A type by Spark's name; `parts` are the named types that a nested one is made of: an array's
    `element`, a map's `key` and `value`, a struct's fields. Of a user-defined type, everything is
    that of the type that holds its values, and `udt` its own JSON.
    """

    name: str
    precision: int = 0
    scale: int = 0
    parts: tuple[tuple[str, Type], ...] = ()
    udt: str = field(default="", compare=False)

    @property
    def duckdb(self) -> str:
        """The type of DuckDB that holds its values."""
        match self.name:
            case "decimal":
                return f"DECIMAL({self.precision}, {self.scale})"
            case "array":
                return f"{self.part('element').duckdb}[]"
            case "map":
                return f"MAP({self.part('key').duckdb}, {self.part('value').duckdb})"
            case "struct":
                return f"STRUCT({', '.join(f'{quoted(n)} {t.duckdb}' for n, t in self.parts)})"
        return _SIMPLE[self.name]

    def part(self, name: str) -> Type:
        """Return the type of a part."""
        return dict(self.parts)[name]

    @property
    def is_integral(self) -> bool:
        return self.name in INTEGRAL

    @property
    def is_fractional(self) -> bool:
        return self.name in FRACTIONAL

    @property
    def is_numeric(self) -> bool:
        return self.is_integral or self.is_fractional or self.name == "decimal"

    def __str__(self) -> str:
        match self.name:
            case "decimal":
                return f"decimal({self.precision},{self.scale})"
            case "array" | "map":
                return f"{self.name}<{','.join(str(t) for _, t in self.parts)}>"
            case "struct":
                return f"struct<{','.join(f'{n}:{t}' for n, t in self.parts)}>"
        return self.name


def decimal(precision: int, scale: int) -> Type:
    """Return a decimal type."""
    return Type("decimal", precision, scale)


LONG, STRING = Type("long"), Type("string")


def parse_type(json: Any) -> Type:
    """Return a type that Spark wrote as JSON. Raises UnsupportedPlanError for an unknown one."""
    if isinstance(json, str):
        if json in _SIMPLE:
            return Type(json)
        if json.startswith("decimal("):
            precision, scale = json.removeprefix("decimal(").removesuffix(")").split(",")
            return decimal(int(precision), int(scale))
        raise UnsupportedPlanError(f"the type {json}", instead="Cast to another type first.")
    match json["type"]:
        case "array":
            return Type("array", parts=(("element", parse_type(json["elementType"])),))
        case "map":
            parts = ("key", parse_type(json["keyType"])), ("value", parse_type(json["valueType"]))
            return Type("map", parts=parts)
        case "struct":
            fields = ((field["name"], parse_type(field["type"])) for field in json["fields"])
            return Type("struct", parts=tuple(fields))
        case "udt" if json.get("pyClass"):
            return replace(parse_type(json["sqlType"]), udt=jsons.dumps(json))
    raise UnsupportedPlanError(f"the type {json['type']}", instead="Cast to another type first.")


def stored_type(kind: Any) -> Any:
    """Return a type in Spark's JSON with the types that hold the values of user-defined ones."""
    if isinstance(kind, list):
        return list(map(stored_type, kind))
    if not isinstance(kind, dict):
        return kind
    if kind.get("type") == "udt":
        return stored_type(kind["sqlType"])
    return {name: stored_type(part) for name, part in kind.items()}


def quoted(name: str) -> str:
    """Return a name as an identifier of SQL."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """Return a string as a literal of SQL."""
    literal = "'" + value.replace("'", "''") + "'"
    return literal if "\0" not in value else literal.replace("\0", "' || chr(0) || '")


def literal(value: Any, kind: Type) -> str:
    """Return a value of Catalyst's, as the plan reader writes it, as a literal of its type."""
    if value is None:
        return f"CAST(NULL AS {kind.duckdb})"
    match kind.name:
        case "boolean":
            return str(value).lower()
        case "string":
            return text(value)
        case "binary":
            return f"from_hex('{value}')"
        case "date":  # days since 1970
            return f"(DATE '1970-01-01' + CAST({value} AS INTEGER))"
        case "timestamp":  # microseconds since 1970
            return f"make_timestamptz(CAST({value} AS BIGINT))"
        case "timestamp_ntz":
            return f"make_timestamp(CAST({value} AS BIGINT))"
        case "array":
            element = kind.part("element")
            items = ", ".join(literal(each, element) for each in value)
            return f"CAST([{items}] AS {kind.duckdb})"
        case "map":
            keys, values = value
            key, item = kind.part("key"), kind.part("value")
            return (
                f"CAST(map([{', '.join(literal(each, key) for each in keys)}], "
                f"[{', '.join(literal(each, item) for each in values)}]) AS {kind.duckdb})"
            )
        case "struct":
            members = zip(kind.parts, value, strict=True)
            packed = ", ".join(f"{quoted(n)} := {literal(each, t)}" for (n, t), each in members)
            return f"CAST(struct_pack({packed}) AS {kind.duckdb})"
        case "float" | "double":
            return f"CAST('{value}' AS {kind.duckdb})"
    return f"CAST({value} AS {kind.duckdb})"
