"""A failed task with all that it read, as bytes: what `aflint replay` runs again."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from aflint.errors import TaskError
from aflint.executor.blockfile import pack_block
from aflint.executor.inputs import Inputs, ReducePartition, place_of
from aflint.task import Blob, BlocksSplit, DataSplit, Manifest, TaskDescription, TaskFailure
from aflint.wire import pack, wire

PYTHON: Final = f"{sys.version_info.major}.{sys.version_info.minor}"

Fetch = Callable[[Blob], bytes]


@wire
@dataclass(frozen=True, slots=True)
class KeptTask:
    """A failed task: its description, with the program and the driver's records within, and the
    frames of each reduce partition that it reads, as (place, packed [id, records]).

    `blobs` are broadcasts. Of its environment it has the version of Python, and where modules were
    found.
    """

    task: TaskDescription
    frames: tuple[tuple[ReducePartition, tuple[bytes, ...]], ...]
    error: str
    blobs: tuple[Blob, ...] = ()
    python: str = PYTHON
    path: tuple[str, ...] = field(default_factory=lambda: tuple(sys.path))
    folder: str = field(default_factory=os.getcwd)


def keep(task: TaskDescription, failure: TaskFailure, inputs: Inputs, fetch: Fetch) -> TaskFailure:
    """Write a task that user code failed to storage, and return its failure with the place.

    Whatever keeps that from being done stands in the failure, which is the one to be told.
    """
    if failure.kind != TaskError.__name__:
        return failure
    location = f"{task.storage}/failed/{task.id.job}/{task.id.stage}/{task.id.partition}"
    try:
        data = pack(_kept(task, failure, inputs, fetch))
        inputs.io.run(inputs.storage.write(location, data))
    except Exception as error:
        return replace(
            failure, message=f"{failure.message}\n(its input could not be kept: {error!r})"
        )
    return replace(failure, details={**failure.details, "kept": location})


def _kept(task: TaskDescription, failure: TaskFailure, inputs: Inputs, fetch: Fetch) -> KeptTask:
    frames: dict[ReducePartition, tuple[bytes, ...]] = {}
    items = []
    for item in task.inputs:
        split = item.split
        if isinstance(split, Manifest) and place_of(split) not in frames:
            # Whole, though the task failed in the middle: a mended program may read on.
            whole = inputs.frames(split, ())
            frames[place_of(split)] = tuple(pack_block([id, block]) for id, block in whole)
        elif isinstance(split, DataSplit):
            split = DataSplit(tuple(_inline(blob, fetch) for blob in split.blocks))
        elif isinstance(split, BlocksSplit):  # gone with the session
            blocks = (pack_block(list(block)) for block in inputs.open(split).blocks())
            split = DataSplit(tuple(Blob("", len(data), data) for data in blocks))
        items.append(replace(item, split=split))
    whole_task = replace(task, program=_inline(task.program, fetch), inputs=tuple(items))
    return KeptTask(whole_task, tuple(frames.items()), failure.message)


def _inline(blob: Blob, fetch: Callable[[Blob], bytes]) -> Blob:
    return Blob(blob.digest, blob.size, fetch(blob))
