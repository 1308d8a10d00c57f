"""Objects that are gone when they are first read: the fault `lost_object`."""

from __future__ import annotations

from collections import Counter

from aflint.localcloud.faults import Dice
from aflint.localcloud.s3.bucket import Buckets
from aflint.localcloud.s3.target import split_path
from aflint.localcloud.wire import Request


class Losses:
    """Decides once for each version of an object, and no more often for a folder than allowed."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._lost: Counter[str] = Counter()

    def before_read(self, buckets: Buckets, request: Request) -> None:
        """Remove the object that is about to be read, should it be lost."""
        faults = self._dice.faults
        if not faults.lost_object:
            return
        name, key = split_path(request.path)
        bucket = buckets.by_name.get(name)
        stored = bucket.objects.get(key) if bucket else None
        if (
            bucket is None
            or stored is None
            or stored.was_read
            or faults.lost_object_keys not in key
        ):
            return
        stored.was_read = True
        folder = key.rpartition("/")[0]
        if self._lost[folder] < faults.most_lost_objects and self._dice.happens("lost_object"):
            self._lost[folder] += 1
            bucket.delete(key)
