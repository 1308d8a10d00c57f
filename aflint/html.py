"""Small pieces of HTML, for what notebooks show."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape as escape


def table(head: Sequence[str], rows: Iterable[Sequence[str]], caption: str = "") -> str:
    """Return rows of text as a table."""
    parts = ["<table>", f"<caption>{escape(caption)}</caption>" if caption else "", "<thead><tr>"]
    parts += [f"<th>{escape(each)}</th>" for each in head]
    parts.append("</tr></thead><tbody>")
    for row in rows:
        parts += ["<tr>", *(f"<td>{escape(each)}</td>" for each in row), "</tr>"]
    return "".join([*parts, "</tbody></table>"])


def preformatted(title: str, text: str) -> str:
    """Return lines of text as they are, under a title."""
    return f"<div><b>{escape(title)}</b><pre>{escape(text)}</pre></div>"
