"""Queries and Python that are typed into the page."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import aflint
from aflint.errors import CellError, InvalidArgumentError

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("nanoarrow")
pytest.importorskip("uvicorn")

from aflint.observe.asking import Asker, answer  # noqa: E402 - what is skipped above
from aflint.observe.page import PageServer  # noqa: E402
from aflint.sql.batches import Batches, empty, encoded  # noqa: E402


async def sql(query: str) -> Batches:
    """Stand in for a session's: run a query in DuckDB."""
    try:
        relation = duckdb.sql(query)
    except duckdb.Error as error:
        raise InvalidArgumentError(f"no: {error}") from None
    return Batches(list(encoded(duckdb, query)) or [empty(relation)])


async def test_rows_are_json_and_numbers_that_a_browser_would_change_are_text() -> None:
    found = await answer(
        sql,
        "SELECT 'a' AS k, 3::BIGINT AS n, 9007199254740993::BIGINT AS big, 1.5::DECIMAL(9, 2) AS d,"
        " DATE '2024-01-01' AS t, NULL::INT AS none, 'nan'::DOUBLE AS x;",
    )
    assert found["rows"] == [["a", 3, "9007199254740993", "1.50", "2024-01-01", None, "nan"]]
    assert [each["name"] for each in found["columns"] if each["number"]] == [
        "n", "big", "d", "none", "x",
    ]  # fmt: skip
    assert found["more"] is False


async def test_of_a_million_rows_only_the_first_come_to_the_driver() -> None:
    asked: list[str] = []

    async def watched(query: str) -> Batches:
        asked.append(query)
        return await sql(query)

    found = await answer(watched, "SELECT * FROM range(1000000)")
    assert (len(found["rows"]), found["more"]) == (1000, True)
    assert "LIMIT 1001" in asked[0]
    assert (await answer(watched, "SELECT 1 AS x WHERE false"))["rows"] == []
    # What does more than read is left as it is.
    with pytest.raises(InvalidArgumentError):
        await answer(watched, "DROP TABLE none")
    assert asked[-1] == "DROP TABLE none"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asker(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Asker]:
    folder = str(tmp_path_factory.mktemp("scratch"))
    async with aflint.connect(
        workers=1, progress=False, history_mb=0, scratch_dir=folder
    ) as session:

        async def this() -> aflint.Session:
            return session

        yield Asker(this)


@pytest.mark.asyncio(loop_scope="module")
async def test_python_awaits_and_keeps_its_names_and_its_functions_run_in_tasks(
    asker: Asker,
) -> None:
    first = await asker.ask(
        "python", "print('here')\ndef squared(x):\n    return x, x * x\nrdd = session.range(3)"
    )
    assert first == {"printed": "here\n"}
    pairs = {"rows": [[0, 0], [1, 1], [2, 4]], "more": False, "printed": ""}
    found = await asker.ask("python", "await rdd.map(squared).collect()")
    assert found["total"] == 3
    assert found.items() >= pairs.items()
    assert found["columns"] == [{"name": "_1", "number": True}, {"name": "_2", "number": True}]
    # An RDD is shown by its first records.
    assert (await asker.ask("python", "rdd.map(squared)")).items() >= pairs.items()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("code", "columns", "rows"),
    [
        ("[{'a': 1, 'b': 'x'}, {'a': None, 'b': 'y'}]", [("a", True), ("b", False)], 2),
        ("[{'a': 1}, {'b': 1}, 7]", [("value", False)], 3),
        ("[(1, 2), (3,)]", [("value", False)], 2),
        ("{'k': 1.5}", [("key", False), ("value", True)], 1),
        ("import platform; [platform.uname()[:2]]", [("_1", False), ("_2", False)], 1),
        ("import time; [time.struct_time(range(9))[:2]] * 2", [("_1", True), ("_2", True)], 2),
        ("[True, False]", [("value", False)], 2),
        ("[]", [("value", False)], 0),
        ("range(10 ** 12)", [("value", True)], 1000),
    ],
)  # fmt: skip
async def test_collections_are_shown_as_tables_of_so_many_rows(
    asker: Asker, code: str, columns: list[tuple[str, bool]], rows: int
) -> None:
    found = await asker.ask("python", code)
    assert [(each["name"], each["number"]) for each in found["columns"]] == columns
    assert (len(found["rows"]), found["more"]) == (rows, rows == 1000)


