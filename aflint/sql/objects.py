"""What the planner sees of S3: listings, sizes and bytes, by the driver's own storage."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from aflint.errors import PathNotFoundError
from aflint.storage.base import FileInfo, Storage

Call = Callable[[Callable[[], Coroutine[Any, Any, Any]]], Any]
"""Runs a coroutine on the session's loop, and waits for it."""


@dataclass(frozen=True, slots=True)
class Objects:
    """Answers ObjectFiles.java, in any thread."""

    storage: Storage
    call: Call

    def apply(self, request: str) -> str | bytes | None:
        """Answer a request; None where nothing is at the path."""
        what, path, *ends = json.loads(request)
        if what == "read":
            data: bytes = self.call(lambda: self.storage.read(path, *ends))
            return data
        folder = path.rstrip("/")
        try:
            found = self.call(
                lambda: self.storage.list(folder, "read" if what == "list" else "skip")
            )
        except PathNotFoundError:
            return None
        return json.dumps(status(folder, found) if what == "status" else children(folder, found))

    class Java:
        """What py4j makes of this in the JVM."""

        implements = ("java.util.function.Function",)


Status = tuple[str | None, int | None, str]
"""A name within a path, or None for the path itself; a size, or None for a folder; a version."""


def status(path: str, found: list[FileInfo]) -> list[Status]:
    """Return what is at a path, given what is listed there: a file, or a folder."""
    if len(found) == 1 and _key(found[0].path) == _key(path):
        return [(None, found[0].size, found[0].version)]
    return [(None, None, "")]


def children(path: str, found: list[FileInfo]) -> list[Status]:
    """Return what is directly in a folder, given all files below it; of a file, the file."""
    if len(found) == 1 and _key(found[0].path) == _key(path):
        return status(path, found)
    listed: dict[str, Status] = {}
    for file in found:
        name, slash, _ = _key(file.path).removeprefix(_key(path) + "/").partition("/")
        listed[name] = (name, None, "") if slash else (name, file.size, file.version)
    return list(listed.values())


def _key(path: str) -> str:
    """Return a path without its scheme, of which s3, s3a and s3n are one."""
    return path.partition("://")[2]
