from __future__ import annotations

import json
import re
from datetime import date
from pathlib import Path

import pytest
from typer import Typer
from typer.testing import CliRunner

from examples.taxi import generate as g
from examples.taxi.formats import file_format
from examples.taxi.trips import Part, render
from examples.taxi.weather import HEADER, precipitation, weather_file


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_the_same_arguments_give_the_same_bytes_however_many_processes_make_them(
    tmp_path: Path,
) -> None:
    months = ("2014-06", "2016-01")
    g.generate(tmp_path / "one", 50_000, seed=3, months=months, jobs=1)
    g.generate(tmp_path / "two", 50_000, seed=3, months=months, jobs=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_another_seed_gives_other_trips_and_other_weather(tmp_path: Path) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        g.generate(tmp_path / name, 500, seed, months=("2014-06",), jobs=1)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert one.keys() == two.keys()
    assert all(one[name] != two[name] for name in one)
    assert len(one) == 4


def test_bytes_stay_what_they_were() -> None:
    first = render(Part(1, "yellow", "2015-01", 0, 1, last=True))
    assert first.startswith(b"VendorID,tpep_pickup_datetime,")
    assert render(Part(1, "yellow", "2015-01", 0, 1, last=True)) == first
    assert first.count(b"\r\n") == 1


@pytest.mark.parametrize("trips", [0, 1, 11, 12_345])
def test_there_are_exactly_as_many_trips_as_asked_for(trips: int, tmp_path: Path) -> None:
    dataset = g.generate(tmp_path, trips, jobs=1)
    text = b"\n".join(path.read_bytes() for path in tmp_path.glob("*_tripdata_*"))
    assert len(re.findall(rb"^\w+,20\d\d-", text, re.MULTILINE)) == trips
    assert sum(dataset.files.values()) == trips
    assert dataset.bytes == sum(p.stat().st_size for p in tmp_path.glob("*_tripdata_*"))


def test_pieces_of_a_file_join_without_a_seam(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(g, "PART", 100)
    g.generate(tmp_path, 1_000, months=("2015-01",), jobs=1)
    text = (tmp_path / "yellow_tripdata_2015-01.csv").read_bytes()
    rows = text.split(b"\r\n")
    assert len(rows) > 500
    assert {row.count(b",") for row in rows} == {18}
    assert sum(row.startswith(b"VendorID") for row in rows) == 1


def test_times_stay_in_their_month_and_trips_end_after_they_began(generated: Path) -> None:
    for path in generated.glob("*_tripdata_*"):
        month = path.stem[-7:]
        rows = [line.split(",") for line in path.read_text().split("\n") if ",20" in line]
        assert all(row[1].startswith(month) for row in rows)
        assert all(row[1] < row[2] for row in rows)


def test_a_sensible_share_of_trips_ends_at_the_banks(generated: Path) -> None:
    text = "".join(path.read_text() for path in generated.glob("*_tripdata_*"))
    assert 0.0005 < text.count(",-74.014") / 12_000 < 0.05


def test_existing_data_is_recognised_only_when_complete_and_the_same(tmp_path: Path) -> None:
    assert g.existing(tmp_path, 100, 1) is None
    dataset = g.generate(tmp_path, 100, seed=1, jobs=1)
    assert g.existing(tmp_path, 100, 1) == dataset
    assert g.existing(tmp_path, 100, 2) is None
    assert g.existing(tmp_path, 101, 1) is None
    (tmp_path / g.MARK).write_text("{}")
    assert g.existing(tmp_path, 100, 1) is None


def test_a_run_that_is_cut_short_leaves_no_mark(tmp_path: Path) -> None:
    g.generate(tmp_path, 100, jobs=1)

    def stop(trips: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        g.generate(tmp_path, 100, jobs=1, progress=stop)
    assert g.existing(tmp_path, 100, 1) is None


def test_progress_adds_up(tmp_path: Path) -> None:
    told: list[int] = []
    g.generate(tmp_path, 1_000, jobs=1, progress=told.append)
    assert sum(told) == 1_000


@pytest.mark.parametrize(
    ("text", "months"),
    [
        ("2015-11:2016-02", ("2015-11", "2015-12", "2016-01", "2016-02")),
        ("2015-07", ("2015-07",)),
        ("2016-01,2015-01,2016-01", ("2015-01", "2016-01")),
    ],
)
def test_months_are_a_range_or_a_list(text: str, months: tuple[str, ...]) -> None:
    assert g.month_range(text) == months


@pytest.mark.parametrize("text", ["", "2015", "2015-13", "2016-07", "2008-12", "2016-02:2015-11"])
def test_a_wrong_month_is_an_error_that_says_so(text: str) -> None:
    with pytest.raises(ValueError, match=r"month|outside"):
        g.month_range(text)


def test_before_there_were_green_taxis_there_are_none(tmp_path: Path) -> None:
    dataset = g.generate(tmp_path, 200, months=("2009-01", "2010-05"), jobs=1)
    assert all(name.startswith("yellow") for name in dataset.files)
    with pytest.raises(ValueError, match="2013-08"):
        file_format("green", "2013-07")


def test_weather_has_a_line_for_every_day_of_the_years(generated: Path) -> None:
    lines = (generated / g.WEATHER).read_text().splitlines()
    assert len(lines) == 1 + 365 + 365 + 365 + 366
    text = weather_file(1, date(2016, 2, 28), date(2016, 3, 1))
    assert text.startswith(HEADER)
    assert [line[45:55] for line in text.splitlines()[1:]] == [
        "2016-02-28",
        "2016-02-29",
        "2016-03-01",
    ]
    assert f'"{precipitation(1, date(2016, 2, 29)):.2f}"' in text.splitlines()[2]


def test_the_command_line_writes_files_and_refuses_a_wrong_month(tmp_path: Path) -> None:
    app = Typer()
    app.command()(g.main)
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["--trips", "300", "--out", str(out), "--months", "2015-01"])
    assert done.exit_code == 0, done.output
    assert "300 trips in 2 files" in done.output
    assert json.loads((out / g.MARK).read_text())["months"] == ["2015-01"]
    wrong = CliRunner().invoke(app, ["--out", str(out), "--months", "1999-01"])
    assert wrong.exit_code == 2
    assert "1999-01" in wrong.output
