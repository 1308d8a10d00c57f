"""Keeping a partition's records on their way through, for `cache` and `checkpoint`."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

from aflint.executor.io_loop import IOLoop
from aflint.executor.sinks import BlockFileWriter
from aflint.storage.base import Storage
from aflint.task import BlocksSplit

_BLOCK_BYTES = 1024 * 1024
_MOST_RECORDS = 16384


def store(
    source: Iterator[Any],
    path: str,
    storage: Storage,
    io: IOLoop,
    done: Callable[[BlocksSplit], None],
    key_of: Callable[[str], bytes] | None = None,
) -> Iterator[Any]:
    """Yield records, and keep them in a file; `done` is called with it once all have been yielded.

    Every call writes a file of its own, its name beginning with `path`: attempts do not meet, and
    the driver takes the file of the accepted one. With `key_of`, which gives the key of a path, the
    file is tagged.
    """
    path = f"{path}-{secrets.token_hex(16)}"
    count = 64
    key = key_of(path) if key_of is not None else None
    with BlockFileWriter(path, storage, io, key) as file:
        while block := list(islice(source, count)):
            written = max(1, file.write(block))
            # Blocks of about equal bytes, whatever the size of records.
            count = max(1, min(_MOST_RECORDS, count * _BLOCK_BYTES // written, count * 4))
            yield from block
    # A consumer that stops early never comes here: half a partition is not kept.
    done(BlocksSplit(path, file.size, tagged=key is not None))
