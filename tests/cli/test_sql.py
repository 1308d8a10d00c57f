from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from aflint.cli import main, sql
from aflint.cli.sql import view
from aflint.errors import ConfigError

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("nanoarrow")


def batches(query: str) -> Any:
    from aflint.sql.batches import Batches, empty, encoded

    relation = duckdb.sql(query)
    return Batches(list(encoded(duckdb, query)) or [empty(relation)])


ROWS = """select * from (values
    (1, 'a,"b', 1.50::decimal(9, 2), 'nan'::double, date '2020-02-29',
     [1, null], {'x': 0.5::double}),
    (null, null, null, null, null, null, null)) rows(i, t, d, f, day, list, struct)"""


def test_rows_as_json_are_valid_and_exact(capsys: pytest.CaptureFixture[str]) -> None:
    sql.write_rows_as_json(batches(ROWS))
    first, second = json.loads(capsys.readouterr().out)
    assert first == {
        "i": 1, "t": 'a,"b', "d": "1.50", "f": "nan", "day": "2020-02-29", "list": [1, None],
        "struct": {"x": 0.5},
    }  # fmt: skip
    assert set(second.values()) == {None}
    sql.write_rows_as_json(batches("select 1 x where false"))
    assert capsys.readouterr().out == "[]\n"


def test_rows_as_csv(capsys: pytest.CaptureFixture[str]) -> None:
    sql.write_csv(batches(ROWS))
    head, first, second = csv.reader(capsys.readouterr().out.splitlines())
    assert head == ["i", "t", "d", "f", "day", "list", "struct"]
    assert first == ["1", 'a,"b', "1.50", "nan", "2020-02-29", "[1, NULL]", "{'x': 0.5}"]
    assert second == [""] * 7


def test_a_table_shows_the_first_hundred_rows(capsys: pytest.CaptureFixture[str]) -> None:
    sql.write_table(batches("select range n, '[bold]' || range t from range(2000)"))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 102
    assert lines[1].split() == ["0", "[bold]0"]
    assert lines[-1] == "... and 1,900 more rows; --csv and --json write all"


def test_names_and_paths_of_tables_are_quoted() -> None:
    assert view("a`b=it's/x.csv") == (
        r"create temporary view `a``b` using csv options (path 'it\'s/x.csv', header 'true', "
        "inferSchema 'true')"
    )
    assert "using parquet" in view("t=folder")
    for wrong in ("t", "t=", "=path"):
        with pytest.raises(ConfigError, match="NAME=PATH"):
            view(wrong)


def aflint(*words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own: in this one, other tests may have a planner."""
    command = [sys.executable, "-m", "aflint", *words]
    return subprocess.run(command, input=typed, capture_output=True, text=True, check=False)


def test_files_are_read_by_path_and_a_wrong_query_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("AFLINT_WORKERS", "1")
    Path("it's.csv").write_text("k,v\na,1\nb,2\na,4\n")
    duckdb.sql("copy (select 'a' k, 10 w) to 't.parquet'")
    words = ["sql", "--json", "-t", "c=it's.csv"]
    query = "select c.k, sum(v * w) s from c join parquet.`t.parquet` p on c.k = p.k group by c.k"
    result = aflint(*words, query)
    assert json.loads(result.stdout) == [{"k": "a", "s": 50}], result.stderr
    result = aflint(*words, "-", typed="selec 1")
    assert result.returncode == 1
    assert "PARSE_SYNTAX_ERROR" in result.stderr
    assert "Traceback" not in result.stderr
    assert CliRunner().invoke(main.app, [*words, "--csv", "select 1"]).exit_code == 2
