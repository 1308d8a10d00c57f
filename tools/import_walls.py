"""The import-linter contract that keeps the walls between aflint's rooms.

import-linter's own contract types name what is forbidden, and fail on a module that does not exist
yet. Here each room names what it may import, so whatever nobody allowed is refused, a room that
nobody placed included.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from importlinter import Contract, ContractCheck, fields, output

ANYWHERE = "*"
ROOT = "__init__"


class Graph(Protocol):
    """The part of grimp's import graph that is needed here."""

    @property
    def modules(self) -> set[str]: ...
    def find_modules_directly_imported_by(self, module: str) -> set[str]: ...
    def get_import_details(self, *, importer: str, imported: str) -> list[Any]: ...


@dataclass(frozen=True, order=True)
class Breach:
    """One import that goes through a wall."""

    importer: str
    imported: str
    reason: str


def parse_rooms(lines: Iterable[str], leaves: Collection[str]) -> dict[str, frozenset[str]]:
    """Read `room -> other, other` lines into what each room may import; leaves are open to all."""
    rooms = {leaf: frozenset(leaves) for leaf in leaves}
    for line in lines:
        room, _, allowed = (part.strip() for part in line.partition("->"))
        rooms[room] = frozenset(name.strip() for name in allowed.split(",") if name.strip())
        rooms[room] |= frozenset(leaves)
    return rooms


def find_room(path: str, rooms: Iterable[str]) -> str | None:
    """Return the innermost of `rooms` that holds the module `path`, or None."""
    holding = [room for room in rooms if path == room or path.startswith(f"{room}.")]
    return max(holding, key=len, default=None)


def judge(importer: str, imported: str, rooms: Mapping[str, frozenset[str]]) -> str | None:
    """Return why `importer` may not import `imported` (paths inside the package), or None."""
    room = find_room(importer, rooms)
    if room is None:
        return "the importer is in no room listed in pyproject.toml"
    if ANYWHERE in rooms[room] or find_room(imported, [room, *rooms[room]]):
        return None
    return f"{room} may import {', '.join(sorted(rooms[room]))}"


def find_breaches(graph: Graph, package: str, rooms: Mapping[str, frozenset[str]]) -> list[Breach]:
    """Return every direct import inside `package` that its importer's room does not allow."""

    def inside(module: str) -> str:
        return module.removeprefix(package).lstrip(".") or ROOT

    breaches = []
    for importer in graph.modules:
        if find_room(inside(importer), rooms) is None:
            breaches.append(Breach(importer, "", "it is in no room listed in pyproject.toml"))
            continue
        for imported in graph.find_modules_directly_imported_by(importer):
            if reason := judge(inside(importer), inside(imported), rooms):
                breaches.append(Breach(importer, imported, reason))
    return sorted(breaches)


class RoomsContract(Contract):
    """Each room imports only itself, the leaves, and the rooms it lists.

    Options: `leaves`, the modules open to all; `rooms`, lines of `room -> other, other`, where `*`
    is everything and `__init__` the package itself; a dotted name is a room within a room.
    """

    type_name = "rooms"

    leaves = fields.ListField(subfield=fields.StringField())
    rooms = fields.ListField(subfield=fields.StringField())

    def check(self, graph: Any, verbose: bool) -> ContractCheck:
        """Judge every import in the graph."""
        package = self.session_options["root_packages"][0]
        rooms = parse_rooms(list(self.rooms), list(self.leaves))  # type: ignore[call-overload]
        breaches = find_breaches(graph, package, rooms)
        lines = {
            breach: [
                detail["line_number"]
                for detail in graph.get_import_details(
                    importer=breach.importer, imported=breach.imported
                )
            ]
            for breach in breaches
        }
        return ContractCheck(kept=not breaches, metadata={"breaches": lines})

    def render_broken_contract(self, check: ContractCheck) -> None:
        """Print each breach with the lines that make it."""
        for breach, lines in check.metadata["breaches"].items():
            arrow = f" -> {breach.imported} (l. {', '.join(map(str, lines))})" if lines else ""
            output.print_error(f"{breach.importer}{arrow}: {breach.reason}", bold=False)
        output.new_line()
