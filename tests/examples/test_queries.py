from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import aflint
from examples.taxi import oracle
from examples.taxi import records as r
from examples.taxi.generate import WEATHER, generate
from examples.taxi.queries import QUERIES

BY_NAME = {query.name: query for query in QUERIES}


async def answers(session: aflint.Session, folder: Path, glob: str = "*") -> dict[str, object]:
    trips = session.text_file(str(folder / f"{glob}_tripdata_*.csv"))
    weather = session.text_file(str(folder / WEATHER))
    return {query.name: await query.answer(trips, weather) for query in QUERIES}


def expected(folder: Path, glob: str = "*") -> dict[str, object]:
    return oracle.answers(folder.glob(f"{glob}_tripdata_*.csv"), folder / WEATHER)


@pytest.mark.parametrize("colour", ["*", "yellow", "green"])
async def test_answers_on_generated_trips_are_those_of_plain_python(
    session: aflint.Session, generated: Path, colour: str
) -> None:
    found = await answers(session, generated, colour)
    assert found == expected(generated, colour)
    assert all(found[name] for name in ("Q0", "Q1", "Q2", "Q4", "Q5", "Q6"))


async def test_answers_on_published_trips_are_those_of_plain_python(
    session: aflint.Session, samples: Path
) -> None:
    assert await answers(session, samples) == expected(samples)


async def test_the_oldest_files_are_understood(session: aflint.Session, tmp_path: Path) -> None:
    generate(tmp_path, 6_000, months=("2009-01", "2010-05", "2013-08"), jobs=1)
    assert await answers(session, tmp_path) == expected(tmp_path)


NO_TRIPS = ["", "\r", ",", "abc", "1,2", "2,2015-01-01 00:00:00", "VendorID,lpep_pickup_datetime,x"]
NO_TRIPS += [",".join(["VendorID", "tpep_pickup_datetime", *"x" * 17]), "," * 18, "," * 22]


async def test_files_without_trips_have_answers_too(
    session: aflint.Session, tmp_path: Path, generated: Path
) -> None:
    (tmp_path / "a.csv").write_text("\n".join(NO_TRIPS))
    (tmp_path / "b.csv").write_text("")
    trips = session.text_file(str(tmp_path / "*.csv"))
    weather = session.text_file(str(generated / WEATHER))
    for query in QUERIES:
        answer = await query.answer(trips, weather)
        assert answer == (len(NO_TRIPS) if query.name == "Q0" else [])


@pytest.mark.parametrize("line", NO_TRIPS)
def test_what_is_no_trip_is_passed_over(line: str) -> None:
    assert r.month_and_colour(line) is None
    assert r.month_and_payment(line) is None
    assert (r.date_of_pick_up(line) or ("", 1))[0][:2] != "20"
    assert not r.at_goldman(r.split(line))
    assert not r.at_citigroup(r.split(line))


def yellow(longitude: str = "-74.014", latitude: str = "40.7145", **changes: str) -> str:
    fields = ["2", "2015-01-15 19:05:39", "2015-01-15 19:23:42", "1", "1.59", "-73.99", "40.75"]
    fields += ["1", "N", longitude, latitude, changes.get("payment", "1"), "12", "1", "0.5"]
    fields += [changes.get("tip", "3.25"), "0", "0.3", "17.05"]
    return ",".join(fields) + changes.get("end", "")


@pytest.mark.parametrize(
    ("longitude", "latitude", "inside"),
    [
        ("-74.0144185", "40.7138745", True),
        ("-74.013777", "40.7152275", True),
        ("-74.01377700000", "40.71522750000", True),
        ("-74.01441851", "40.7145", False),
        ("-74.0137769", "40.7145", False),
        ("-74.014", "40.7138744", False),
        ("-74.014", "40.7152276", False),
        ("0", "0", False),
        ("", "", False),
        ("-74.01x", "40.714", False),
    ],
)
def test_edges_of_the_box_belong_to_it(longitude: str, latitude: str, inside: bool) -> None:
    line = yellow(longitude, latitude)
    assert r.at_goldman(r.split(line)) is inside
    if inside:
        assert r.near_goldman(line)


@pytest.mark.parametrize("box", [r.GOLDMAN, r.CITIGROUP])
def test_the_cheap_look_never_loses_a_trip_that_is_inside(box: r.Box) -> None:
    near = r.near_goldman if box == r.GOLDMAN else r.near_citigroup
    steps = [number / 16 for number in range(17)]
    for east in steps:
        for north in steps:
            longitude = box.west + east * (box.east - box.west)
            latitude = box.south + north * (box.north - box.south)
            assert near(yellow(f"{longitude:.9f}", f"{latitude:.9f}"))


@pytest.mark.parametrize(
    ("tip", "over"), [("10", False), ("10.01", True), ("", False), ("9", False)]
)
def test_a_tip_is_over_ten_dollars_only_above_them(tip: str, over: bool) -> None:
    assert r.tipped_over_ten(r.split(yellow(tip=tip))) is over


@pytest.mark.parametrize(
    ("payment", "kind"),
    [("1", "credit"), ("CRD", "credit"), ("Credit", "credit"), ("2", "cash"), ("CASH", "cash")],
)
def test_payment_is_understood_in_the_words_of_any_year(payment: str, kind: str) -> None:
    assert r.month_and_payment(yellow(payment=payment)) == (("2015-01", kind), 1)


@pytest.mark.parametrize("payment", ["3", "NOC", ""])
def test_other_payments_are_not_counted(payment: str) -> None:
    assert r.month_and_payment(yellow(payment=payment)) is None


def test_a_carriage_return_does_no_harm() -> None:
    line = yellow(end="\r")
    assert r.month_and_payment(line) == (("2015-01", "credit"), 1)
    assert r.month_and_colour(line) == (("2015-01", "yellow"), 1)
    assert r.date_of_pick_up(line) == ("2015-01-15", 1)
    assert r.hour_of_drop_off(r.split(line)) == (19, 1)


@pytest.mark.parametrize(
    ("line", "day"),
    [
        ('"S","N, Y","2015-01-01","1","0.38","0","0","1","1"', ("2015-01-01", 0.38)),
        ("S,N,2015-01-01,1,0.38,0,0,1,1", ("2015-01-01", 0.38)),
        ('"S","N, Y","2015-01-01","1","","0","0","1","1"', None),
        ('"STATION","NAME","DATE","AWND","PRCP","SNOW","SNWD","TMAX","TMIN"', None),
        ("", None),
    ],
)
def test_a_day_of_weather_without_a_measure_is_unknown(
    line: str, day: tuple[str, float] | None
) -> None:
    assert r.date_and_precipitation(line) == day


@pytest.mark.parametrize(
    ("inches", "tenth"), [(0.0, 0.0), (0.09, 0.0), (0.1, 0.1), (0.3, 0.3), (2.99, 2.9)]
)
def test_precipitation_is_rounded_down_to_a_tenth(inches: float, tenth: float) -> None:
    assert r.by_precipitation(("2015-01-01", (5, inches))) == (tenth, (5, 1))


def test_the_demo_runs_where_output_takes_ascii_only(generated: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "examples.taxi.demo",
        "--data",
        str(generated),
        "--workers",
        "2",
    ]
    done = subprocess.run(
        command,
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
        capture_output=True,
        encoding="ascii",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("+ right") == 2 * 7
    assert "\\u" not in done.stdout
