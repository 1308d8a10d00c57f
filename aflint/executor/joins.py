"""What joins make of the values that share a key: one group for each side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Groups = tuple[Sequence[Any], ...]


def inner(groups: Groups) -> Iterator[Any]:
    """Every pair."""
    left, right = groups
    return ((a, b) for a in left for b in right)


def left_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing right side."""
    left, right = groups
    return ((a, b) for a in left for b in (right or (None,)))


def right_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing left side."""
    left, right = groups
    return ((a, b) for a in (left or (None,)) for b in right)


def full_outer(groups: Groups) -> Iterator[Any]:
    """Every pair; None for a missing side."""
    left, right = groups
    return ((a, b) for a in (left or (None,)) for b in (right or (None,)))


def only_left(groups: Groups) -> Sequence[Any]:
    """The left values where there are no right ones."""
    left, right = groups
    return () if len(right) else left
