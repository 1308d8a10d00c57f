from __future__ import annotations

import asyncio
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pexpect
import pytest

from aflint.cli.shell import _Console, prompt, run_until_interrupted
from aflint.driver.calls import Call
from aflint.executor.io_loop import IOLoop

PROMPT = r"In \[\d+\]: "


@contextmanager
def shell(folder: Path, *words: str, **variables: str) -> Iterator[Any]:
    """Start `aflint shell` in a pseudo-terminal of 40 columns that can do next to nothing."""
    environment = {**os.environ, "TERM": "dumb", "IPYTHONDIR": str(folder), **variables}
    child = pexpect.spawn(
        sys.executable,
        ["-m", "aflint", "shell", "--set", "workers=1", *words],
        cwd=str(folder),
        env=environment,
        encoding="utf-8",
        timeout=90,
        dimensions=(24, 40),
    )
    try:
        child.expect("Ctrl-D ends")
        child.expect(PROMPT)
        yield child
    finally:
        child.close(force=True)


def test_a_session_is_open_and_ctrl_c_ends_a_job_but_not_the_shell(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    with shell(tmp_path, "--set", f"scratch_dir={scratch}", HOME=str(tmp_path / "none")) as child:
        child.sendline("await session.range(10).sum()")
        child.expect("45")
        child.expect(PROMPT)
        child.sendline("from time import sleep")
        child.expect(PROMPT)
        # In two pieces: what is typed is echoed, and only what is printed may be waited for.
        child.sendline("print('n' + 'ow'); await session.range(1).map(lambda x: sleep(60)).sum()")
        child.expect("now")
        child.sendintr()
        child.expect("KeyboardInterrupt")
        child.expect(PROMPT)
        child.sendline("await session.range(5).sum()")
        child.expect("10")
        child.expect(PROMPT)
        child.sendline("exit()")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_pyspark_has_its_context(tmp_path: Path) -> None:
    pytest.importorskip("pyspark")
    with shell(tmp_path, "--pyspark") as child:
        child.sendline("sc.range(10).sum(), spark.sparkContext is sc")
        child.expect(r"\(45, True\)")
        child.expect(PROMPT)
        child.sendline("exit()")
        child.expect(pexpect.EOF)
        child.wait()
        assert child.exitstatus == 0


def test_ctrl_c_while_a_cell_is_being_started_cancels_it(monkeypatch: pytest.MonkeyPatch) -> None:
    started, start = asyncio.Event(), Call.start
    ended: list[str] = []

    def interrupted(call: Call[Any]) -> None:
        start(call)
        bridge.run(started.wait())
        raise KeyboardInterrupt

    async def cell() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cell")

    monkeypatch.setattr(Call, "start", interrupted)
    with IOLoop() as bridge, pytest.raises(asyncio.CancelledError):
        run_until_interrupted(bridge, cell())
    assert ended == ["cell"]


def test_without_ipython_pythons_own_prompt_awaits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "IPython.terminal.ipapp", None)
    # IPython, where another test started it, leaves its own.
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(sys, "ps2", "... ", raising=False)
    monkeypatch.setattr(sys, "stdin", io.StringIO("await answer()\nboom()\nawait answer() + 1\n"))

    async def answer() -> int:
        return 42

    out, err = io.StringIO(), io.StringIO()
    with IOLoop() as loop, redirect_stdout(out), redirect_stderr(err):
        prompt({"answer": answer}, "hello", loop)
    assert [line.lstrip("> ") for line in out.getvalue().split("\n")][:2] == ["42", "43"]
    said = err.getvalue()
    assert "pip install 'aflint[shell]'" in said
    assert "hello" in said
    assert "NameError: name 'boom' is not defined" in said


def test_exit_ends_pythons_own_prompt_inside_of_what_awaits() -> None:
    with IOLoop() as loop:
        console = _Console({}, loop)
        console.push("async def leave(): exit()\n")
        console.push("")
        with pytest.raises(SystemExit):
            console.push("await leave()")
