from __future__ import annotations

from typing import Any

import pytest

from aflint.driver.callsite import named_here


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("/home/me/job.py", "count at job.py:3"),
        ("/tmp/ipykernel_4711/1471583134.py", "count at line 3 of a cell"),
        ("<stdin>", "count at <stdin>:3"),
    ],
)
def test_a_job_is_named_by_where_the_program_asked_for_it(file: str, name: str) -> None:
    found: dict[str, Any] = {"named_here": named_here}
    exec(compile("\n\nname = named_here('count')", file, "exec"), found)
    assert found["name"] == name
