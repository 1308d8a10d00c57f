"""What the workloads do to one record: plain functions, shared by the engines that run Python."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from examples.taxi import records as r

PARTITIONS = 4
ROUNDS = 10
LABEL_ROUNDS = 8
CENTRES = 10
MEANS_ROUNDS = 5


def pair(line: str) -> tuple[int, int]:
    """Return the key and the number of a line, or the two ends of an edge."""
    key, value = line.split()
    return int(key), int(value)


def keyed_text(line: str) -> tuple[str, str]:
    """Return the key and the text of a line."""
    key, _, text = line.partition(" ")
    return key, text


def one(word: str) -> tuple[str, int]:
    """Return (word, 1)."""
    return word, 1


def count_first(pair: tuple[str, int]) -> tuple[int, str]:
    """Return what the most frequent words are found by."""
    return pair[1], pair[0]


def sort_key(line: str) -> str:
    """Return the first ten characters."""
    return line[:10]


def of_group(pair: tuple[str, Any]) -> tuple[int, int, int, str]:
    """Return what is told of a group: (1, its size, the square of that, its greatest text)."""
    size = len(pair[1])
    return 1, size, size * size, max(pair[1])


def both_groups(a: tuple[int, int, int, str], b: tuple[int, int, int, str]) -> Any:
    """Combine what is told of groups: their number, the largest, squares, the least greatest."""
    return a[0] + b[0], max(a[1], b[1]), a[2] + b[2], min(a[3], b[3])


def of_total(pair: tuple[int, int]) -> tuple[int, int, int]:
    """Return what is told of a key's total: (1, the total, the total)."""
    return 1, pair[1], pair[1]


def both_totals(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    """Combine what is told of totals: their number, the greatest, the sum."""
    return a[0] + b[0], max(a[1], b[1]), a[2] + b[2]


def of_joined(pair: tuple[int, tuple[int, int]]) -> tuple[int, int, int]:
    """Return (1, the key times the left value, the right value)."""
    return 1, pair[0] * pair[1][0], pair[1][1]


def add_threes(a: tuple[int, int, int], b: tuple[int, int, int]) -> tuple[int, int, int]:
    """Add field by field."""
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def names_in(path: str) -> dict[int, str]:
    """Return the names of keys that a file holds."""
    with open(path, encoding="ascii") as lines:
        return {int(key): name for key, name in map(str.split, lines)}


def both_ways(edge: tuple[int, int]) -> list[tuple[int, int]]:
    """Return an edge from either end."""
    return [edge, (edge[1], edge[0])]


def itself(vertex: int) -> tuple[int, int]:
    """Return a vertex with its first label."""
    return vertex, vertex


def first_rank(links: object) -> float:
    """Return the rank that every page begins with."""
    return 1.0


def shares(node: tuple[int, tuple[Sequence[int], float]]) -> list[tuple[int, float]]:
    """Return what a page gives to each that it links to."""
    links, rank = node[1]
    return [(link, rank / len(links)) for link in links]


def damped(total: float) -> float:
    """Return the rank that comes of what was given."""
    return 0.15 + 0.85 * total


def by_rank(pair: tuple[int, float]) -> tuple[float, int]:
    """Return what the best pages are found by."""
    return pair[1], pair[0]


def told_ranks(best: Iterable[tuple[int, float]]) -> list[tuple[int, float]]:
    """Return ranks as all engines tell them: how sums are rounded depends on their order."""
    return [(page, round(rank, 6)) for page, rank in best]


def point(line: str) -> Any:
    """Return the point of a line."""
    import numpy as np

    return np.array(line.split(), dtype=float)


def nearest(centres: Any, point: Any) -> tuple[int, tuple[Any, int]]:
    """Return (which centre is nearest, (the point, 1))."""
    return int(((centres - point) ** 2).sum(axis=1).argmin()), (point, 1)


def add_points(a: tuple[Any, int], b: tuple[Any, int]) -> tuple[Any, int]:
    """Add points, and count them."""
    return a[0] + b[0], a[1] + b[1]


def moved(centres: Any, sums: Iterable[tuple[int, tuple[Any, int]]]) -> Any:
    """Return the centres, each in the middle of the points that were nearest to it."""
    centres = centres.copy()
    for index, (total, count) in sums:
        centres[index] = total / count
    return centres


def told_points(centres: Any) -> list[list[float]]:
    """Return centres as all engines tell them."""
    return [[round(float(value), 6) for value in centre] for centre in centres]


KNOWN = {"Q4": r.month_and_payment, "Q5": r.month_and_colour, "Q6": r.date_of_pick_up}
"""Queries that count what one function makes of a line, where it makes something."""


def taxi_pairs(case: str, lines: Iterable[str]) -> Iterable[tuple[Any, int]]:
    """Return the pairs that a query counts, of some lines of trips."""
    if case in KNOWN:
        return filter(None, map(KNOWN[case], lines))
    near, inside = (
        (r.near_citigroup, r.at_citigroup) if case == "Q2" else (r.near_goldman, r.at_goldman)
    )
    rows: Iterable[list[str]] = filter(inside, map(r.split, filter(near, lines)))
    if case == "Q3":
        rows = filter(r.tipped_over_ten, rows)
    return map(r.hour_of_drop_off, rows)


def rain_join(daily: Iterable[tuple[str, int]], weather: Iterable[str]) -> list[Any]:
    """Return (inches, (trips, days)) from the trips of each day and the lines of weather."""
    rain = dict(filter(None, map(r.date_and_precipitation, weather)))
    found: dict[float, tuple[int, int]] = {}
    for day, trips in daily:
        if day in rain:
            inches, value = r.by_precipitation((day, (trips, rain[day])))
            found[inches] = r.add_pairs(found[inches], value) if inches in found else value
    return sorted(found.items())


def centres(points: Sequence[Any]) -> Any:
    """Return the centres to begin with."""
    import numpy as np

    return np.array(points)


def square(number: int) -> int:
    """Return the square of a number."""
    return number * number


def nothing(records: Iterable[Any]) -> None:
    """Do nothing with a partition."""


def is_even(pair: tuple[int, int]) -> bool:
    """Tell whether the number of a pair is even."""
    return pair[1] % 2 == 0


def by_tens(pair: tuple[int, int]) -> int:
    """Return a number that few pairs differ in."""
    return pair[1] % 1_000


def named(number: int) -> tuple[int, str]:
    """Return a number and its name."""
    return number, f"n{number}"


def told_list(records: Sequence[tuple[int, str]]) -> list[Any]:
    """Return what is told of all records that were named."""
    return [len(records), sum(number for number, _ in records), max(records)]


def first(pair: Any) -> Any:
    """Return the key of a pair."""
    return pair[0]


def add_second(total: Any, pair: Any) -> Any:
    """Add the value of a pair to a total."""
    return total + pair[1]


def add_sums(total: Any, pair: Any) -> Any:
    """Add the point of a pair to a sum, which is None at first."""
    return pair[1] if total is None else add_points(total, pair[1])


def with_name(pair: Any, names: Any) -> Any:
    """Return a pair with its key's name in place of the key."""
    return names[pair[0]], pair[1]
