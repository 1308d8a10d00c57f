"""Objects in S3 as files: s3://bucket/key."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager

from aflint import limits
from aflint.aio import InFlight, together
from aflint.aws.clients import Aws
from aflint.aws.s3 import S3, Stored
from aflint.errors import (
    BackendError,
    BucketNotFoundError,
    InvalidArgumentError,
    ObjectNotFoundError,
    OutputError,
    OutputExistsError,
    PathNotFoundError,
)
from aflint.storage.base import (
    FileInfo,
    FileWriter,
    Storage,
    Subfolders,
    input_changed,
    is_kept,
    subfolder,
)
from aflint.storage.globs import compile_glob, literal_prefix, split_at_match
from aflint.storage.patterns import expand_braces, is_glob, is_hidden
from aflint.task import TransferCounts

PART_BYTES = 8 * 1024 * 1024
"""Parts of an upload; S3 takes 10,000 of them, so that they grow with the object."""

_Files = list[FileInfo]

_PARTS_BEFORE_GROWTH = 1000
_UPLOADS = 4
_PRECONDITION = "PreconditionFailed"
_MOST_COPIED = limits.S3_PART_MAX_BYTES
"""What S3 copies in one call, whole or as a part."""
_COPIES = 16
_DIRECTORY = "--x-s3"
"""How names of S3 Express's buckets end, which list whole folders only."""


_PATH = re.compile(
    r"s3[an]?://(?P<bucket>arn:[^/]+:(outpost/[^/]+/)?accesspoint[/:][^/]+|[^/]+)/?(?P<key>.*)",
    re.IGNORECASE | re.DOTALL,
)


def split(path: str) -> tuple[str, str]:
    """Return bucket and key of s3://bucket/key, s3a:// and s3n:// too; an access point's ARN is a
    bucket, as well.

    Raises InvalidArgumentError where it names no bucket.
    """
    match = _PATH.fullmatch(path)
    if match is None:
        raise InvalidArgumentError(f"{path} names no bucket; write s3://bucket/key")
    return match["bucket"], match["key"]


@contextmanager
def _reading(path: str) -> Iterator[None]:
    """Turn what is not there into aflint's error for paths."""
    try:
        yield
    except BucketNotFoundError as error:
        raise PathNotFoundError(f"{path} does not exist: there is no such bucket", path) from error
    except ObjectNotFoundError as error:
        message = f"{path} does not exist; check the path ({error})"
        raise PathNotFoundError(message, path) from error


