"""Buckets, objects and multipart uploads: S3's state, strongly consistent. Pure but for blobs."""

from __future__ import annotations

import bisect
import os
import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aflint.localcloud.s3.errors import no_bucket, no_key, no_upload
from aflint.localcloud.wire import ServiceError

_IN_MEMORY = 1024 * 1024
_NAME = re.compile(r"(?!xn--|sthree-|amzn-s3-demo-)[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")


class Blob:
    """Immutable bytes of `size`; `discard` frees what a large one holds on disk."""

    def __init__(self, content: bytes, folder: Path) -> None:
        self.size = len(content)
        self._memory: bytes | None = content
        self._path: str | None = None
        if self.size > _IN_MEMORY:
            self._memory = None
            descriptor, self._path = tempfile.mkstemp(prefix="blob-", dir=folder)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)

    @classmethod
    def joined(cls, parts: Sequence[Blob], folder: Path) -> Blob:
        """The parts' bytes one after the other."""
        return cls(b"".join(part.read(0, part.size) for part in parts), folder)

    def read(self, start: int, length: int) -> bytes:
        """`length` bytes from `start`."""
        if self._memory is not None:
            return self._memory[start : start + length]
        assert self._path is not None
        with open(self._path, "rb") as file:
            file.seek(start)
            return file.read(length)

    def discard(self) -> None:
        """Free the bytes; the blob must not be read again."""
        self._memory = b""
        if self._path is not None:
            os.unlink(self._path)
            self._path = None


@dataclass
class StoredObject:
    """One object; `etag` without quotes, `headers` are those given back on GET."""

    key: str
    blob: Blob
    etag: str
    modified: float
    headers: Mapping[str, str]
    checksums: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    part_sizes: tuple[int, ...] = ()
    was_read: bool = False
    """Whether the fault `lost_object` has had its chance."""


@dataclass(frozen=True)
class Part:
    """One uploaded part."""

    blob: Blob
    etag: str
    modified: float
    checksums: Mapping[str, str]


@dataclass
class Upload:
    """A multipart upload under way."""

    id: str
    key: str
    started: float
    headers: Mapping[str, str]
    tags: Mapping[str, str]
    parts: dict[int, Part] = field(default_factory=dict)


@dataclass
class Bucket:
    """One bucket; `documents` keeps sub-resources (lifecycle, encryption ...) as they were put."""

    name: str
    created: float
    objects: dict[str, StoredObject] = field(default_factory=dict)
    keys: list[str] = field(default_factory=list)
    """Sorted by UTF-8 bytes, which for str is the order of code points."""
    uploads: dict[str, Upload] = field(default_factory=dict)
    documents: dict[str, bytes] = field(default_factory=dict)

    def get(self, key: str) -> StoredObject:
        """The object; raises NoSuchKey."""
        found = self.objects.get(key)
        if found is None:
            raise no_key(key)
        return found

    def put(self, stored: StoredObject) -> None:
        """Store, replacing what was there."""
        previous = self.objects.get(stored.key)
        if previous is None:
            # Listings are in this order, and begin anywhere in it.
            bisect.insort(self.keys, stored.key)
        elif previous.blob is not stored.blob:  # new tags alone keep the bytes
            previous.blob.discard()
        self.objects[stored.key] = stored

    def delete(self, key: str) -> None:
        """Remove; nothing happens when it is not there."""
        found = self.objects.pop(key, None)
        if found is not None:
            del self.keys[bisect.bisect_left(self.keys, key)]
            found.blob.discard()

    def upload(self, upload_id: str, key: str) -> Upload:
        """The upload; raises NoSuchUpload."""
        found = self.uploads.get(upload_id)
        if found is None or found.key != key:
            raise no_upload(upload_id)
        return found

    def end_upload(self, upload: Upload) -> None:
        """Forget an upload and free its parts."""
        del self.uploads[upload.id]
        for part in upload.parts.values():
            part.blob.discard()


class Buckets:
    """All buckets by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Bucket] = {}

    def get(self, name: str) -> Bucket:
        """The bucket; raises NoSuchBucket."""
        found = self.by_name.get(name)
        if found is None:
            raise no_bucket(name)
        return found

    def create(self, name: str, now: float, region: str) -> Bucket:
        """A new bucket. One that is there already is an error except in us-east-1, as on AWS."""
        if not _NAME.fullmatch(name) or ".." in name or _ADDRESS.fullmatch(name):
            raise ServiceError(
                "InvalidBucketName",
                "The specified bucket is not valid.",
                fields={"BucketName": name},
            )
        existing = self.by_name.get(name)
        if existing is None:
            existing = self.by_name[name] = Bucket(name, now)
        elif region != "us-east-1":
            raise ServiceError(
                "BucketAlreadyOwnedByYou",
                "Your previous request to create the named bucket succeeded and you already own "
                "it.",
                409,
                fields={"BucketName": name},
            )
        return existing

    def delete(self, name: str) -> None:
        """Remove an empty bucket; raises NoSuchBucket or BucketNotEmpty."""
        bucket = self.get(name)
        if bucket.objects or bucket.uploads:
            raise ServiceError(
                "BucketNotEmpty",
                "The bucket you tried to delete is not empty",
                409,
                fields={"BucketName": name},
            )
        del self.by_name[name]
