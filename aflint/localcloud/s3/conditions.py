"""Conditional requests and byte ranges, decided without I/O."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from aflint.localcloud.s3.errors import failed_precondition, no_key
from aflint.localcloud.wire import ServiceError

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")


def check_read(headers: Mapping[str, str], etag: str, modified: float) -> None:
    """If-Match and its kin for GET, HEAD and the source of a copy; raises 304 or 412 errors."""
    match, none_match = headers.get("if-match"), headers.get("if-none-match")
    if match is not None:
        if not _names(match, etag):
            raise failed_precondition("If-Match")
    elif (since := headers.get("if-unmodified-since")) and modified > _seconds(since, modified):
        raise failed_precondition("If-Unmodified-Since")
    if none_match is not None:
        if _names(none_match, etag):
            raise ServiceError("NotModified", "Not Modified", 304)
    elif (since := headers.get("if-modified-since")) and int(modified) <= _seconds(since, 0):
        raise ServiceError("NotModified", "Not Modified", 304)


def check_write(headers: Mapping[str, str], key: str, etag: str | None) -> None:
    """If-None-Match: * and If-Match for PUT; `etag` is the present object's, if there is one."""
    if headers.get("if-none-match") is not None and etag is not None:
        raise failed_precondition("If-None-Match")
    match = headers.get("if-match")
    if match is not None:
        if etag is None:
            raise no_key(key)
        if not _names(match, etag):
            raise failed_precondition("If-Match")


def byte_range(header: str | None, size: int) -> tuple[int, int] | None:
    """(start, length) of a Range header; None when there is none, or one that S3 ignores.

    Raises InvalidRange (416) when it begins past the end.
    """
    found = _RANGE.fullmatch(header.strip()) if header else None
    if found is None or not (found[1] or found[2]):
        return None
    if not found[1]:
        length = min(int(found[2]), size)
        start = size - length
    else:
        start = int(found[1])
        end = min(int(found[2]), size - 1) if found[2] else size - 1
        length = end - start + 1
        if found[2] and int(found[2]) < start:
            return None
    if start >= size or length <= 0:
        raise ServiceError(
            "InvalidRange",
            "The requested range is not satisfiable",
            416,
            fields={"RangeRequested": str(header), "ActualObjectSize": str(size)},
        )
    return start, length


def _names(header: str, etag: str) -> bool:
    tags = [tag.strip().removeprefix("W/").strip('"') for tag in header.split(",")]
    return "*" in tags or etag in tags


def _seconds(date: str, otherwise: float) -> float:
    try:
        return parsedate_to_datetime(date).timestamp()
    except ValueError:
        return otherwise
