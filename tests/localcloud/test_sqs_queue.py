from __future__ import annotations

import contextlib
import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.localcloud.faults import Dice, Faults
from aflint.localcloud.sqs.message import Content, read_content
from aflint.localcloud.sqs.queue import Delivery, Queue, QueueSettings
from aflint.localcloud.wire import ServiceError


def content(body: str = "x") -> Content:
    return read_content({"MessageBody": body})


def queue(faults: Faults | None = None, **settings: Any) -> Queue:
    ids = itertools.count()
    limit = settings.pop("in_flight_limit", 120_000)
    return Queue(
        "q",
        QueueSettings(**settings),
        created_at=0.0,
        new_id=lambda: f"id{next(ids)}",
        dice=Dice(faults or Faults()),
        in_flight_limit=limit,
    )


def bodies(deliveries: list[Delivery]) -> list[str]:
    return [delivery.message.content.body for delivery in deliveries]


def test_order_is_that_of_sending_and_a_message_is_delivered_once() -> None:
    q = queue()
    for n in range(25):
        q.send(content(str(n)), 0)
    received = [body for _ in range(4) for body in bodies(q.receive(0, 10))]
    assert received == [str(n) for n in range(25)]
    assert (q.visible(0), q.in_flight(0)) == (0, 25)


def test_a_message_comes_back_after_its_visibility_with_a_new_receipt() -> None:
    q = queue(visibility_s=30)
    q.send(content(), 0)
    (first,) = q.receive(0, 1)
    assert q.receive(29.9, 1) == []
    (second,) = q.receive(30, 1)
    assert second.receive_count == 2
    assert second.receipt != first.receipt
    q.delete(first.receipt, 31)
    assert q.in_flight(31) == 1
    q.delete(second.receipt, 31)
    assert q.in_flight(31) == 0
    q.delete(second.receipt, 31)


def test_an_expired_receipt_still_deletes_when_nobody_received_since() -> None:
    q = queue(visibility_s=5)
    q.send(content(), 0)
    (got,) = q.receive(0, 1)
    q.delete(got.receipt, 10)
    assert q.visible(10) == 0


@pytest.mark.parametrize("receipt", ["", "junk", "a.b.c", "id99.1.1"])
def test_a_foreign_receipt_is_refused(receipt: str) -> None:
    q = queue()
    q.send(content(), 0)
    with pytest.raises(ServiceError, match="ReceiptHandleIsInvalid"):
        q.delete(receipt, 0)


def test_visibility_zero_returns_a_message_at_once() -> None:
    q = queue()
    q.send(content(), 0)
    (got,) = q.receive(0, 1)
    q.change_visibility(got.receipt, 0, 1)
    assert q.visible(1) == 1
    with pytest.raises(ServiceError, match="MessageNotInflight"):
        q.change_visibility(got.receipt, 10, 1)


def test_visibility_is_bounded_by_twelve_hours_in_all() -> None:
    q = queue(visibility_s=43_200)
    q.send(content(), 0)
    (got,) = q.receive(0, 1)
    q.change_visibility(got.receipt, 43_000, 100)
    with pytest.raises(ServiceError, match="43200 seconds"):
        q.change_visibility(got.receipt, 43_200, 100)


def test_delay_of_the_queue_and_of_a_message() -> None:
    q = queue(delay_s=10)
    q.send(content("queue"), 0)
    q.send(content("own"), 0, 5)
    q.send(content("none"), 0, 0)
    assert bodies(q.receive(0, 10)) == ["none"]
    assert q.delayed(0) == 2
    assert q.next_visible_at() == 5
    assert bodies(q.receive(5, 10)) == ["own"]
    assert bodies(q.receive(10, 10)) == ["queue"]


