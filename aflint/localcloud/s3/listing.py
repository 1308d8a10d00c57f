"""ListObjectsV2's page of keys and common prefixes. Pure."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Page:
    """One page; `next` is where the following one starts after, when there is one."""

    keys: tuple[str, ...]
    prefixes: tuple[str, ...]
    next: str | None


def list_keys(keys: Sequence[str], prefix: str, delimiter: str, after: str, most: int) -> Page:
    """Up to `most` keys and prefixes from sorted `keys`, strictly past `after`.

    `after` may be a common prefix that ended the page before: all keys below it are skipped.
    """
    found: list[str] = []
    prefixes: list[str] = []
    last = ""
    at = bisect.bisect_left(keys, prefix)
    if after and after >= prefix:
        at = max(at, bisect.bisect_right(keys, after))
    while at < len(keys) and keys[at].startswith(prefix):
        key = keys[at]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        shared = key[: cut + len(delimiter)] if cut >= 0 else ""
        if shared and shared in (last, after):
            at = _past(keys, shared, at)
            continue
        if len(found) + len(prefixes) == most:
            return Page(tuple(found), tuple(prefixes), last or after)
        if shared:
            prefixes.append(shared)
            last = shared
            at = _past(keys, shared, at)
        else:
            found.append(key)
            last = key
            at += 1
    return Page(tuple(found), tuple(prefixes), None)


def _past(keys: Sequence[str], shared: str, at: int) -> int:
    while at < len(keys) and keys[at].startswith(shared):
        at += 1
    return at
