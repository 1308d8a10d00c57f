from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError, EndpointConnectionError

from aflint.localcloud import LocalCloud, LocalCloudStartError, ManualClock
from aflint.localcloud.clock import pause
from tests.localcloud.helpers import eventually

WARM = """
import asyncio, io, json, sys, zipfile
from aiobotocore.session import get_session
from aflint.localcloud import LocalCloud

async def main():
    trust = {"Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}}]}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "import os\\ndef handler(e, c): return [os.getpid()]")
    async with LocalCloud() as cloud:
        key, secret = cloud.credentials
        args = dict(endpoint_url=cloud.endpoint_url, region_name=cloud.region,
                    aws_access_key_id=key, aws_secret_access_key=secret)
        session = get_session()
        async with session.create_client("iam", **args) as iam:
            role = await iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
        async with session.create_client("lambda", **args) as client:
            await client.create_function(
                FunctionName="f", Role=role["Role"]["Arn"], Handler="app.handler",
                Runtime="python%d.%d" % sys.version_info[:2], Code={"ZipFile": buffer.getvalue()})
            answer = await client.invoke(FunctionName="f")
            print((await answer["Payload"].read()).decode(), flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this test's clouds put their folders."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


async def test_no_room_for_files_is_one_error_that_names_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with pytest.raises(LocalCloudStartError, match=r"absent.*No such file.*TMPDIR"):
        await LocalCloud().__aenter__()


async def test_a_full_disk_at_the_start_leaves_no_folder(
    scratch: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(self))

    monkeypatch.setattr(Path, "mkdir", full)
    with pytest.raises(LocalCloudStartError, match=f"{scratch}.*No space left on device"):
        await LocalCloud().__aenter__()
    assert not list(scratch.iterdir())  # noqa: ASYNC240


@pytest.fixture
def children() -> Iterator[list[subprocess.Popen[str]]]:
    started: list[subprocess.Popen[str]] = []
    yield started
    for child in started:
        child.kill()
        child.wait()
        for stream in (child.stdout, child.stderr):
            if stream is not None:
                stream.close()


def left_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def start(children: list[subprocess.Popen[str]], *command: str) -> subprocess.Popen[str]:
    child = subprocess.Popen(
        [sys.executable, *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[2],
    )
    children.append(child)
    return child


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
async def test_a_killed_cloud_leaves_neither_process_nor_folder(
    scratch: Path, children: list[subprocess.Popen[str]], number: signal.Signals
) -> None:
    pytest.importorskip("awslambdaric")
    child = start(children, "-c", WARM)
    assert child.stdout is not None
    line = await asyncio.to_thread(child.stdout.readline)
    pid = int(line.strip("[]\n"))
    assert alive(pid)
    assert left_in(scratch)
    child.send_signal(number)
    await eventually(lambda: not alive(pid) and not left_in(scratch))


async def test_the_command_prints_its_environment_and_ends_cleanly(
    scratch: Path, children: list[subprocess.Popen[str]]
) -> None:
    pytest.importorskip("awslambdaric")
    child = start(children, "-m", "aflint", "localcloud", "--message-limit-kib", "256")
    assert child.stdout is not None
    lines = [await asyncio.to_thread(child.stdout.readline) for _ in range(7)]
    names = {line.removeprefix("export ").partition("=")[0] for line in lines}
    assert {"AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"} <= names
    child.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(child.wait) == 0
    assert left_in(scratch) == []


async def test_a_port_that_is_taken(scratch: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(LocalCloudStartError, match=f"127.0.0.1:{port}"):
            async with LocalCloud(port=port, functions=False):
                raise AssertionError("it must not start")
    assert left_in(scratch) == []


async def test_an_error_in_the_body_and_closing_twice(scratch: Path) -> None:
    with pytest.raises(KeyError):
        async with LocalCloud(functions=False) as cloud:
            raise KeyError
    await cloud.close()
    assert left_in(scratch) == []
    host, port = cloud.endpoint_url.removeprefix("http://").split(":")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, int(port)))


async def test_a_closed_cloud_is_empty_of_processes_and_is_not_opened_again() -> None:
    async with LocalCloud(functions=False) as cloud:
        with pytest.raises(LocalCloudStartError, match="make a new one"):
            await cloud.__aenter__()
    assert cloud.snapshot().environments == ()
    with pytest.raises(LocalCloudStartError, match="make a new one"):
        await cloud.__aenter__()


async def test_polls_are_dropped_when_the_cloud_closes(connect: Any) -> None:
    async with LocalCloud(functions=False) as cloud:
        sqs = await connect(cloud, "sqs")
        url = (await sqs.create_queue(QueueName="q"))["QueueUrl"]
        poll = asyncio.create_task(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20))
        await eventually(lambda: cloud.snapshot().calls.get("sqs:ReceiveMessage") == 1)
    with pytest.raises((ConnectionClosedError, EndpointConnectionError)):
        await poll


async def test_the_manual_clock_runs_callbacks_in_order_of_time() -> None:
    clock = ManualClock(100)
    seen: list[tuple[str, float]] = []
    clock.call_at(103, lambda: seen.append(("later", clock.now())))
    clock.call_at(101, lambda: seen.append(("sooner", clock.now())))
    clock.call_at(102, lambda: seen.append(("never", clock.now()))).cancel()
    clock.advance(5)
    assert seen == [("sooner", 101), ("later", 103)]
    assert clock.now() == 105
    async with asyncio.TaskGroup() as group:
        waiting = group.create_task(pause(clock, 10))
        await asyncio.sleep(0)
        clock.advance(10)
    assert waiting.done()
