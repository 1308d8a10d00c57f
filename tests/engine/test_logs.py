from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

import aflint


async def words(folder: Path) -> str:
    """Run a job with a shuffle that spills, and return its id."""
    settings: dict[str, Any] = {
        "workers": 1,
        "worker_memory_mb": 64,
        "progress": False,
        "task_logs": True,
    }
    async with aflint.connect(scratch_dir=str(folder), **settings) as session:
        pairs = session.range(60_000, num_slices=2).map(lambda x: (x, str(x) * 40))
        await pairs.group_by_key(2).count()
        assert session.last_job is not None
        return session.last_job.id


async def test_one_search_finds_all_of_a_task_in_the_debug_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "aflint")
    job = await words(tmp_path)
    lines = [f"{record.name} {record.getMessage()}" for record in caplog.records]
    task = [line for line in lines if f"{job}/0/1/0 " in line]
    loggers = [line.split()[0] for line in task]
    assert loggers == ["aflint.scheduler", "aflint.invoker", "aflint.scheduler"]
    assert task[0] == f"aflint.scheduler {job}/0/1/0 starts, with 64 MB"
    assert "goes to worker" in task[1]
    assert "is accepted after" in task[2]
    assert any(f"{job} shuffle 0 is open at {tmp_path}" in line for line in lines)
    assert any(f"aflint.driver {job} shuffle 0 is kept" in line for line in lines)
    assert f"aflint.driver {job} shuffle 0 is removed" in lines
    forwarded = capsys.readouterr().err
    assert f"DEBUG aflint.executor: {job}/0/1/0 wrote shuffle 0: " in forwarded
    assert f"DEBUG aflint.executor: {job}/1/0/0 spilled run 1: " in forwarded
    assert f"DEBUG aflint.executor: {job}/1/0/0 ends: done" in forwarded


async def test_nothing_is_logged_unless_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    await words(tmp_path)
    assert [record for record in caplog.records if record.name.startswith("aflint")] == []
    assert capsys.readouterr().err == ""


async def test_keys_are_in_no_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG, "aflint")
    keys: list[str] = []
    async with aflint.connect(
        workers=1, progress=False, task_logs=True, scratch_dir=str(tmp_path)
    ) as session:
        secret = session._opened().backend.secret
        await session.range(10).key_by(str).group_by_key().count()
        assert session.last_job is not None
        keys += [secret.reveal().hex(), repr(secret.reveal())]
        keys += [secret.key("job", session.last_job.id).hex()]
    written = caplog.text + capsys.readouterr().err
    assert not any(key in written for key in keys)
