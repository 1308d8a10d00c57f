"""What is decided by sizes as a query runs: Spark's answers, whatever that is."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from aflint.events import Event, JobStarted, StageStarted
from tests.sql.differential import Differential

SHUFFLED = {"spark__sql__autoBroadcastJoinThreshold": "-1"}


@pytest.fixture(scope="module")
def tables(spark: Differential, tmp_path_factory: pytest.TempPathFactory) -> Differential:
    """`many` rows, most of one key, and `few`, in several files each."""
    import duckdb

    folder: Path = tmp_path_factory.mktemp("adaptive")
    with duckdb.connect() as connection:
        for name, rows, key in (("many", 4000, "if(i % 9 = 0, i % 40, 7)"), ("few", 40, "i + 5")):
            (folder / name).mkdir()
            for part in range(3):
                connection.execute(
                    f"COPY (SELECT {key} AS k, i AS v FROM range({rows}) r(i) WHERE i % 3 = {part})"
                    f" TO '{folder}/{name}/{part}.parquet'"
                )
            spark.table(name, folder / name)
    return spark


@pytest.fixture
def events(tables: Differential) -> Iterator[list[Event]]:
    found: list[Event] = []
    tables._session.add_listener(found.append)
    yield found
    tables._session._listeners.remove(found.append)


def decided(events: list[Event]) -> str:
    """Return the names of all stages that ran, in which decisions are said."""
    jobs = {event.job: event for event in events if isinstance(event, JobStarted)}
    ran = [event for event in events if isinstance(event, StageStarted)]
    return "\n".join(jobs[event.job].stages[event.stage].name for event in ran)


QUERIES = {
    "inner": "SELECT many.k, many.v, few.v FROM many JOIN few ON many.k = few.k",
    "left": "SELECT many.k, many.v, few.v FROM many LEFT JOIN few ON many.k = few.k",
    "right": "SELECT many.k, many.v, few.v FROM many RIGHT JOIN few ON many.k = few.k",
    "full": "SELECT many.k, many.v, few.v FROM many FULL JOIN few ON many.k = few.k",
    "semi": "SELECT k, v FROM many LEFT SEMI JOIN few USING (k)",
    "anti": "SELECT k, v FROM many LEFT ANTI JOIN few USING (k)",
    "grouped": "SELECT k, count(*), sum(few.v) FROM many JOIN few USING (k) GROUP BY k",
    "ordered": "SELECT many.k, few.v, many.v FROM many JOIN few USING (k) ORDER BY 3, 1",
}


@pytest.mark.parametrize("name", QUERIES)
def test_joins_whose_small_side_is_broadcast_once_it_is_made(
    tables: Differential, events: list[Event], name: str
) -> None:
    adaptive = {"spark__sql__adaptive__autoBroadcastJoinThreshold": "10MB"}
    with tables.with_settings(**SHUFFLED, **adaptive):
        tables.check(QUERIES[name])
    # A join that keeps rows of both sides, or groups them by the key, needs them placed by it.
    may = name not in ("full", "grouped")
    assert ("BroadcastHashJoin, as one side has" in decided(events)) == may


@pytest.mark.parametrize("name", ["left", "right", "grouped"])
def test_skewed_joins_are_cut(tables: Differential, events: list[Event], name: str) -> None:
    skew = {
        "spark__sql__adaptive__skewJoin__skewedPartitionThresholdInBytes": "1KB",
        "spark__sql__adaptive__skewJoin__skewedPartitionFactor": "1.0",
        "spark__sql__adaptive__advisoryPartitionSizeInBytes": "1KB",
        "spark__sql__adaptive__coalescePartitions__minPartitionSize": "1",
    }
    with tables.with_settings(**SHUFFLED, **skew):
        tables.check(QUERIES[name])
    may = name not in ("right", "full", "grouped")
    assert ("AQEShuffleRead skewed" in decided(events)) == may


def test_small_partitions_are_coalesced_on_both_sides_of_a_join(
    tables: Differential, events: list[Event]
) -> None:
    with tables.with_settings(**SHUFFLED):
        tables.check(QUERIES["full"])
    assert "AQEShuffleRead coalesced: 3 partitions by 1 task" in decided(events)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("spark__sql__adaptive__enabled", "false"),
        ("spark__sql__adaptive__coalescePartitions__enabled", "false"),
    ],
)
def test_settings_turn_it_off(
    tables: Differential, events: list[Event], setting: str, value: str
) -> None:
    with tables.with_settings(**SHUFFLED, **{setting: value}):
        tables.check(QUERIES["grouped"])
    assert "AQEShuffleRead" not in decided(events)


def test_partitions_that_were_asked_for_stay(tables: Differential, events: list[Event]) -> None:
    tables.check("SELECT /*+ REPARTITION(5, k) */ k, v FROM many")
    assert "AQEShuffleRead" not in decided(events)


def test_the_first_partitions_number_is_sparks(tables: Differential, events: list[Event]) -> None:
    with tables.with_settings(spark__sql__adaptive__coalescePartitions__initialPartitionNum="6"):
        tables.check("SELECT k, count(*) FROM many GROUP BY k")
    assert "AQEShuffleRead coalesced: 6 partitions by 1 task" in decided(events)