class S3Storage(Storage):
    """Objects of any bucket that the credentials may use.

    They are called by `aws`, which the caller closes; without it, as AWS's own settings say. Errors
    other than a missing path are those of BackendError.
    """

    def __init__(self, aws: Aws | None = None) -> None:
        self._owned = aws is None
        self._aws = aws or Aws()
        self._s3 = self._aws.s3()

    async def list(self, pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
        bucket, key = split(pattern)
        with _reading(pattern):
            found = await self._list_exact(bucket, key, subfolders)
            if found is None and is_glob(key):
                found = await self._list_glob(bucket, key, subfolders)
        if found is None:
            raise PathNotFoundError(f"nothing is at {pattern}; check the path", pattern)
        return sorted(set(found), key=lambda file: file.path)

    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        bucket, key = split(path)
        with _reading(path):
            try:
                return await self._s3.get(bucket, key, start, end, version)
            except BackendError as error:
                if error.code == "InvalidRange":  # it begins where the object ends, or behind
                    return b""
                if error.code == _PRECONDITION:
                    raise input_changed(path) from error
                raise

    async def write(self, path: str, data: bytes) -> None:
        bucket, key = _target(path)
        # One request, where a multipart upload takes three and more.
        if len(data) <= 2 * PART_BYTES:
            await self._s3.put(bucket, key, data)
            return
        writer = S3Writer(self._s3, bucket, key)
        try:
            await writer.write(data)
            await writer.finish()
        finally:
            await writer.abort()

    async def write_new(self, path: str, data: bytes) -> None:
        bucket, key = _target(path)
        try:
            await self._s3.put(bucket, key, data, new=True)
        except BackendError as error:
            if error.code != _PRECONDITION:
                raise
            # A PUT whose answer was lost is sent again, and then meets itself.
            if await self._s3.get(bucket, key) != data:
                raise OutputExistsError(f"{path} is there already, with other content") from error

    def create(self, path: str) -> FileWriter:
        return S3Writer(self._s3, *_target(path))

    async def exists(self, path: str) -> bool:
        bucket, key = split(path)
        try:
            # S3 has no folders: one is there if any key begins with its name and a slash.
            if key and not key.endswith("/") and await self._s3.head(bucket, key) is not None:
                return True
            page = await self._s3.page(bucket, _folder(key), most=1)
        except BucketNotFoundError:
            return False
        return bool(page.objects)

    async def move(self, source: str, target: str) -> None:
        bucket, key = split(source)
        target_bucket, target_key = _target(target)
        with _reading(source):
            found = await self._s3.head(bucket, key)
            if found is None:
                raise PathNotFoundError(f"{source} does not exist; check the path")
            # The copy first: at no moment is there neither.
            if found.size <= _MOST_COPIED:
                await self._s3.copy(target_bucket, target_key, bucket, key)
            else:
                await self._copy_in_parts((bucket, key), (target_bucket, target_key), found.size)
            if (bucket, key) != (target_bucket, target_key):
                await self._s3.delete(bucket, key)

    async def _copy_in_parts(
        self, source: tuple[str, str], target: tuple[str, str], size: int
    ) -> None:
        upload = await self._s3.begin_upload(*target)
        try:
            copies = (
                self._s3.copy_part(
                    target, upload, number, source, start, min(start + _MOST_COPIED, size)
                )
                for number, start in enumerate(range(0, size, _MOST_COPIED), 1)
            )
            await self._s3.finish_upload(*target, upload, await together(copies, _COPIES))
        except BaseException:
            await self._s3.abort_upload(*target, upload)
            raise

    async def delete(self, path: str) -> None:
        bucket, key = split(path)
        if not key:
            raise InvalidArgumentError(f"{path} is a whole bucket, which is not deleted from here")
        try:
            # The object of that name, and what is in the folder of that name: either may be there.
            if not key.endswith("/"):
                await self._s3.delete(bucket, key)
            found = await self._s3.list_all(bucket, _folder(key))
            await self._s3.delete_many(bucket, [each.key for each in found.objects])
        except BucketNotFoundError:
            return

    async def clear(self, folder: str, keep: Collection[str]) -> None:
        bucket, key = split(folder)
        prefix = _folder(key)
        try:
            found = await self._s3.list_all(bucket, prefix)
        except BucketNotFoundError:
            return
        within = ((each.key, each.key.removeprefix(prefix)) for each in found.objects)
        gone = [key for key, path in within if not is_kept(path, keep)]
        await self._s3.delete_many(bucket, gone)

    async def delete_files(self, paths: Sequence[str]) -> None:
        """Remove objects, a thousand with each request."""
        keys: dict[str, list[str]] = {}
        for path in paths:
            bucket, key = split(path)
            keys.setdefault(bucket, []).append(key)
        for bucket, some in keys.items():
            if len(some) == 1:
                await self._s3.delete(bucket, some[0])
            else:
                await self._s3.delete_many(bucket, some)

    @property
    def counts(self) -> TransferCounts:
        return self._s3.counts

    async def aclose(self) -> None:
        if self._owned:
            await self._aws.aclose()

    async def _list_exact(self, bucket: str, key: str, subfolders: Subfolders) -> _Files | None:
        """Return the object of that name, else what is in the folder of that name."""
        if key and not key.endswith("/"):
            stored = await self._s3.head(bucket, key)
            if stored is not None:
                return [_file(bucket, stored)]
        folder = _folder(key)
        # With a delimiter S3 names folders, and does not list what is in them.
        delimiter = "" if subfolders == "read" else "/"
        found = await self._s3.list_all(bucket, folder, delimiter=delimiter)
        if not found.objects and not found.folders:
            return None
        place = f"s3://{bucket}/{folder}"
        for name in found.folders:
            _is_taken(place, f"{name.removeprefix(folder)}/any", subfolders)
        return [
            _file(bucket, each)
            for each in found.objects
            if _is_taken(place, each.key.removeprefix(folder), subfolders)
        ]

    async def _list_glob(self, bucket: str, pattern: str, subfolders: Subfolders) -> _Files | None:
        """Return the objects that a glob matches, and those in folders that it matches."""
        files: _Files = []
        matched = False
        shows_hidden = is_hidden(pattern.rstrip("/").rpartition("/")[2])
        for simple in expand_braces(pattern.rstrip("/")):
            glob = compile_glob(simple)
            # As much of the name as is certain: all keys that begin with it are listed.
            prefix = literal_prefix(simple)
            # Such a bucket lists whole folders only: up to the last slash.
            if bucket.endswith(_DIRECTORY):
                prefix = prefix[: prefix.rfind("/") + 1]
            page = await self._s3.list_all(bucket, prefix)
            for each in page.objects:
                match, below = split_at_match(glob, each.key)
                if not match or (is_hidden(match.rpartition("/")[2]) and not shows_hidden):
                    continue
                matched = True
                place = f"s3://{bucket}/{match}/"
                # The glob matched the whole key, or a folder that the key is in.
                of_folder = match != each.key
                if of_folder and ("**" in simple or not _is_taken(place, below, subfolders)):
                    continue
                files.append(_file(bucket, each))
        return files if matched else None


def _file(bucket: str, stored: Stored) -> FileInfo:
    return FileInfo(f"s3://{bucket}/{stored.key}", stored.size, stored.etag)


def _is_taken(folder: str, below: str, subfolders: Subfolders) -> bool:
    """Say whether an object is one to list, by its name below a folder that is listed.

    Raises SubfolderError.
    """
    parts = below.split("/")
    if not parts[-1] or any(map(is_hidden, parts)):
        return False
    if len(parts) > 1 and subfolders == "refuse":
        raise subfolder(f"{folder}{parts[0]}", folder.rstrip("/"))
    return len(parts) == 1 or subfolders == "read"


class S3Writer(FileWriter):
    """Uploads parts while more is written; a small object is one PUT when it is finished."""

    def __init__(self, s3: S3, bucket: str, key: str) -> None:
        self._s3 = s3
        self._bucket = bucket
        self._key = key
        self._buffer = bytearray()
        self._upload = ""
        self._tags: list[str] = []
        self._sending = InFlight(_UPLOADS * 4 * PART_BYTES, _UPLOADS)

    async def write(self, data: bytes) -> None:
        self._buffer += data
        # Twice a part, so that what is left for the end is never less than S3 takes in a part.
        while len(self._buffer) >= 2 * self._part_bytes:
            await self._send(self._part_bytes)

    async def finish(self) -> None:
        if not self._upload:
            await self._s3.put(self._bucket, self._key, bytes(self._buffer))
        else:
            await self._send(len(self._buffer))
            await self._sending.drain()
            await self._s3.finish_upload(self._bucket, self._key, self._upload, self._tags)
            self._upload = ""
        self._buffer.clear()

    async def abort(self) -> None:
        await self._sending.cancel()
        upload, self._upload = self._upload, ""
        self._buffer.clear()
        if upload:
            await self._s3.abort_upload(self._bucket, self._key, upload)

    @property
    def _part_bytes(self) -> int:
        """How large the next part is: larger as there are more, so that they suffice for 5 TB."""
        return PART_BYTES << (len(self._tags) // _PARTS_BEFORE_GROWTH)

    async def _send(self, size: int) -> None:
        if not self._upload:
            self._upload = await self._s3.begin_upload(self._bucket, self._key)
        part = bytes(memoryview(self._buffer)[:size])
        del self._buffer[:size]
        # Its place in the list, taken now: parts end in any order.
        self._tags.append("")
        await self._sending.start(size, self._put(len(self._tags), part))

    async def _put(self, number: int, part: bytes) -> None:
        self._tags[number - 1] = await self._s3.put_part(
            self._bucket, self._key, self._upload, number, part
        )


def _target(path: str) -> tuple[str, str]:
    bucket, key = split(path)
    if not key or key.endswith("/"):
        raise OutputError(f"{path} is a folder; give the object a name")
    return bucket, key


def _folder(key: str) -> str:
    """Return the prefix of all that is in a folder."""
    return key if not key or key.endswith("/") else f"{key}/"
