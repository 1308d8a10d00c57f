"""The simulated services keep to the contracts of the real ones."""

from __future__ import annotations

import asyncio

import pytest

from aflint.errors import InvalidArgumentError, ObjectNotFoundError, QueueDeletedError
from aflint.testing.clock import run_virtual
from aflint.testing.simulation import RATES, Fault, chosen_rates
from aflint.testing.simulation.callers import DriverCaller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.objects import SimulatedObjects, SimulatedS3
from aflint.testing.simulation.queues import SimulatedQueues, SimulatedSqs


def services(**rates: float) -> tuple[SimulatedSqs, SimulatedS3]:
    dice = Dice(1, {Fault(kind.replace("_", "-")): rate for kind, rate in rates.items()})
    caller = DriverCaller(dice, 0)
    return SimulatedSqs(SimulatedQueues(dice), caller), SimulatedS3(SimulatedObjects(dice), caller)


async def received(sqs: SimulatedSqs, url: str, times: int, visibility_s: int = 30) -> list[str]:
    found = []
    for _ in range(times):
        messages = await sqs.receive(url, wait_s=20, visibility_s=visibility_s)
        found += [message.body for message in messages]
    return found


def test_a_message_is_hidden_once_received_and_comes_again() -> None:
    async def play() -> None:
        sqs, _ = services()
        url = await sqs.create_queue("q", {})
        assert await sqs.send(url, [b"a"]) == []
        assert await received(sqs, url, 1) == ["a"]
        began = asyncio.get_running_loop().time()
        assert await received(sqs, url, 1) == []
        assert asyncio.get_running_loop().time() - began >= 20
        assert await received(sqs, url, 1) == ["a"]

    run_virtual(play())


def test_duplicates_come_before_their_time() -> None:
    async def play() -> None:
        sqs, _ = services(duplicate=1.0)
        url = await sqs.create_queue("q", {})
        await sqs.send(url, [b"a"])
        assert await received(sqs, url, 2, visibility_s=3600) == ["a", "a"]

    run_virtual(play())


def test_refused_entries_are_named() -> None:
    async def play() -> None:
        sqs, _ = services(partial_batch=0.5)
        url = await sqs.create_queue("q", {})
        bodies = [b"%d" % number for number in range(10)]
        refused = {entry.index for entry in await sqs.send(url, bodies)}
        assert 0 < len(refused) < 10
        found = await received(sqs, url, 12)
        assert {int(body) for body in found} == set(range(10)) - refused

    run_virtual(play())


def test_a_deleted_queue_is_an_error_for_those_who_wait() -> None:
    async def play() -> None:
        sqs, _ = services()
        url = await sqs.create_queue("q", {})
        waiting = asyncio.ensure_future(sqs.receive(url, wait_s=20, visibility_s=30))
        await asyncio.sleep(5)
        await sqs.delete_queue(url)
        with pytest.raises(QueueDeletedError):
            await waiting

    run_virtual(play())


def test_objects_are_read_by_ranges() -> None:
    async def play() -> None:
        _, s3 = services()
        await s3.put("b", "k/one", b"0123456789")
        assert await s3.get("b", "k/one", 2, 5) == b"234"
        found = await s3.head("b", "k/one")
        assert found is not None
        assert found.size == 10
        assert (await s3.list_all("b", "k", delimiter="/")).folders == ["k/"]
        await s3.delete("b", "k/one")
        with pytest.raises(ObjectNotFoundError):
            await s3.get("b", "k/one")

    run_virtual(play())


def test_an_upload_is_there_when_finished() -> None:
    async def play() -> None:
        _, s3 = services()
        upload = await s3.begin_upload("b", "k")
        tags = [await s3.put_part("b", "k", upload, n, body) for n, body in ((1, b"a"), (2, b"b"))]
        assert await s3.head("b", "k") is None
        assert await s3.uploads("b", "") == [("k", upload)]
        await s3.finish_upload("b", "k", upload, tags)
        assert await s3.get("b", "k") == b"ab"
        assert await s3.uploads("b", "") == []

    run_virtual(play())


def test_faults_are_chosen_by_name() -> None:
    assert chosen_rates(None) == RATES
    assert chosen_rates(["kill=0.5", "delay"]) == {Fault.KILL: 0.5, Fault.DELAY: RATES[Fault.DELAY]}
    for wrong in ("nothing", "kill=often"):
        with pytest.raises(InvalidArgumentError, match="no kind of fault"):
            chosen_rates([wrong])


def test_a_group_is_struck_only_so_often() -> None:
    dice = Dice(3, {Fault.KILL: 1.0})
    struck = [dice.strikes(Fault.KILL, str(n), group="task", most=2) for n in range(5)]
    assert struck == [True, True, False, False, False]
    assert dice.counts == {"kill": 2}
