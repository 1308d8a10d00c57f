"""Queries that are typed into the page."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from aflint.errors import InvalidArgumentError

duckdb = pytest.importorskip("duckdb")
pytest.importorskip("nanoarrow")
pytest.importorskip("uvicorn")

from aflint.observe.asking import answer  # noqa: E402 - what is skipped above
from aflint.observe.page import PageServer  # noqa: E402
from aflint.sql.batches import Batches, empty, encoded  # noqa: E402


async def sql(query: str) -> Batches:
    """Stand in for a session's: run a query in DuckDB."""
    try:
        relation = duckdb.sql(query)
    except duckdb.Error as error:
        raise InvalidArgumentError(f"no: {error}") from None
    return Batches(list(encoded(relation)) or [empty(relation)])


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


@pytest_asyncio.fixture
async def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[PageServer]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    loop = asyncio.get_running_loop()

    def ask(query: str) -> Future[dict[str, Any]]:
        return asyncio.run_coroutine_threadsafe(answer(sql, query), loop)

    server = PageServer(0, ask)
    server.start()
    yield server
    await asyncio.to_thread(server.close)


async def test_a_query_is_answered_with_rows_or_with_why_not(page: PageServer) -> None:
    host, _, token = page.url.partition("/?token=")
    url = f"{host}/api/query?token={token}"
    async with aiohttp.ClientSession() as http:
        async with http.post(url, json={"sql": "SELECT 7 AS x"}) as said:
            assert (await said.json())["rows"] == [[7]]
        async with http.post(url, json={"sql": "SELECT nothing"}) as said:
            assert said.status == 422
            assert (await said.json())["error"].startswith("no: ")
        wrongs: list[Any] = [{"x": 1}, [], "x"]
        for wrong in wrongs:
            async with http.post(url, json=wrong) as said:
                assert said.status == 400
        # A form of another site would send it so.
        async with http.post(url, data={"sql": "SELECT 7"}) as said:
            assert said.status == 415
        async with http.post(f"{host}/api/query", json={"sql": "SELECT 7"}) as said:
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
            http.post(f"{host}/api/query?token={token}", json={"sql": "SELECT 7"}) as said,
        ):
            assert said.status == 415
    finally:
        await asyncio.to_thread(server.close)
