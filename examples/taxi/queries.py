"""Q0 to Q6 of the Flint paper, as a user of aflint writes them.

Each takes an RDD of lines of trips (any mixture of years and colours; Q6 one of daily weather too)
and returns its answer, sorted by key. `records` holds what is done to one record.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from operator import add
from typing import Any, TypeVar, cast

from aflint.rdd import RDD
from examples.taxi import records as r

T = TypeVar("T")
Counts = list[tuple[Any, Any]]


def known(records: RDD[T | None]) -> RDD[T]:
    """Leave out the records that are None."""
    return cast("RDD[T]", records.filter(bool))


async def line_count(trips: RDD[str]) -> int:
    """Q0: how many lines there are, headers and blank ones included."""
    return await trips.count()


async def goldman_by_hour(trips: RDD[str]) -> Counts:
    """Q1: drop-offs at Goldman Sachs by hour of the day: (hour, trips)."""
    inside = trips.filter(r.near_goldman).map(r.split).filter(r.at_goldman)
    return sorted(await inside.map(r.hour_of_drop_off).reduce_by_key(add, 30).collect())


async def citigroup_by_hour(trips: RDD[str]) -> Counts:
    """Q2: drop-offs at Citigroup by hour of the day: (hour, trips)."""
    inside = trips.filter(r.near_citigroup).map(r.split).filter(r.at_citigroup)
    return sorted(await inside.map(r.hour_of_drop_off).reduce_by_key(add, 30).collect())


async def goldman_tips_by_hour(trips: RDD[str]) -> Counts:
    """Q3: drop-offs at Goldman Sachs with a tip over $10, by hour of the day: (hour, trips)."""
    inside = trips.filter(r.near_goldman).map(r.split).filter(r.at_goldman)
    tipped = inside.filter(r.tipped_over_ten)
    return sorted(await tipped.map(r.hour_of_drop_off).reduce_by_key(add, 30).collect())


async def payments_by_month(trips: RDD[str]) -> Counts:
    """Q4: cash or credit card, by month: ((month, "cash" or "credit"), trips)."""
    paid = known(trips.map(r.month_and_payment))
    return sorted(await paid.reduce_by_key(add, 30).collect())


async def colours_by_month(trips: RDD[str]) -> Counts:
    """Q5: yellow or green taxi, by month: ((month, "yellow" or "green"), trips)."""
    coloured = known(trips.map(r.month_and_colour))
    return sorted(await coloured.reduce_by_key(add, 30).collect())


async def trips_by_precipitation(trips: RDD[str], weather: RDD[str]) -> Counts:
    """Q6: trips and days by precipitation, in inches to a tenth: (inches, (trips, days))."""
    daily = known(trips.map(r.date_of_pick_up)).reduce_by_key(add, 30)
    rain = known(weather.map(r.date_and_precipitation))
    return sorted(
        await daily.join(rain, 30).map(r.by_precipitation).reduce_by_key(r.add_pairs, 30).collect()
    )


@dataclass(frozen=True)
class Query:
    """One of the seven: what it is called in the paper, what it asks, and how it is answered."""

    name: str
    title: str
    run: Callable[..., Awaitable[int | Counts]]
    needs_weather: bool = False

    async def answer(self, trips: RDD[str], weather: RDD[str]) -> int | Counts:
        """Answer over these trips; `weather` is read by the one query that asks about it."""
        return await (self.run(trips, weather) if self.needs_weather else self.run(trips))


QUERIES = (
    Query("Q0", "Line count", line_count),
    Query("Q1", "Drop-offs at Goldman Sachs, by hour", goldman_by_hour),
    Query("Q2", "Drop-offs at Citigroup, by hour", citigroup_by_hour),
    Query("Q3", "Goldman Sachs with a tip over $10, by hour", goldman_tips_by_hour),
    Query("Q4", "Cash or credit card, by month", payments_by_month),
    Query("Q5", "Yellow or green taxi, by month", colours_by_month),
    Query("Q6", "Trips by precipitation", trips_by_precipitation, needs_weather=True),
)
