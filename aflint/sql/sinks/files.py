"""Writes the rows of a task's query as files of one target: by folder, and by count."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from aflint.executor.context import task_context
from aflint.executor.sinks import staging_folder
from aflint.task import StagedPart

FOLDER = "aflint_folder"
"""The column of a query that says in which folder a row goes: its partition values as JSON."""

BUCKET = "aflint_bucket"
"""The column of a query that says in which bucket a row goes."""

_UNSAFE = re.compile(r"[\x01-\x1f\"#%'*/:=?\\\x7f{\[\]^]")
"""What a folder's name has as %XX, as in Hive and Spark."""

_DEFAULT = "__HIVE_DEFAULT_PARTITION__"

WriteFile = Callable[[Any, str, str], int]
"""Writes the rows of a query, given a cursor and a path, as one file; returns how many."""


@dataclass(frozen=True, slots=True)
class FileSink:
    """Where a task's files go: parts of `target`, whose names end with `extension`, of at most
    `most_records` rows (0: any number), in folders by the values of the columns `placed`, and, if
    `bucketed`, each of rows of one bucket.
    """

    target: str
    extension: str
    write_file: WriteFile
    placed: tuple[str, ...] = ()
    most_records: int = 0
    bucketed: bool = False

    @property
    def _apart(self) -> list[str]:
        """The columns whose values no two of which stand in one file."""
        return [FOLDER] * bool(self.placed) + [BUCKET] * self.bucketed

    def write(self, cursor: Any, query: str) -> Iterator[StagedPart]:
        """Write the rows of a query, and yield the parts that they became.

        The first partition has a file even where it has no rows, so that there is a schema to read.
        """
        files = _Files(self, cursor)
        if not self._apart and not self.most_records:
            yield from files.written(query, "", 0, keep_empty=files.task.partition == 0)
            return
        cursor.execute(f"CREATE TEMP TABLE aflint_written AS {query}")
        if not self._apart:
            keep = files.task.partition == 0
            yield from files.cut("SELECT * FROM aflint_written", "", keep_empty=keep)
            return
        apart = ", ".join(self._apart)
        found = cursor.execute(
            f"SELECT {apart} FROM aflint_written GROUP BY ALL ORDER BY min(rowid)"
        ).fetchall()
        for values in found:
            same = []
            for column, value in zip(self._apart, values, strict=True):
                cursor.execute(f"SET VARIABLE {column} = $1", [value])
                same.append(f"{column} = getvariable('{column}')")
            rows = f"SELECT * EXCLUDE ({apart}) FROM aflint_written WHERE {' AND '.join(same)}"
            folder = folder_name(self.placed, json.loads(values[0])) if self.placed else ""
            yield from files.cut(rows, folder, f"_{values[-1]:05d}" if self.bucketed else "")


class _Files:
    """The files of one task."""

    def __init__(self, sink: FileSink, cursor: Any) -> None:
        self.task = task_context().id
        self._sink = sink
        self._cursor = cursor
        self._folder = staging_folder(sink.target, self.task)
        # The same for all parts of a job, and for no other job's, also after a resume.
        self._job = uuid.uuid5(uuid.NAMESPACE_URL, self.task.job)

    def cut(
        self, rows: str, folder: str, bucket: str = "", *, keep_empty: bool = False
    ) -> Iterator[StagedPart]:
        """Write rows as files of the most records that one may have."""
        most = self._sink.most_records
        if not most:
            yield from self.written(rows, folder, 0, bucket, keep_empty=keep_empty)
            return
        (count,) = self._cursor.execute(f"SELECT count(*) FROM ({rows})").fetchone()
        for number, first in enumerate(range(0, max(count, 1), most)):
            some = f"{rows} LIMIT {most} OFFSET {first}"
            yield from self.written(some, folder, number, bucket, keep_empty=keep_empty)

    def written(
        self, rows: str, folder: str, number: int, bucket: str = "", *, keep_empty: bool
    ) -> Iterator[StagedPart]:
        """Write one file."""
        before = "." if self._sink.placed or bucket else "-"
        file = f"part-{self.task.partition:05d}-{self._job}{bucket}{before}c{number:03d}"
        name = f"{folder}{file}{self._sink.extension}"
        path = f"{self._folder}/{name}"
        count = self._sink.write_file(self._cursor, rows, path)
        if count or keep_empty:  # else it stays behind, and goes with the attempt's folder
            yield StagedPart(path, name, records=count)


def folder_name(columns: tuple[str, ...], values: list[str | None]) -> str:
    """Return the folders of partition values, as Hive names them, with a slash behind each."""
    pairs = zip(columns, values, strict=True)
    return "".join(f"{_safe(column)}={_safe(value or _DEFAULT)}/" for column, value in pairs)


def _safe(text: str) -> str:
    return _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", text)
