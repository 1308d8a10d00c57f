from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pytest

from tools.import_walls import find_breaches, find_room, judge, parse_rooms

LEAVES = ("errors", "task")
ROOMS = parse_rooms(
    ["codec ->", "invoker ->", "plan -> ", "scheduler -> plan, invoker.base", "cli -> *"], LEAVES
)


@dataclass
class FakeGraph:
    imports: dict[str, set[str]] = field(default_factory=dict)

    @property
    def modules(self) -> set[str]:
        return set(self.imports)

    def find_modules_directly_imported_by(self, module: str) -> set[str]:
        return self.imports[module]

    def get_import_details(self, *, importer: str, imported: str) -> list[Any]:
        return [{"line_number": 1}]


@pytest.mark.parametrize(
    ("path", "rooms", "room"),
    [
        ("codec.frame", ["codec", "plan"], "codec"),
        ("codec", ["codec"], "codec"),
        ("codecs", ["codec"], None),
        ("invoker.base.x", ["invoker", "invoker.base"], "invoker.base"),
    ],
)
def test_the_innermost_room_holds_a_module(
    path: str, rooms: Iterable[str], room: str | None
) -> None:
    assert find_room(path, rooms) == room


@pytest.mark.parametrize(
    ("importer", "imported", "allowed"),
    [
        ("scheduler.machine", "plan", True),
        ("scheduler.machine", "scheduler.policy", True),
        ("scheduler.machine", "task", True),
        ("scheduler.loop", "invoker.base", True),
        ("scheduler.loop", "invoker.local", False),
        ("scheduler.loop", "invoker", False),
        ("codec.frame", "plan", False),
        ("errors", "task", True),
        ("errors", "codec", False),
        ("codec", "__init__", False),
        ("cli.main", "scheduler.machine", True),
        ("cli.main", "__init__", True),
        ("newroom", "errors", False),
    ],
)
def test_only_what_a_room_lists_may_be_imported(
    importer: str, imported: str, allowed: bool
) -> None:
    assert (judge(importer, imported, ROOMS) is None) == allowed


def test_breaches_are_sorted_and_name_the_modules() -> None:
    graph = FakeGraph(
        {
            "p.codec": {"p.plan", "p.errors"},
            "p.attic": {"p.errors"},
            "p.plan": {"p", "p.task"},
            "p.errors": set(),
            "p.task": set(),
        }
    )
    found = [(breach.importer, breach.imported) for breach in find_breaches(graph, "p", ROOMS)]
    assert found == [("p.attic", ""), ("p.codec", "p.plan"), ("p.plan", "p")]
