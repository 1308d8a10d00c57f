"""Parquet files, with what Spark writes into their footers beside."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from aflint.executor.context import task_context
from aflint.sql.errors import UnsupportedPlanError
from aflint.sql.remote import Writing, is_remote, register
from aflint.sql.types import text
from aflint.storage.local import local_path

_GROUP_ROWS = 122_880
_VECTOR = 2048
_CODECS = {
    ".parquet": "uncompressed",
    ".snappy.parquet": "snappy",
    ".gz.parquet": "gzip",
    ".zstd.parquet": "zstd",
    ".br.parquet": "brotli",
    ".lz4raw.parquet": "lz4_raw",
}
"""By the ending of a file's name, which Spark makes of the codec."""


@dataclass(frozen=True, slots=True)
class WriteParquet:
    """Writes one Parquet file. `metadata` is what Spark reads the schema from."""

    codec: str
    metadata: tuple[tuple[str, str], ...]

    def __call__(self, cursor: Any, rows: str, path: str) -> int:
        if is_remote(path):
            register(cursor)
            with Writing(path) as file:
                return self._copied(cursor, rows, file)
        file = local_path(path)
        os.makedirs(os.path.dirname(file), exist_ok=True)
        return self._copied(cursor, rows, file)

    def _copied(self, cursor: Any, rows: str, file: str) -> int:
        pairs = ", ".join(f"{text(key)}: {text(value)}" for key, value in self.metadata)
        options = f"FORMAT parquet, CODEC {text(self.codec)}, KV_METADATA {{{pairs}}}"
        options += f", ROW_GROUP_SIZE {_group_rows(task_context().memory_mb)}"
        copied = cursor.execute(f"COPY ({rows}) TO {text(file)} ({options}, USE_TMP_FILE false)")
        count: int = copied.fetchone()[0]
        return count


def _group_rows(memory_mb: int) -> int:
    """Return how many rows a row group has, which is written from memory: as many as DuckDB's by
    default, and fewer in a small task.
    """
    share = min(1.0, memory_mb / 1024) if memory_mb else 1.0
    return max(_VECTOR, int(_GROUP_ROWS * share) // _VECTOR * _VECTOR)


def codec_of(extension: str) -> str:
    """Return DuckDB's name of the codec that a file's name tells of."""
    codec = _CODECS.get(extension)
    if codec is None:
        raise UnsupportedPlanError(
            f"writing {extension} files", instead="Use snappy, zstd, gzip, brotli, lz4_raw or none."
        )
    return codec
