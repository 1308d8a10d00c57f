from __future__ import annotations

import gc
import operator
import pickle
from typing import Any

import pytest

from aflint.codec import closure, frame
from aflint.codec.digest import digest_of
from aflint.errors import SessionError
from aflint.executor.context import TaskContext, in_task, running, task_context
from aflint.task import Blob, TaskId
from aflint.variables import Accumulator, Broadcast, apply_updates, noticing_broadcasts


def context(fetched: list[Blob] | None = None, data: bytes = b"") -> TaskContext:
    def fetch(blob: Blob) -> bytes:
        if fetched is not None:
            fetched.append(blob)
        return data

    return TaskContext(TaskId("job", 1, 2, 3), fetch)


def test_the_context_says_where_it_is() -> None:
    with running(context()) as task:
        assert in_task()
        assert (task_context().partition, task_context().stage, task_context().attempt) == (2, 1, 3)
        assert task_context() is task
    assert not in_task()
    with pytest.raises(SessionError, match="no task"):
        task_context()


def test_an_accumulator_in_a_task_adds_to_a_share_of_its_own() -> None:
    total: Accumulator[Any] = Accumulator(10)
    with running(context()) as task:
        remote = pickle.loads(pickle.dumps(total))
        remote.add(2)
        remote += 3
        with pytest.raises(SessionError, match="driver only"):
            assert remote.value
        with pytest.raises(SessionError, match="driver only"):
            remote.value = 3
        assert "in a task" in repr(remote)
    assert total.value == 10
    apply_updates(task.accumulated)
    assert total.value == 15
    assert repr(total) == "<Accumulator 15>"


def test_the_first_term_is_not_changed_by_later_ones() -> None:
    names: Accumulator[list[str]] = Accumulator([], operator.iadd)
    term = ["a"]
    with running(context()) as task:
        names.add(term)
        names.add(["b"])
    assert term == ["a"]
    assert list(task.accumulated.values()) == [["a", "b"]]


def test_updates_of_accumulators_that_are_gone_are_dropped() -> None:
    total: Accumulator[int] = Accumulator(0)
    with running(context()) as task:
        total.add(1)
    del total
    gc.collect()
    apply_updates(task.accumulated)


def test_an_accumulator_is_itself_in_the_driver() -> None:
    total: Accumulator[int] = Accumulator(0)
    assert pickle.loads(pickle.dumps(total)) is total


def broadcast_of(value: Any) -> tuple[Broadcast[Any], Blob, bytes]:
    data = frame.compress(closure.dumps(value, "value"))
    blob = Blob(digest_of(data), len(data), location="somewhere")
    return Broadcast(blob, data), blob, data


def test_the_driver_sees_a_broadcast_as_tasks_do_whatever_becomes_of_the_original() -> None:
    """As Spark's: its value in the driver is read back, once."""
    value = {"mutable": [1, 2]}
    broadcast, _, data = broadcast_of(value)
    value["mutable"].append(3)
    assert broadcast.value == {"mutable": [1, 2]}
    assert broadcast.value is broadcast.value
    pickled = pickle.dumps(broadcast)
    with running(context([], data)):
        assert pickle.loads(pickled).value == {"mutable": [1, 2]}


def test_a_broadcast_within_a_broadcast_is_read_in_the_driver() -> None:
    inner, _, _ = broadcast_of([1])
    outer, _, _ = broadcast_of({"inner": inner})
    assert outer.value["inner"].value == [1]


def test_broadcasts_are_fetched_once_per_process() -> None:
    value = {"a": [1, 2]}
    broadcast, blob, data = broadcast_of(value)
    fetched: list[Blob] = []
    with noticing_broadcasts() as noticed:
        pickled = pickle.dumps(broadcast)
    assert noticed == [blob]
    for _ in range(2):
        with running(context(fetched, data)):
            remote = pickle.loads(pickled)
            assert remote.value == value
            assert remote.value is remote.value
    assert len(fetched) == 1


def test_a_destroyed_broadcast() -> None:
    broadcast, _, _ = broadcast_of([1])
    assert broadcast.value == [1]
    broadcast.unpersist()
    assert broadcast.value == [1]
    broadcast.destroy()
    with pytest.raises(SessionError, match="destroyed"):
        assert broadcast.value
    with pytest.raises(SessionError, match="destroyed"):
        pickle.dumps(broadcast)


@pytest.mark.parametrize("add", [operator.add, lambda a, b: a + b])
def test_copies_of_an_accumulator_add_to_the_share_of_the_running_task(add: Any) -> None:
    total: Accumulator[int] = Accumulator(0, add)
    with running(context()) as first:
        # Two functions of one task may each hold a copy, and a module may keep one for later tasks.
        kept, other = (closure.loads(closure.dumps(total, "it")) for _ in range(2))
        for copy in (kept, other, kept, other):
            copy.add(1)
    with running(context()) as second:
        kept.add(10)
        with running(context()) as third:
            kept.add(100)
        kept.add(10)
    shares = [list(task.accumulated.values()) for task in (first, second, third)]
    assert shares == [[4], [20], [100]]
