"""Generated files beside published ones, wherever both have the same colour and month."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from examples.taxi.formats import Colour, file_format
from examples.taxi.trips import Part, render

PUBLISHED: list[tuple[Colour, str]] = [
    ("green", "2013-12"),
    ("green", "2014-06"),
    ("green", "2015-01"),
    ("green", "2015-07"),
    ("green", "2016-01"),
    ("green", "2016-06"),
    ("yellow", "2015-01"),
    ("yellow", "2016-01"),
    ("yellow", "2016-02"),
    ("yellow", "2016-03"),
]
TRIP = re.compile(rb"^\w+,20", re.MULTILINE)
KINDS = {
    "nothing": r"",
    "time": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d",
    "number": r"-?\d*\.?\d+",
    "flag": r"[NY]",
}


def made(colour: Colour, month: str) -> bytes:
    return render(Part(1, colour, month, 0, 3_000, last=True))


def published(samples: Path, colour: Colour, month: str) -> bytes:
    return (samples / f"{colour}_tripdata_{month}.csv").read_bytes()


def head(text: bytes) -> bytes:
    first = TRIP.search(text)
    assert first
    return text[: first.start()]


def rows(text: bytes) -> list[list[str]]:
    return [line.split(",") for line in text[len(head(text)) :].decode().splitlines() if line]


def kinds(text: bytes) -> list[set[str]]:
    def kind(value: str) -> str:
        return next((name for name, form in KINDS.items() if re.fullmatch(form, value)), "text")

    return [{kind(value) for value in column} for column in zip(*rows(text), strict=True)]


@pytest.mark.parametrize(("colour", "month"), PUBLISHED)
def test_everything_before_the_first_trip_is_the_same_byte_for_byte(
    samples: Path, colour: Colour, month: str
) -> None:
    assert head(made(colour, month)) == head(published(samples, colour, month))


@pytest.mark.parametrize(("colour", "month"), PUBLISHED)
def test_lines_end_alike_the_last_one_too(samples: Path, colour: Colour, month: str) -> None:
    for text in (made(colour, month), published(samples, colour, month)):
        lines = text[len(head(text)) :].split(b"\n")
        assert all(line.endswith(b"\r") for line in lines[:-1])
        assert bool(lines[-1]) == (not file_format(colour, month).last_newline)


@pytest.mark.parametrize(("colour", "month"), PUBLISHED)
def test_each_column_holds_the_same_kinds_of_value(
    samples: Path, colour: Colour, month: str
) -> None:
    ours, theirs = kinds(made(colour, month)), kinds(published(samples, colour, month))
    assert len(ours) == len(theirs)
    assert ours == theirs


@pytest.mark.parametrize(("colour", "month"), PUBLISHED)
def test_coordinates_are_written_with_the_same_digits(
    samples: Path, colour: Colour, month: str
) -> None:
    columns = (5, 6, 9, 10) if colour == "yellow" else (5, 6, 7, 8)
    for text in (made(colour, month), published(samples, colour, month)):
        values = [row[column] for row in rows(text) for column in columns]
        assert all(re.fullmatch(r"0|-?\d\d(\.\d{1,15})?", value) for value in values)
        assert {"0"} < set(values) or month in {"2015-01", "2015-07", "2016-01", "2016-06"}


def test_weather_is_written_like_the_published_one(samples: Path, generated: Path) -> None:
    ours = (generated / "central_park_weather.csv").read_bytes().splitlines(keepends=True)
    theirs = (samples / "central_park_weather.csv").read_bytes().splitlines(keepends=True)
    assert ours[0] == theirs[0]
    form = re.compile(
        rb'"USW00094728","NY CITY CENTRAL PARK, NY US","\d{4}-\d\d-\d\d",("\d+\.\d\d")?,"\d\.\d\d",'
        rb'("\d+\.\d")?,"\d+\.\d","-?\d+","-?\d+"\n'
    )
    for line in (*ours[1:], *theirs[1:]):
        assert form.fullmatch(line), line
