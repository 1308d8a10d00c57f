"""The page: who may see it, what it is told, and what a browser shows of it."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

import aflint
from aflint.cli.main import app as cli
from tests.observe.test_reading import written

pytest.importorskip("uvicorn")
pytest.importorskip("starlette")

from aflint.observe.page import PageServer, Runs


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PageServer]:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    written(tmp_path / "aflint" / "history" / "aflint-3f0c9a12")
    server = PageServer(0)
    server.start()
    yield server
    server.close()


@pytest_asyncio.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    # Addresses that are numbers have no cookies by default.
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


def address(page: PageServer, path: str) -> str:
    return page.url.partition("?")[0].rstrip("/") + path


async def test_nothing_is_shown_without_the_token(
    page: PageServer, http: aiohttp.ClientSession
) -> None:
    for path in ("/", "/api/jobs", "/api/changes", "/static/page.js", "/?token=wrong"):
        async with http.get(address(page, path)) as answer:
            assert (answer.status, "3f0c9a12" in await answer.text()) == (403, False)
    async with http.get(page.url) as answer:
        assert answer.status == 200
        assert "HttpOnly" in answer.headers["Set-Cookie"]
        assert page.token not in await answer.text()
    # From now on by its cookie.
    async with http.get(address(page, "/api/jobs")) as answer:
        (job,) = await answer.json()
        assert (job["id"], job["state"], job["failed"]) == ("3f0c9a12-1", "failed", 1)


async def test_a_log_of_another_version_is_counted_and_hides_no_other(
    page: PageServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    newer = '{"Event":"SparkListenerLogStart","aflint":{"format":2,"version":"9.1"}}\n'
    history = tmp_path / "aflint" / "history"
    (history / "aflint-0ddba115").write_text(newer)
    (history / "aflint-bad").write_bytes(b"\xff\x00 no log\n")
    await (await http.get(page.url)).release()
    async with http.get(address(page, "/api/changes")) as answer:
        news = json.loads((await answer.content.readline()).decode().removeprefix("data: "))
    assert news["unread"] == 2
    assert [job["id"] for job in news["jobs"]] == ["3f0c9a12-1"]


async def test_another_site_that_leads_here_is_refused(
    page: PageServer, http: aiohttp.ClientSession
) -> None:
    async with http.get(page.url, headers={"Host": "evil.example"}) as answer:
        assert answer.status == 400


async def test_a_job_is_shown_with_its_failures_and_an_unknown_one_is_said(
    page: PageServer, http: aiohttp.ClientSession
) -> None:
    await (await http.get(page.url)).release()
    async with http.get(address(page, "/api/jobs/3f0c9a12-1")) as answer:
        job = await answer.json()
    assert job["transport"] == {"files": 1100}
    (failure,) = job["failures"]
    assert "in broken" in failure["error"]
    assert failure["logs"] == "it was 7\n"
    assert job["stages"][0]["slowest"][0]["why"].startswith("skew")
    assert job["stages"][1]["parents"] == [0]
    async with http.get(address(page, "/api/jobs/no-7")) as answer:
        assert (answer.status, await answer.text()) == (404, "there is no job no-7")


async def test_news_of_running_jobs_come_by_themselves(
    page: PageServer, http: aiohttp.ClientSession, tmp_path: Path
) -> None:
    async with http.get(f"{address(page, '/api/changes')}?token={page.token}&job=b-1") as answer:
        first = await news(answer)
        assert ([job["id"] for job in first["jobs"]], first["job"]) == (["3f0c9a12-1"], None)
        log = tmp_path / "aflint" / "history" / "aflint-b.inprogress"
        written(log, run="b", ends=False)
        second = await news(answer)
        assert (second["job"]["id"], second["job"]["state"]) == ("b-1", "running")


async def news(answer: aiohttp.ClientResponse) -> dict[str, Any]:
    async with asyncio.timeout(60):
        line = await answer.content.readline()
        await answer.content.readline()
    found: dict[str, Any] = json.loads(line.removeprefix(b"data: "))
    return found


def test_the_latest_runs_are_shown_first_and_no_more_than_a_page_can_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for age, run in enumerate("abcd"):
        log = written(tmp_path / f"aflint-{run}", run=run)
        os.utime(log, (1000 - age, 1000 - age))
    (tmp_path / "aflint-e").write_text("no log\n")
    monkeypatch.setattr("aflint.observe.page._AT_ONCE_S", 0.0)
    runs = Runs(tmp_path)
    assert runs.refresh() == 0
    monkeypatch.setattr("aflint.observe.page._AT_ONCE_S", 60.0)
    monkeypatch.setattr("aflint.observe.page._MOST_BYTES", int(log.stat().st_size * 3.5))
    assert runs.refresh() == 3
    assert {job["id"] for job in runs.jobs()} == {"a-1", "b-1", "c-1"}
    assert runs.unread == 1
    assert runs.refresh() == 3
    (tmp_path / "aflint-b").unlink()
    assert runs.refresh() > 3
    assert {job["id"] for job in runs.jobs()} == {"a-1", "c-1", "d-1"}


async def test_a_session_serves_its_own_jobs_until_it_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, http: aiohttp.ClientSession
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with aflint.connect(workers=1, progress=False, ui=True, ui_port=0) as session:
        await session.range(9).count()
        assert session.ui is not None
        url = session.ui
        host, _, token = url.partition("/?token=")
        async with http.get(f"{host}/api/changes?token={token}") as answer:
            while not (said := await news(answer)).get("jobs"):
                pass
        assert said["jobs"][0]["id"] == f"{session.id}-1"
    with pytest.raises(aiohttp.ClientConnectionError):
        await http.get(url)


async def test_a_page_that_is_open_ends_with_its_session_and_without_a_word(
    page: PageServer, http: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    async with http.get(f"{address(page, '/api/changes')}?token={page.token}") as answer:
        assert (await news(answer))["jobs"]
        await asyncio.to_thread(page.close)
        assert await answer.content.read() == b""
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_a_session_without_a_page_has_no_address() -> None:
    async with aflint.connect(workers=1, progress=False) as session:
        assert session.ui is None
    with pytest.raises(aflint.ConfigError, match="history_mb is 0"):
        async with aflint.connect(workers=1, progress=False, ui=True, history_mb=0):
            pass


def test_a_port_in_use_is_said_and_the_next_one_is_taken_where_none_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = CliRunner().invoke(cli, ["ui", "--port", str(port)])
        assert done.exit_code == 1
        assert f"port {port} (Address already in use)" in done.output.replace("\n", " ")
        monkeypatch.setattr("aflint.observe.page.PORT", port)
        server = PageServer()
        assert f":{port}/" not in server.url
        server.start()
        server.close()
