from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from examples.taxi.charts import chart


def drawn(name: str, answer: Any) -> str:
    console = Console(file=StringIO(), width=80, force_terminal=False)
    console.print(chart(name, answer))
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_hours_have_a_full_bar_for_the_most_and_a_trace_of_the_least() -> None:
    text = drawn("Q1", [(7, 1000), (9, 1)])
    assert "1,000 │" in text
    assert text.count("██") == 6
    assert "▁▁" in text
    assert "1,001 trips, by hour" in text


def test_shares_add_up_to_the_whole_width() -> None:
    text = drawn("Q4", [(("2015-01", "cash"), 1), (("2015-01", "credit"), 3)])
    assert "█" * 22 + "▒" * 8 in text
    assert "card  75.0%" in text
    assert "cash  25.0%" in text


def test_days_are_compared_by_trips_a_day() -> None:
    text = drawn("Q6", [(0.0, (300, 3)), (0.4, (50, 1))])
    assert "█" * 30 in text
    assert "100 trips a day, over 3 days" in text
    assert "50 trips a day, over 1 day" in text


def test_no_answer_draws_too() -> None:
    assert "0 trips, by hour" in drawn("Q3", [])
    assert drawn("Q4", []).strip() == ""
    assert drawn("Q6", []).strip() == ""
    assert "12,345 lines" in drawn("Q0", 12_345)
