"""S3 in memory: objects, listings and multipart uploads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from aflint.aws.s3 import S3, Listed, Stored
from aflint.errors import BackendError, ObjectNotFoundError
from aflint.testing.simulation.callers import Caller
from aflint.testing.simulation.dice import Dice
from aflint.testing.simulation.faults import Fault

NO_AWS: Any = None
"""Where the real service has its connection."""

_SHUFFLED = re.compile(r"/shuffles/(.+)/(\d+)-[0-9a-f]{8}/(\d+-\d+-\d+)-")
MOST_LOST = 2
"""How often the output of one shuffle is lost at most: fewer times than the policy bears."""


@dataclass(slots=True)
class SimulatedObjects:
    """All objects of one bucket by key, and unfinished uploads by (key, id).

    `orphans` are keys written by attempts that run on in the cloud though the driver gave them up:
    nobody can stop those, and `aflint clean` removes what they write last. So are programs and data
    of a driver that does not know yet that it lost its run: others may have them under that name.
    """

    dice: Dice
    held: dict[str, bytes] = field(default_factory=dict)
    uploads: dict[tuple[str, str], dict[int, bytes]] = field(default_factory=dict)
    orphans: set[str] = field(default_factory=set)
    _numbers: int = 0

    def write(self, key: str, data: bytes, caller: Caller) -> None:
        """Keep an object."""
        self.held[key] = data
        if caller.abandoned or (caller.superseded and "/blobs/" in key):
            self.orphans.add(key)

    def lose_some(self, when: str) -> None:
        """Let single objects of shuffles go."""
        for key in list(self.held):
            shuffled = _SHUFFLED.search(key)
            if shuffled is not None:
                where = f"{when} {'/'.join(shuffled.groups())}"
                if self.dice.strikes(Fault.LOST_KEPT, where):
                    del self.held[key]

    def next_upload(self) -> str:
        """Return the id for an upload."""
        self._numbers += 1
        return f"u{self._numbers}"

    def stored(self, key: str) -> Stored:
        """Return an object that is there."""
        data = self.held[key]
        return Stored(key, len(data), blake2b(data, digest_size=8).hexdigest())

    def find(self, key: str) -> Stored | None:
        """Return an object, or None where it is not there."""
        return self.stored(key) if key in self.held else None

    def read(self, key: str, start: int, end: int | None, etag: str, where: str) -> bytes:
        """Return a range of an object; part of it, or nothing, where a fault strikes."""
        shuffled = _SHUFFLED.search(key)
        if shuffled is not None and key in self.held:
            place, group = "/".join(shuffled.groups()), f"lost/{shuffled[1]}/{shuffled[2]}"
            if self.dice.strikes(Fault.LOST_OBJECT, place, group=group, most=MOST_LOST):
                del self.held[key]
        if key not in self.held:
            raise ObjectNotFoundError(f"{key} is not there")
        data = self.held[key]
        if etag and self.stored(key).etag != etag:
            raise _refused(f"{key} is another one", "PreconditionFailed")
        if start and start >= len(data):
            error = ObjectNotFoundError(f"{key} ends before {start}")
            error.code = "InvalidRange"
            raise error
        found = data[start:end]
        if shuffled is not None:
            place = f"{place} {where}"
            if self.dice.strikes(Fault.TRUNCATED_READ, place, group=group, most=MOST_LOST):
                return found[: self.dice.pick(len(found), "cut", place)]
        return found


def _refused(what: str, code: str) -> BackendError:
    error = BackendError(what)
    error.code = code
    return error


class SimulatedS3(S3):
    """The calls of `aflint.aws.s3` on simulated objects, for one caller; buckets are all one."""

    def __init__(self, objects: SimulatedObjects, caller: Caller) -> None:
        super().__init__(NO_AWS)
        self._objects = objects
        self._caller = caller

    async def get(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, etag: str = ""
    ) -> bytes:
        if end is not None and end <= start:
            return b""
        where = f"{self._caller.label}:{self._caller.requests}"
        return await self._caller.request(
            "GetObject", lambda: self._objects.read(key, start, end, etag, where)
        )

    async def head(self, bucket: str, key: str) -> Stored | None:
        return await self._caller.request("HeadObject", lambda: self._objects.find(key))

    async def put(self, bucket: str, key: str, body: bytes, *, new: bool = False) -> None:
        def written() -> None:
            if new and key in self._objects.held:
                raise _refused(f"{key} is there", "PreconditionFailed")
            self._objects.write(key, bytes(body), self._caller)

        await self._caller.request("PutObject", written)

    async def copy(self, bucket: str, key: str, source_bucket: str, source_key: str) -> None:
        def copied() -> None:
            if source_key not in self._objects.held:
                raise ObjectNotFoundError(f"{source_key} is not there")
            self._objects.held[key] = self._objects.held[source_key]

        await self._caller.request("CopyObject", copied)

    async def delete(self, bucket: str, key: str) -> None:
        await self.delete_many(bucket, [key])

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        def removed() -> None:
            for key in keys:
                self._objects.held.pop(key, None)

        if keys:
            await self._caller.request("DeleteObjects", removed)

    async def page(
        self, bucket: str, prefix: str, *, delimiter: str = "", after: str = "", most: int = 1000
    ) -> Listed:
        return await self._caller.request("ListObjectsV2", lambda: self._listed(prefix, delimiter))

    async def list_all(self, bucket: str, prefix: str, *, delimiter: str = "") -> Listed:
        return await self.page(bucket, prefix, delimiter=delimiter)

    def _listed(self, prefix: str, delimiter: str) -> Listed:
        objects, folders = [], dict[str, None]()
        for key in sorted(self._objects.held):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if delimiter and delimiter in rest:
                folders[prefix + rest.partition(delimiter)[0] + delimiter] = None
            else:
                objects.append(self._objects.stored(key))
        return Listed(objects, list(folders))

    async def begin_upload(self, bucket: str, key: str) -> str:
        def begun() -> str:
            upload = self._objects.next_upload()
            self._objects.uploads[key, upload] = {}
            return upload

        return await self._caller.request("CreateMultipartUpload", begun)

    async def put_part(self, bucket: str, key: str, upload: str, number: int, body: bytes) -> str:
        def put() -> str:
            self._parts(key, upload)[number] = bytes(body)
            return str(number)

        return await self._caller.request("UploadPart", put)

    async def finish_upload(self, bucket: str, key: str, upload: str, tags: Sequence[str]) -> None:
        def finished() -> None:
            parts = self._parts(key, upload)
            data = b"".join(parts[int(tag)] for tag in tags)
            self._objects.write(key, data, self._caller)
            del self._objects.uploads[key, upload]

        await self._caller.request("CompleteMultipartUpload", finished)

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        await self._caller.request(
            "AbortMultipartUpload", lambda: self._objects.uploads.pop((key, upload), None)
        )

    async def uploads(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        return await self._caller.request(
            "ListMultipartUploads",
            lambda: [place for place in self._objects.uploads if place[0].startswith(prefix)],
        )

    def _parts(self, key: str, upload: str) -> dict[int, bytes]:
        try:
            return self._objects.uploads[key, upload]
        except KeyError:
            raise ObjectNotFoundError(f"upload {upload} of {key} is not there") from None
