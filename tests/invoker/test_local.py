from __future__ import annotations

import asyncio
import ctypes
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from aflint.codec import closure, frame, records
from aflint.codec.digest import digest_of
from aflint.codec.sealed import PackedTask, seal_task
from aflint.codec.secret import Secret
from aflint.errors import OutOfMemoryError, PayloadRefusedError, WorkerLostError
from aflint.invoker.local import LocalInvoker
from aflint.plan.program import Program, ReadSplit, Return
from aflint.task import Blob, Input, RangeSplit, TaskDescription, TaskId
from aflint.wire import pack

SECRET = Secret(b"s" * 32)


def task(function: Callable[[int], Any], number: int = 0) -> TaskDescription:
    def call(partition: int, numbers: Any) -> Any:
        return function(next(numbers))

    data = frame.compress(closure.dumps(Program(ReadSplit(0), Return(call)), "test"))
    return TaskDescription(
        id=TaskId("job", 0, number, 0),
        program=Blob(digest_of(data), len(data), data),
        inputs=(Input(0, number, RangeSplit(number, number + 1, 1)),),
    )


@pytest.fixture
async def invoker(tmp_path: Path) -> AsyncIterator[LocalInvoker]:
    invoker = LocalInvoker(2, tmp_path, SECRET)
    await invoker.start()
    yield invoker
    await invoker.aclose()


async def value(invoker: LocalInvoker, function: Callable[[int], Any], number: int = 0) -> Any:
    result = await invoker.invoke(task(function, number))
    assert result.failure is None, result.failure
    assert result.value is not None
    assert result.value.data is not None
    return records.decode(frame.decompress(result.value.data))[0]


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def tell_and_wait(path: str) -> Callable[[int], None]:
    """Return a function that writes its process to a named pipe, and then waits for ever."""

    def hang(_: int) -> None:
        with open(path, "w") as file:
            file.write(str(os.getpid()))
        time.sleep(600)

    return hang


async def test_workers_are_kept_and_their_number_bounded(invoker: LocalInvoker) -> None:
    assert invoker.slots == 2
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(value(invoker, lambda _: os.getpid(), n)) for n in range(8)]
    assert len({task.result() for task in tasks}) <= 2
    assert await value(invoker, lambda x: x + 1, 41) == 42