def test_retention_ends_messages_in_flight_too() -> None:
    q = queue(retention_s=60, visibility_s=600)
    q.send(content("a"), 0)
    q.receive(0, 1)
    q.send(content("b"), 1)
    assert (q.visible(59), q.in_flight(59)) == (1, 1)
    assert (q.visible(60), q.in_flight(60)) == (1, 0)
    assert (q.visible(61), q.in_flight(61)) == (0, 0)


def test_the_cap_in_flight() -> None:
    q = queue(in_flight_limit=3, visibility_s=30)
    for n in range(5):
        q.send(content(str(n)), 0)
    assert len(q.receive(0, 10)) == 3
    with pytest.raises(ServiceError, match="OverLimit"):
        q.receive(0, 10)
    assert len(q.receive(30, 10)) == 3


def test_purge_drops_everything_and_not_twice_a_minute() -> None:
    q = queue()
    q.send(content(), 0)
    q.send(content(), 0)
    q.receive(0, 1)
    q.purge(0)
    assert (q.visible(0), q.in_flight(0)) == (0, 0)
    with pytest.raises(ServiceError, match="PurgeQueueInProgress"):
        q.purge(59)
    q.purge(60)


def test_a_message_over_the_queues_own_limit() -> None:
    q = queue(max_message_bytes=1024)
    q.send(content("é" * 512), 0)
    with pytest.raises(ServiceError, match="must be shorter than 1024 bytes"):
        q.send(content("é" * 512 + "x"), 0)


def test_duplicates_reordering_and_delays_are_the_same_for_the_same_seed() -> None:
    def play(seed: int) -> list[str]:
        q = queue(Faults(seed=seed, duplicate=0.3, reorder=0.5, delay=0.3, delay_seconds=2))
        for n in range(50):
            q.send(content(str(n)), n / 10)
        got: list[str] = []
        for step in range(100):
            got += bodies(q.receive(step / 10, 10))
        return got

    first = play(7)
    assert first == play(7) != play(8)
    assert set(first) == {str(n) for n in range(50)}
    assert len(first) > 50
    assert first != sorted(first, key=int)


def test_a_late_purge_may_eat_what_is_sent_meanwhile() -> None:
    q = queue(Faults(purge_late=1.0))
    q.purge(0)
    q.send(content(), 59)
    assert q.visible(59) == 0
    q.send(content(), 60)
    assert q.visible(60) == 1


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("send"), st.integers(0, 5)),
        st.tuples(st.just("receive"), st.integers(1, 10)),
        st.tuples(st.just("delete"), st.integers(0, 30)),
        st.tuples(st.just("change"), st.integers(0, 20)),
        st.tuples(st.just("wait"), st.integers(0, 40)),
    ),
    max_size=60,
)


@given(steps=STEPS, duplicate=st.sampled_from([0.0, 0.5]))
def test_every_message_is_ready_hidden_or_deleted(
    steps: list[tuple[str, int]], duplicate: float
) -> None:
    """Whatever happens, nothing that was not deleted is lost, and nothing deleted comes back."""
    q = queue(Faults(duplicate=duplicate), visibility_s=10)
    now, obligations = 0.0, 0
    latest: dict[tuple[str, int], str] = {}
    for action, number in steps:
        if action == "send":
            before = q.visible(now) + q.delayed(now)
            q.send(content(), now, number)
            obligations += q.visible(now) + q.delayed(now) - before
        elif action == "receive":
            for got in q.receive(now, number):
                latest[got.message.id, got.message.key] = got.receipt
        elif action == "delete" and latest:
            key = sorted(latest)[number % len(latest)]
            q.delete(latest.pop(key), now)
            obligations -= 1
        elif action == "change" and latest:
            receipt = latest[sorted(latest)[0]]
            with contextlib.suppress(ServiceError):
                q.change_visibility(receipt, number, now)
        elif action == "wait":
            now += number
        assert q.visible(now) + q.in_flight(now) + q.delayed(now) == obligations
    assert sum(len(q.receive(now + 100, 10)) for _ in range(len(steps) + 1)) == obligations
