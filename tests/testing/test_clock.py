from __future__ import annotations

import asyncio
import threading

import pytest

from aflint.testing import StalledError, VirtualClock, VirtualLoop, run_virtual, virtual_clock


async def test_an_hour_passes_at_once(virtual_time: VirtualClock) -> None:
    await asyncio.sleep(3600)
    assert virtual_time.now == pytest.approx(3600)
    assert asyncio.get_running_loop().time() == virtual_time.now


async def test_timers_go_off_in_order() -> None:
    seen: list[int] = []

    async def note(after: int) -> None:
        await asyncio.sleep(after)
        seen.append(after)

    async with asyncio.TaskGroup() as group:
        for after in (300, 1, 20):
            group.create_task(note(after))
    assert seen == [1, 20, 300]


async def test_a_timeout_is_a_timer_too() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(1e6):
            await asyncio.Event().wait()


async def test_time_stands_still_while_there_is_work(virtual_time: VirtualClock) -> None:
    for _ in range(100):
        await asyncio.sleep(0)
    assert virtual_time.now == 0


async def test_a_thread_is_waited_for() -> None:
    assert await asyncio.to_thread(threading.get_ident) != threading.get_ident()


async def test_sockets_work() -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await reader.readline())
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname()[:2])
        writer.write(b"hello\n")
        assert await reader.readline() == b"hello\n"
        writer.close()
        await writer.wait_closed()


def test_a_deadlock_is_an_error() -> None:
    async def forever() -> None:
        await asyncio.get_running_loop().create_future()

    loop = VirtualLoop(stall_s=0.01)
    task = loop.create_task(forever())
    with pytest.raises(StalledError, match="virtual time 0 s"):
        loop.run_until_complete(task)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        loop.run_until_complete(task)
    loop.close()


def test_run_virtual_returns_what_the_coroutine_does() -> None:
    async def now() -> float:
        await asyncio.sleep(5)
        return virtual_clock().now

    assert run_virtual(now()) == pytest.approx(5)


def test_another_loop_has_no_virtual_clock() -> None:
    async def ask() -> None:
        virtual_clock()

    with pytest.raises(RuntimeError, match="not a VirtualLoop"):
        asyncio.run(ask())
