"""The page that commands serve, and what is typed into it, as the processes that they start."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

pytest.importorskip("uvicorn")


@contextmanager
def served(folder: Path, *words: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run a command until the end of the block; yield it with the address of its page."""
    process = subprocess.Popen(
        [sys.executable, "-m", "aflint", *words],
        cwd=folder,
        env={**os.environ, "XDG_STATE_HOME": str(folder), "AFLINT_WORKERS": "1",
             "AFLINT_UI_PORT": "0", "AFLINT_PROGRESS": "false"},
        text=True,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        found = None
        while found is None and (line := process.stdout.readline()):
            found = re.search(r"http://\S+", line)
        assert found, "it ended without an address"
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


async def typed(url: str, code: str, language: str = "python") -> Any:
    host, _, token = url.partition("/?token=")
    async with (
        aiohttp.ClientSession() as http,
        http.post(
            f"{host}/api/run?token={token}", json={"language": language, "code": code}
        ) as answer,
    ):
        return await answer.json()


async def test_aflint_ui_runs_what_is_typed_in_a_session_of_its_own(tmp_path: Path) -> None:
    with served(tmp_path, "ui", "--port", "0") as (process, url):
        code = "await session.range(4).map(lambda x: x * session_free(x)).collect()"
        before = "def session_free(x):\n    return 10\n"
        answer = await typed(url, before + code)
        assert answer["rows"] == [[0], [10], [20], [30]]
        process.send_signal(signal.SIGINT)
        said, _ = process.communicate()
        assert (process.returncode, "Traceback" in said) == (130, False), said
    # What it ran is in the history as any run is.
    assert len(list((tmp_path / "aflint" / "history").iterdir())) == 1


async def test_aflint_run_has_a_page_that_runs_python_beside_the_program(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import aflint, asyncio, sys\n"
        "async with aflint.connect() as session:\n"
        "    await asyncio.to_thread(sys.stdin.readline)\n"
    )
    with served(tmp_path, "run", "--ui", "app.py") as (process, url):
        assert (await typed(url, "await session.range(5).sum()"))["text"] == "10"
        process.communicate("\n")
        assert process.returncode == 0


@pytest.mark.skipif(not importlib.util.find_spec("pyspark"), reason="needs pyspark")
async def test_aflint_submit_has_a_page_that_finds_the_context(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(
        "import sys\nfrom pyspark import SparkContext\n"
        "sc = SparkContext()\nassert 'token' in sc.uiWebUrl\nsys.stdin.readline()\nsc.stop()\n"
    )
    with served(tmp_path, "submit", "--ui", "app.py") as (process, url):
        code = "sc.parallelize([('a', 1), ('a', 2)]).reduceByKey(lambda a, b: a + b)"
        answer = await typed(url, code)
        assert answer["rows"] == [["a", 3]]
        assert "session" not in (await typed(url, "list(globals())"))["rows"]
        rows = await typed(url, "spark.createDataFrame([(1, 'x')], ['n', 's'])")
        assert ([c["name"] for c in rows["columns"]], rows["rows"]) == (["n", "s"], [[1, "x"]])
        process.communicate("\n")
        assert process.returncode == 0
