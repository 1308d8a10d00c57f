from __future__ import annotations

from pathlib import Path

import pytest

from tools.docs import DOCS, PARTS, fill, rooms_table

GENERATED = [page for page in sorted(DOCS.rglob("*.md")) if "<!-- begin " in page.read_text()]


@pytest.mark.parametrize("page", GENERATED, ids=lambda page: page.name)
def test_generated_parts_of_the_documentation_are_up_to_date(page: Path) -> None:
    assert fill(page.read_text()) == page.read_text(), "run make docs"


def test_every_generated_part_stands_on_a_page() -> None:
    text = "".join(page.read_text() for page in GENERATED)
    assert all(f"<!-- begin {name} -->" in text for name in PARTS)


def test_each_room_is_listed_once_with_what_it_is_for() -> None:
    rows = [line.split("|") for line in rooms_table().splitlines() if line.startswith("| `")]
    names = [row[1].strip() for row in rows]
    assert len(set(names)) == len(names)
    assert all(row[2].strip() for row in rows), "a room without a docstring"
    assert "No two rooms import each other" in rooms_table()