@pytest.mark.asyncio(loop_scope="module")
async def test_whatever_a_cell_comes_to_is_json_of_a_bounded_size(asker: Asker) -> None:
    for code in (
        "'x' * 10 ** 7",
        "['x' * 10 ** 7, '\\ud800', float('nan'), 2 ** 80]",
        "print('x' * 10 ** 7)",
        "object()",
        "None",
    ):
        assert len(json.dumps(await asker.ask("python", code), allow_nan=False)) < 100_000


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("x = 1\nx / 0", r'File "<cell \d+>", line 2.*\n    x / 0\n.*\nZeroDivisionError'),
        ("def (", r"SyntaxError"),
        ("exit()", r"^exit\(\) ends the cell, not the session$"),
        ("raise KeyboardInterrupt", "KeyboardInterrupt"),
        (
            "def bad(x):\n    raise ValueError('no 0')\nawait session.range(1).map(bad).sum()",
            r'(?s)File "<cell \d+>", line 3.*ValueError: no 0',
        ),
        ("print('before')\nnone", r"(?s)^before\nTraceback.*NameError"),
    ],
)  # fmt: skip
async def test_what_code_raises_is_told_with_its_own_lines_and_ends_nothing_else(
    asker: Asker, code: str, said: str
) -> None:
    with pytest.raises(CellError, match=said) as error:
        await asker.ask("python", code)
    assert "cells.py" not in str(error.value)
    assert (await asker.ask("python", "1 + 1"))["text"] == "2"


@pytest.mark.asyncio(loop_scope="module")
async def test_only_what_a_cell_prints_is_shown_with_it(
    asker: Asker, capsys: pytest.CaptureFixture[str]
) -> None:
    before = sys.stdout
    cell = asyncio.create_task(asker.ask("python", "import asyncio\nawait asyncio.sleep(0)"))
    await asyncio.sleep(0)
    print("the program's")
    assert (await cell)["printed"] == ""
    assert capsys.readouterr().out == "the program's\n"
    assert sys.stdout is before


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cell_that_is_stopped_leaves_the_next_one_its_turn(asker: Asker) -> None:
    await asker.ask("python", "import asyncio\nbegan = asyncio.Event()")
    assert asker._cells is not None
    code = "began.set()\nawait asyncio.Event().wait()"
    cell = asyncio.create_task(asker.ask("python", code))
    await asker._cells.names["began"].wait()
    cell.cancel()
    with pytest.raises(asyncio.CancelledError):
        await cell
    assert (await asker.ask("python", "2"))["text"] == "2"
    with pytest.raises(InvalidArgumentError, match="not 'cobol'"):
        await asker.ask("cobol", "STOP RUN")


@pytest_asyncio.fixture
async def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageServer]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    loop = asyncio.get_running_loop()

    def ask(language: str, code: str) -> Future[dict[str, Any]]:
        assert language == "sql"
        return asyncio.run_coroutine_threadsafe(answer(sql, code), loop)

    server = PageServer(0, ask)
    server.start()
    yield server
    await asyncio.to_thread(server.close)


async def test_a_query_is_answered_with_rows_or_with_why_not(page: PageServer) -> None:
    host, _, token = page.url.partition("/?token=")
    url = f"{host}/api/run?token={token}"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"language": "sql", "code": "SELECT 7 AS x"}) as said:
            assert (await said.json())["rows"] == [[7]]
        async with http.post(url, json={"language": "sql", "code": "SELECT nothing"}) as said:
            assert (await said.json())["error"].startswith("no: ")
        wrongs: list[Any] = [{"x": 1}, [], "x"]
        for wrong in wrongs:
            async with http.post(url, json=wrong) as said:
                assert said.status == 400
        # A form of another site would send it so.
        async with http.post(url, data={"language": "sql", "code": "SELECT 7"}) as said:
            assert said.status == 415
        async with http.post(
            f"{host}/api/run", json={"language": "sql", "code": "SELECT 7"}
        ) as said:
            assert said.status == 403


async def test_a_page_without_a_session_takes_no_queries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    server = PageServer(0)
    server.start()
    try:
        host, _, token = server.url.partition("/?token=")
        async with (
            aiohttp.ClientSession() as http,
            http.post(
                f"{host}/api/run?token={token}", json={"language": "sql", "code": "SELECT 7"}
            ) as said,
        ):
            assert said.status == 415
    finally:
        await asyncio.to_thread(server.close)
