from __future__ import annotations

import re
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


PAGES = [*DOCS.rglob("*.md"), DOCS.parent / "README.md"]
NAMED = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)|`((?:aflint|bench|tests|tools|examples)/[\w./-]+)`")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_the_documentation_names_is_there(page: Path) -> None:
    links = NAMED.findall(re.sub(r"(?s)```.*?```", "", page.read_text()))
    named = [page.parent / link for link, _ in links if ":" not in link]
    named += [DOCS.parent / path for _, path in links if path and "NAME" not in path]
    assert [str(path) for path in named if not path.exists()] == []


def test_the_walks_of_the_architecture_name_their_files() -> None:
    text = (DOCS / "architecture.md").read_text()
    walks = text[text.index("## The walk of one record") : text.index("## Inside a task")]
    assert len(set(re.findall(r"\((\.\./aflint/[\w/]+\.py)\)", walks))) > 20
