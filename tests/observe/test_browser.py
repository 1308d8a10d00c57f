"""What a real browser shows of the page."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import pytest_asyncio

import aflint
from aflint.driver.report import Reporter
from aflint.events import (
    Event,
    JobEnded,
    JobStarted,
    RunStarted,
    StageEnded,
    StageInfo,
    StageStarted,
    TaskEnded,
    TaskStarted,
)
from aflint.observe.eventlog import EventLog
from aflint.observe.logfile import LogFile, LogWriter
from aflint.task import TaskId, TaskMetrics
from tests.observe.test_reading import written

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("chromium") and importlib.util.find_spec("playwright")),
        reason="needs chromium and playwright",
    ),
]
pytest.importorskip("uvicorn")

from aflint.observe.page import PageServer  # noqa: E402 - what is skipped above

WAIT_MS = 120_000


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Any]:
    from playwright.async_api import async_playwright

    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        yield browser
        await browser.close()


async def opened(browser: Any, url: str, width: int = 1440, scheme: str = "light") -> Any:
    """Open a page; what its console says is in `said`."""
    view = {"width": width, "height": 900}
    tab = await browser.new_page(viewport=view, color_scheme=scheme)
    tab.said = []
    tab.on("console", lambda message: tab.said.append(message.text))
    tab.on("pageerror", lambda error: tab.said.append(str(error)))
    tab.set_default_timeout(WAIT_MS)
    await tab.goto(url)
    return tab


async def faults(tab: Any) -> list[str]:
    """Return what axe finds wrong with a page, by its rules' names."""
    axe = pytest.importorskip("axe_playwright_python.async_playwright")
    found = await axe.Axe().run(tab)
    return [f"{each['id']}: {each['nodes'][0]['html']}" for each in found.response["violations"]]


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1440, "dark"), (3840, "light")])
async def test_a_finished_job_is_shown_at_any_width_and_by_the_keyboard(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int, scheme: str
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    written(tmp_path / "aflint" / "history" / "aflint-3f0c9a12")
    page = PageServer(0)
    page.start()
    try:
        tab = await opened(browser, page.url, width, scheme)
        await tab.wait_for_selector("text=What failed")
        text = await tab.inner_text("main")
        for said in ("in broken", "it was 7", "skew: it read 9.0 times the median bytes"):
            assert said in text
        assert await tab.evaluate("document.documentElement.scrollWidth") <= width
        # By the keyboard: to the first job, and into it.
        await tab.keyboard.press("Tab")
        assert await tab.evaluate("document.activeElement.dataset.job") == "3f0c9a12-1"
        await tab.keyboard.press("Enter")
        assert page.token not in tab.url
        assert await faults(tab) == []
        assert tab.said == []
        tab = await opened(browser, page.url.replace(page.token, "wrong"))
        assert "needs its token" in await tab.inner_text("body")
        assert "collect" not in await tab.content()
    finally:
        page.close()


def fails_at_three(record: int) -> int:
    if record == 3:
        raise ValueError("no threes")
    return record


async def test_code_is_typed_and_its_jobs_and_failures_are_shown_as_they_come(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with aflint.connect(workers=2, progress=False, ui=True, ui_port=0) as session:
        tab = await opened(browser, str(session.ui))
        await tab.wait_for_selector("#ask:not([hidden])")
        await tab.check("input[value=python]")

        async def run(code: str) -> None:
            await tab.fill("#code", code)
            await tab.keyboard.press("Control+Enter")

        await run("session.range(20, num_slices=4).map(lambda x: (f'day {x}', x * x))")
        await tab.wait_for_selector("#plot canvas")
        assert "day 19" in await tab.inner_text("#answer")
        assert await tab.input_value("#chart-as") == "bars"
        assert await faults(tab) == []
        await run("session.range(10 ** 6).map(lambda x: (x, x % 7))")
        await tab.wait_for_selector("text=there are more")
        assert await tab.input_value("#chart-as") == "line"
        await run("1 / 0")
        await tab.wait_for_selector("text=ZeroDivisionError")
        await run("import asyncio\nawait asyncio.Event().wait()")
        await tab.click("#stop")
        await tab.wait_for_selector("text=It was stopped")
        # A job of the program's own, with a task that fails, appears by itself.
        with pytest.raises(aflint.TaskError):
            await session.range(4, num_slices=4).map(fails_at_three).collect()
        await tab.click(f"[data-job='{session.jobs[-1].id}']")
        await tab.wait_for_selector("text=no threes")
        assert await faults(tab) == []
        assert tab.said == []


async def test_what_is_typed_runs_as_functions_on_an_emulated_cloud(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("duckdb")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    needs = tmp_path / "requirements.txt"
    needs.write_text("duckdb\nfsspec\nnanoarrow\nnumpy\n")
    async with aflint.connect(
        backend="localcloud",
        concurrency=2,
        progress=False,
        requirements=str(needs),
        ui=True,
        ui_port=0,
    ) as session:
        tab = await opened(browser, str(session.ui))
        await tab.wait_for_selector("#ask:not([hidden])")

        async def run(language: str, code: str, until: str) -> str:
            await tab.check(f"input[value={language}]")
            await tab.fill("#code", code)
            await tab.keyboard.press("Control+Enter")
            await tab.wait_for_selector(until)
            return str(await tab.inner_text("#answer"))

        pairs = "session.parallelize(['a', 'b', 'a'], 2).map(lambda w: (w, 1))"
        counted = await run("python", f"{pairs}.reduce_by_key(int.__add__)", "#plot canvas")
        assert "a\t2" in counted
        await run("python", "await session.range(2).map(lambda x: 1 // x).collect()", "pre.error")
        assert "ZeroDivisionError" in await tab.inner_text("pre.error")
        trips = "VALUES ('card', 2), ('cash', 0), ('card', 1) AS trips(payment, tip)"
        read = f"SELECT payment, sum(tip) AS tips FROM {trips} GROUP BY payment"
        assert "card\t3" in await run("sql", read, "td:text('card')")
        assert await tab.input_value("#chart-by") == "0"
        many_rows = await run(
            "sql", "SELECT id, id % 7 AS rest FROM range(1000000)", "td:text('999')"
        )
        assert "The first 1,000 rows; there are more." in many_rows
        wrong = await run("sql", "SELECT nothing FROM range(3)", "pre.error:has-text('nothing')")
        assert "UNRESOLVED_COLUMN" in wrong
        divided = "SELECT assert_true(id < 2) FROM range(3)"
        assert "is not true" in await run("sql", divided, "pre.error:has-text('true')")
        assert [job.estimated for job in session.jobs] == [False] * len(session.jobs)
        assert tab.said == []


def many(path: Path, tasks: int) -> None:
    """Write the log of a job of so many tasks, which has not ended."""
    now = [1000.0]
    reporter = Reporter(1769, estimate=True)
    log = EventLog()

    def tell(event: Event) -> None:
        reporter(event)
        dollars = reporter.jobs[event.job].cost.total if isinstance(event, JobEnded) else None
        log.take(event, int(now[0] * 1000), dollars)

    tell(RunStarted("b", "trips.py", "aws", "here", False, 1769, {}))
    tell(JobStarted("b-1", "collect at trips.py:9", (StageInfo(0, "map", tasks + 1),)))
    tell(StageStarted("b-1", 0))
    for number in range(tasks):
        now[0] = 1000.0 + number * 0.01
        id = TaskId("b-1", 0, number, 0)
        tell(TaskStarted(id, False, queued=0.5))
        now[0] += 1.0 + number % 13 / 10
        metrics = TaskMetrics(seconds=1.0, input_bytes=number, read_seconds=0.2)
        tell(TaskEnded(id, True, "", metrics, "", executor=f"env{number % 700}"))
    tell(StageEnded("b-1", 0))
    tell(JobEnded("b-1", ""))
    path.parent.mkdir(parents=True)
    path.write_text(log.text())


async def test_an_event_among_ten_thousand_tasks_is_drawn_at_once(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the listener's call to the browser's picture: a thread, a file, the server, a stream."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    path = tmp_path / "aflint" / "history" / "aflint-b"
    log = LogWriter(EventLog(), [LogFile(path, "the history of this run")])
    tasks, apart = 10_000, 9
    log(RunStarted("b", "trips.py", "aws", "here", False, 1769, {}))
    log(JobStarted("b-1", "collect at trips.py:9", (StageInfo(0, "map", tasks),)))
    log(StageStarted("b-1", 0))
    ids = [TaskId("b-1", 0, number, 0) for number in range(tasks)]

    def end(id: TaskId) -> None:
        log(TaskStarted(id, False))
        metrics = TaskMetrics(seconds=1.0, billed_seconds=1.0, memory_mb=1769)
        log(TaskEnded(id, True, "", metrics, "", executor=f"env{id.partition % 700}"))

    for id in ids[:-apart]:
        end(id)
    page = PageServer(0)
    page.start()
    try:
        tab = await opened(browser, page.url)
        await tab.wait_for_selector("text=9,991 of 10,000")
        await tab.evaluate(
            "() => { const draw = show; show = (news) => { draw(news); requestAnimationFrame("
            "() => setTimeout(() => { if (latest.job.done === wanted) tell(Date.now()); }));"
            "}; }"
        )
        took, used = [], []
        for number, id in enumerate(ids[-apart:], tasks - apart + 1):
            # After a pause, as an event is in a job whose tasks take minutes.
            await asyncio.sleep(0.7)
            await tab.evaluate(
                "(n) => { wanted = n; drawn = new Promise((done) => { tell = done; }); }", number
            )
            began, cpu = time.time(), time.process_time()
            end(id)
            seen, drawing = await tab.evaluate("async () => [await drawn, window.drawnIn]")
            took.append(seen - began * 1000)
            used.append((time.process_time() - cpu) * 1000 + drawing)
        print(
            f"event to picture at 10,000 tasks: {min(took):.0f} ms at best, {median(took):.0f} by "
            f"the median, with {os.getloadavg()[0]:.1f} processes; {min(used):.0f} ms of computing"
        )
        assert min(used) < 100
        # What waits for a processor says nothing of the page.
        assert min(took) < 100 or os.getloadavg()[0] > 1
        assert tab.said == []
    finally:
        page.close()
        await log.aclose()


async def test_ten_thousand_tasks_are_drawn_quickly(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    many(tmp_path / "aflint" / "history" / "aflint-b", 10_000)
    page = PageServer(0)
    page.start()
    try:
        tab = await opened(browser, page.url)
        await tab.wait_for_selector("text=10,000 of 10,001")
        took = await tab.evaluate(
            "() => { const all = []; for (let n = 0; n < 9; n++) { const t = performance.now();"
            " drawJob(latest.job); all.push(performance.now() - t); } return Math.min(...all); }"
        )
        print(f"drawn in {took:.0f} ms")
        assert took < 100  # goal: an update; the least of nine, as others use this machine, too
        assert await tab.evaluate("document.querySelectorAll('*').length") < 1000
        assert tab.said == []
    finally:
        page.close()