async def test_a_worker_refuses_what_is_not_sealed_for_it_and_goes_on(
    invoker: LocalInvoker, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = await value(invoker, lambda _: os.getpid())
    mine = task(lambda x: x, 3)
    sealed = seal_task(SECRET, mine)
    for payload, reason in (
        (pack(mine), "another version|altered|cut short"),
        (seal_task(Secret(b"t" * 32), mine), "altered"),
        (seal_task(SECRET, mine, 1_000_000.0), "too long ago"),
    ):
        monkeypatch.setattr(PackedTask, "seal", lambda _, payload=payload: payload)
        with pytest.raises(PayloadRefusedError, match=reason):
            await invoker.invoke(mine)
    monkeypatch.setattr(PackedTask, "seal", lambda _: sealed)
    assert (await invoker.invoke(mine)).failure is None
    with pytest.raises(PayloadRefusedError, match="opened here before"):
        await invoker.invoke(mine)
    monkeypatch.undo()
    assert await value(invoker, lambda _: os.getpid()) == process


async def test_the_secret_is_in_no_argument_and_no_variable(invoker: LocalInvoker) -> None:
    text = SECRET.to_text().encode()

    def seen(_: int) -> bool:
        shown = Path("/proc/self/cmdline").read_bytes() + Path("/proc/self/environ").read_bytes()
        return b"s" * 32 in shown or text in shown

    assert not await value(invoker, seen)


async def test_a_lost_worker_is_named_and_replaced(invoker: LocalInvoker) -> None:
    with pytest.raises(WorkerLostError, match="partition 3 of stage 0 ended with exit status 9"):
        await invoker.invoke(task(lambda _: os._exit(9), 3))
    with pytest.raises(WorkerLostError, match=r"signal SIGKILL .*the machine ran out of memory"):
        await invoker.invoke(task(lambda _: os.kill(os.getpid(), signal.SIGKILL)))
    with pytest.raises(WorkerLostError, match=r"last words:\n.*on its way out"):
        await invoker.invoke(task(lambda _: (os.write(2, b"on its way out"), os._exit(1))))
    assert await value(invoker, lambda x: x, 5) == 5


async def test_a_crash_says_where_it_was_however_much_else_is_in_the_log(
    invoker: LocalInvoker,
) -> None:
    """faulthandler lists all extension modules after it."""

    def crash_here(_: int) -> None:
        os.write(2, b"the line before\n")
        for name in ("numpy", "numpy.random", "lz4.frame"):
            __import__(name)
        ctypes.string_at(0)

    with pytest.raises(WorkerLostError) as lost:
        await invoker.invoke(task(crash_here))
    said = str(lost.value)
    assert (
        "the line before\nFatal Python error: Segmentation fault\nStack (most recent call first):"
        in said
    )
    assert "in crash_here" in said
    assert "Extension modules" not in said


async def test_a_worker_that_died_while_idle_is_replaced(invoker: LocalInvoker) -> None:
    process = await value(invoker, lambda _: os.getpid())
    os.kill(process, signal.SIGKILL)
    lost = 0
    for _ in range(3):
        try:
            assert await value(invoker, lambda x: x, 1) == 1
        except WorkerLostError:
            lost += 1
    assert lost <= 1


async def test_a_cancelled_call_ends_its_process(invoker: LocalInvoker, tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)

    call = asyncio.create_task(invoker.invoke(task(tell_and_wait(pipe))))
    process = int(await asyncio.to_thread(Path(pipe).read_text))
    assert alive(process)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not alive(process)
    assert await value(invoker, lambda x: x, 2) == 2


async def test_a_stopped_worker_is_killed_and_replaced(tmp_path: Path) -> None:
    pipe = str(tmp_path / "pipe")
    os.mkfifo(pipe)
    invoker = LocalInvoker(1, tmp_path / "workers", SECRET, stopped_s=0.1)
    call = asyncio.create_task(invoker.invoke(task(tell_and_wait(pipe), 3)))
    process = int(await asyncio.to_thread(Path(pipe).read_text))
    os.kill(process, signal.SIGSTOP)
    with pytest.raises(WorkerLostError, match=r"partition 3 of stage 0 was stopped .* for 0.1 s"):
        await call
    assert not alive(process)
    assert await value(invoker, lambda x: x, 2) == 2
    await invoker.aclose()


async def test_a_worker_that_holds_the_interpreter_lock_for_long_is_not_taken_for_stopped(
    tmp_path: Path,
) -> None:
    invoker = LocalInvoker(1, tmp_path, SECRET, stopped_s=0.05)

    def hold(_: int) -> int:
        return ctypes.PyDLL(None).usleep(500_000) or os.getpid()

    process = await value(invoker, hold)
    assert await value(invoker, lambda _: os.getpid()) == process
    await invoker.aclose()


async def test_a_worker_over_its_memory_limit_is_killed_and_replaced(tmp_path: Path) -> None:
    invoker = LocalInvoker(1, tmp_path, SECRET, memory_limit_mb=100)

    def hoard(_: int) -> None:
        held = [b"x" * (200 << 20)]
        time.sleep(600)
        assert held

    with pytest.raises(OutOfMemoryError, match=r"partition 3 of stage 0 held \d+ MB"):
        await invoker.invoke(task(hoard, 3))
    assert await value(invoker, lambda x: x, 2) == 2
    await invoker.aclose()


DRIVER = """
import asyncio, sys
from pathlib import Path
from aflint.invoker.local import LocalInvoker
from aflint.codec.secret import Secret

async def main():
    invoker = LocalInvoker(1, Path(sys.argv[1]), Secret(b"s" * 32))
    await invoker.start()
    print(invoker._idle[0].process.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="needs a signal at the parent's death")
def test_no_stopped_worker_outlives_its_driver(tmp_path: Path) -> None:
    command = [sys.executable, "-c", DRIVER, str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as driver:
        assert driver.stdout is not None
        worker = int(driver.stdout.readline())
        watch = os.pidfd_open(worker)
        os.kill(worker, signal.SIGSTOP)
        driver.kill()
    ended, _, _ = select.select([watch], [], [], 30)
    os.close(watch)
    assert ended


async def test_closing_ends_what_tasks_started(tmp_path: Path) -> None:
    invoker = LocalInvoker(1, tmp_path, SECRET)
    await invoker.start()

    def start_child(_: int) -> tuple[int, int]:
        child = os.fork()
        if not child:
            time.sleep(600)
            os._exit(0)
        return os.getpid(), child

    worker, child = await value(invoker, start_child)
    watch = os.pidfd_open(child)
    await invoker.aclose()
    assert not alive(worker)
    ended, _, _ = select.select([watch], [], [], 30)
    os.close(watch)
    assert ended, "its child is ended, too"


async def test_a_result_that_cannot_be_sent_is_an_error(invoker: LocalInvoker) -> None:
    def spoil(_: int) -> int:
        main = __import__("sys").modules["__main__"].__dict__
        real = main["pack"]

        def pack(message: Any) -> Any:
            if getattr(message, "failure", None) is None:
                raise ValueError("too large")
            return real(message)

        main["pack"] = pack
        return 1

    result = await invoker.invoke(task(spoil))
    assert result.failure is not None
    assert result.failure.kind == "RecordTooLargeError"
    assert "cannot be sent to the driver: too large" in result.failure.message


async def test_a_cancellation_before_a_worker_is_there_leaves_no_file_descriptor(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cancelled(**channel: Any) -> None:
        raise asyncio.CancelledError

    before = set(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(asyncio, "open_connection", cancelled)
    invoker = LocalInvoker(1, tmp_path, SECRET)
    with pytest.raises(asyncio.CancelledError):
        await invoker.invoke(task(abs))
    await invoker.aclose()
    assert set(os.listdir("/proc/self/fd")) == before
