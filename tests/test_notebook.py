from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

import aflint
from aflint.driver.report import Reporter
from aflint.errors import ConfigError
from aflint.events import JobEnded, JobStarted, StageInfo

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"


@pytest.fixture
def shell() -> Iterator[Any]:
    shell = InteractiveShell()
    shell.history_manager.enabled = False
    shell.extension_manager.load_extension("aflint")
    yield shell
    shell.history_manager.end_session()


async def cell(shell: Any, text: str) -> Any:
    done = await shell.run_cell_async(text, transformed_cell=shell.transform_cell(text))
    if done.error_before_exec or done.error_in_exec:
        raise done.error_before_exec or done.error_in_exec
    return done.result


async def test_cells_share_a_session_that_settings_open_anew(shell: Any) -> None:
    numbers = "%%aflint workers=1 progress=false\n\nnumbers = session.range(6)\nawait numbers.sum()"
    assert await cell(shell, numbers) == 15
    first = shell.user_ns["session"]
    assert await cell(shell, "%%aflint\nawait numbers.count()") == 6
    assert shell.user_ns["session"] is first
    assert await cell(shell, "await numbers.max()") == 5
    again = await cell(shell, "\n%%aflint workers=2 progress=false\nsession.config.workers")
    assert again == 2
    with pytest.raises(aflint.SessionError, match="closed"):
        await first.range(1).count()
    await shell.user_ns["session"].aclose()


@pytest.mark.parametrize(
    ("words", "said"),
    [("worker=1", "Did you mean workers"), ("workers", "NAME=VALUE"), ("workers=x", "%%aflint: ")],
)
async def test_a_wrong_setting_is_told(
    shell: Any, words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ConfigError, match=said):
        await cell(shell, f"%%aflint {words}\n1")
    assert "session" not in shell.user_ns


async def test_other_cells_are_as_they_are(shell: Any) -> None:
    assert await cell(shell, "") is None
    assert await cell(shell, "x = 7\nx") == 7
    assert await cell(shell, "'%%sql'") == "%%sql"


async def test_sql_keeps_its_rows_under_a_name(shell: Any) -> None:
    class Session:
        async def sql(self, query: str) -> str:
            return f"rows of {query!r}"

    async def session() -> Session:
        return Session()

    shell.user_ns["_aflint"].session = session
    assert await cell(shell, "%%sql\nselect 'it''s'\n") == "rows of \"select 'it''s'\\n\""
    assert await cell(shell, '%%sql found\nselect "a\\n"') == "rows of 'select \"a\\\\n\"\\n'"
    assert shell.user_ns["found"].startswith("rows of")


async def test_an_rdd_and_a_job_have_html() -> None:
    async with aflint.connect(workers=1, progress=False) as session:
        pairs = session.parallelize([("<b>", 1)]).group_by_key()
        shown = pairs._repr_html_()
        assert "group_by_key at test_notebook.py" in shown
        assert "parallelize at test_notebook.py" in shown
        await pairs.count()
        assert session.last_job is not None
        shown = session.last_job._repr_html_()
    assert shown.count("<tr>") == 3
    assert "would cost" in shown
    reporter = Reporter(1769, estimate=True)
    reporter(JobStarted("s-1", "<script>", (StageInfo(0, "<script>", 1),)))
    reporter(JobEnded("s-1", ""))
    assert "<script>" not in reporter.jobs["s-1"]._repr_html_()


def test_a_table_of_rows_has_html() -> None:
    duckdb = pytest.importorskip("duckdb")
    pytest.importorskip("nanoarrow")
    from aflint.sql.batches import Batches, encoded

    rows = "select range n, '<i>' t, null z from range(50)"
    shown = Batches(list(encoded(duckdb, rows)))._repr_html_()
    assert shown.count("<tr>") == 21
    assert "<td>0</td><td>&lt;i&gt;</td><td>NULL</td>" in shown
    assert "the first 20 rows" in shown


STAND_STILL = """\
%%aflint workers=1 progress=true
import os, signal, threading
from pathlib import Path

def wait(x):
    Path("begun").touch()
    threading.Event().wait()

def interrupt():
    while not Path("begun").exists():
        pass
    threading.Event().wait(1)  # until its progress is drawn
    os.kill(os.getpid(), signal.SIGINT)

def go():
    return session.range(3, num_slices=3).map(wait).collect()

threading.Thread(target=interrupt).start()
await go()"""


def _errors(cell: Any) -> list[str]:
    """Return the tracebacks that a cell shows, without their colours."""
    return [
        re.sub(r"\x1b\[[0-9;]*m", "", "\n".join(each.traceback))
        for each in cell.outputs
        if each.output_type == "error"
    ]


@pytest.mark.slow
def test_progress_is_drawn_below_a_cell_and_ctrl_c_shows_the_lines_of_the_cell_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nbformat: Any = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    monkeypatch.chdir(tmp_path)
    new = nbformat.v4.new_code_cell
    cells = [
        "%load_ext aflint",
        STAND_STILL,
        "await session.range(2).map(lambda x: 1 // x).collect()",
        "await session.range(4).sum()",
        "await session.aclose()",
    ]
    notebook = nbformat.v4.new_notebook(cells=list(map(new, cells)))
    drawn: list[str] = []

    class Client(NotebookClient):
        def process_message(self, message: Any, cell: Any, index: int) -> Any:
            if message["msg_type"] == "update_display_data":
                drawn.append(message["content"]["data"]["text/html"])
            return super().process_message(message, cell, index)

    client = Client(notebook, timeout=120, kernel_name="python3", allow_errors=True)
    client.execute()
    _, interrupted, failed, went_on, _ = notebook.cells
    assert any('<progress style="width: 12em" max="3" value="0"' in each for each in drawn)
    (shown,) = (each.data["text/html"] for each in interrupted.outputs if "data" in each)
    assert "<summary>job 1 collect at line 19 of a cell: failed" in shown
    for cell, last in ((interrupted, "await go()"), (failed, "1 // x).collect()")):
        (text,) = _errors(cell)
        assert last in text
        assert "aflint/" not in text.replace("aflint/errors", "")
    assert "ZeroDivisionError" in _errors(failed)[0]
    assert went_on.outputs[-1].data["text/plain"] == "6"


@pytest.mark.slow
def test_the_example_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("duckdb")
    nbformat: Any = pytest.importorskip("nbformat")
    from nbclient import NotebookClient

    monkeypatch.chdir(tmp_path)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=120, kernel_name="python3").execute()
    outputs = [
        output.data
        for each in notebook.cells
        for output in each.get("outputs", ())
        if output.output_type == "execute_result"
    ]
    texts = [each["text/plain"] for each in outputs]
    assert "[('card', 42.75), ('cash', 7.0)]" in texts
    assert texts[-1].startswith("[('card', Decimal('3.75')), ('cash', Decimal('0.00'))")
    assert sum("text/html" in each for each in outputs) == 3
