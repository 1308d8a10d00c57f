"""The calls of S3 that aflint makes, through aiobotocore."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aflint.errors import BackendError, ObjectNotFoundError
from aflint.task import TransferCounts

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_MOST_DELETED = 1000
_CLASS_A = ("Put", "Copy", "Create", "Upload", "Complete", "List")
_FREE = ("Delete", "Abort")
_BILLED_REFUSALS = frozenset({"404", "NoSuchKey", "412", "PreconditionFailed", "InvalidRange"})


@dataclass(frozen=True, slots=True)
class Stored:
    """An object that is there. Another content has another `etag`."""

    key: str
    size: int
    etag: str = ""


@dataclass(frozen=True, slots=True)
class Listed:
    """One page of a listing: objects, and folders directly below."""

    objects: list[Stored]
    folders: list[str]
    next: str = ""


class S3:
    """Objects by bucket and key, in whichever region the bucket is.

    A bucket is a name, or the ARN of an access point. Every method raises the errors of
    `aflint.errors` that refusals stand for: ObjectNotFoundError where an object is not there.
    `counts` is told of each call that S3 bills.
    """

    def __init__(self, aws: Aws, counts: TransferCounts | None = None) -> None:
        self.counts = counts if counts is not None else TransferCounts()
        self._aws = aws

    async def get(
        self, bucket: str, key: str, start: int = 0, end: int | None = None, etag: str = ""
    ) -> bytes:
        """Return bytes [start, end) of an object; fewer only where it ends.

        Raises BackendError of the code PreconditionFailed where the object has not that `etag`.
        """
        if end is not None and end <= start:
            return b""
        wanted = {"Range": byte_range(start, end)} if start or end is not None else {}
        if etag:
            wanted["IfMatch"] = etag
        answer = await self._ask("GetObject", bucket, key, **wanted)
        try:
            data: bytes = await answer["Body"].read()
        except Exception as error:
            raise self._aws.explained(error, "s3", "GetObject", subject_of(bucket, key)) from error
        return data

    async def head(self, bucket: str, key: str) -> Stored | None:
        """Return an object without its content, or None where it is not there."""
        try:
            answer = await self._ask("HeadObject", bucket, key)
        except ObjectNotFoundError:
            return None
        return Stored(key, int(answer["ContentLength"]), answer["ETag"])

    async def put(self, bucket: str, key: str, body: bytes, *, new: bool = False) -> None:
        """Write a whole object: it is there entirely or not at all.

        With `new`, raises BackendError of the code PreconditionFailed where one is there.
        """
        only = {"IfNoneMatch": "*"} if new else {}
        await self._ask("PutObject", bucket, key, Body=body, **only)

    async def copy(self, bucket: str, key: str, source_bucket: str, source_key: str) -> None:
        """Copy an object of at most 5 GB."""
        source = {"Bucket": source_bucket, "Key": source_key}
        await self._ask("CopyObject", bucket, key, CopySource=source)

    async def copy_part(
        self,
        place: tuple[str, str],
        upload: str,
        number: int,
        source: tuple[str, str],
        start: int,
        end: int,
    ) -> str:
        """Copy bytes [start, end) of an object as a part, counted from 1, and return its tag;
        `place` and `source` are a bucket and a key each.
        """
        answer = await self._ask(
            "UploadPartCopy",
            *place,
            UploadId=upload,
            PartNumber=number,
            CopySource={"Bucket": source[0], "Key": source[1]},
            CopySourceRange=byte_range(start, end),
        )
        return str(answer["CopyPartResult"]["ETag"])

    async def delete(self, bucket: str, key: str) -> None:
        """Remove an object; one that is not there is no error."""
        await self._ask("DeleteObject", bucket, key)

    async def delete_many(self, bucket: str, keys: Sequence[str]) -> None:
        """Remove any number of objects, a thousand with each call."""
        for begin in range(0, len(keys), _MOST_DELETED):
            objects = [{"Key": key} for key in keys[begin : begin + _MOST_DELETED]]
            answer = await self._ask(
                "DeleteObjects", bucket, "", Delete={"Quiet": True, "Objects": objects}
            )
            _check_deleted(answer.get("Errors") or [], bucket)

    async def page(
        self, bucket: str, prefix: str, *, delimiter: str = "", after: str = "", most: int = 1000
    ) -> Listed:
        """Return one page of a listing; give its `next` as `after` for the one behind it."""
        wanted: dict[str, Any] = {"Prefix": prefix, "MaxKeys": most}
        if delimiter:
            wanted["Delimiter"] = delimiter
        if after:
            wanted["ContinuationToken"] = after
        answer = await self._ask("ListObjectsV2", bucket, "", **wanted)
        objects = [
            Stored(each["Key"], int(each["Size"]), each["ETag"])
            for each in answer.get("Contents", ())
        ]
        folders = [each["Prefix"] for each in answer.get("CommonPrefixes", ())]
        more = answer["NextContinuationToken"] if answer.get("IsTruncated") else ""
        return Listed(objects, folders, more)

    async def list_all(self, bucket: str, prefix: str, *, delimiter: str = "") -> Listed:
        """Return all pages of a listing as one."""
        page = await self.page(bucket, prefix, delimiter=delimiter)
        objects, folders = page.objects, page.folders
        while page.next:
            page = await self.page(bucket, prefix, delimiter=delimiter, after=page.next)
            objects += page.objects
            folders += page.folders
        return Listed(objects, folders)

    async def begin_upload(self, bucket: str, key: str) -> str:
        """Begin a multipart upload and return its id."""
        return str((await self._ask("CreateMultipartUpload", bucket, key))["UploadId"])

    async def put_part(self, bucket: str, key: str, upload: str, number: int, body: bytes) -> str:
        """Write a part, counted from 1, and return its tag."""
        answer = await self._ask(
            "UploadPart", bucket, key, UploadId=upload, PartNumber=number, Body=body
        )
        return str(answer["ETag"])

    async def finish_upload(self, bucket: str, key: str, upload: str, tags: Sequence[str]) -> None:
        """Make an object of the parts with these tags, in order."""
        parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
        await self._ask(
            "CompleteMultipartUpload",
            bucket,
            key,
            UploadId=upload,
            MultipartUpload={"Parts": parts},
        )

    async def abort_upload(self, bucket: str, key: str, upload: str) -> None:
        """Give up an upload and its parts; one that is not there is no error."""
        try:
            await self._ask("AbortMultipartUpload", bucket, key, UploadId=upload)
        except ObjectNotFoundError:
            return

    async def uploads(self, bucket: str, prefix: str) -> list[tuple[str, str]]:
        """Return unfinished uploads below a prefix, as (key, id)."""
        found: list[tuple[str, str]] = []
        wanted: dict[str, str] = {"Prefix": prefix}
        while True:
            answer = await self._ask("ListMultipartUploads", bucket, "", **wanted)
            found += [(each["Key"], each["UploadId"]) for each in answer.get("Uploads", ())]
            if not answer.get("IsTruncated"):
                return found
            wanted["KeyMarker"] = answer["NextKeyMarker"]
            wanted["UploadIdMarker"] = answer["NextUploadIdMarker"]

    async def _ask(self, action: str, bucket: str, key: str, **members: Any) -> Any:
        where = {"Bucket": bucket, "Key": key} if key else {"Bucket": bucket}
        try:
            answer = await self._aws.call("s3", action, subject_of(bucket, key), **where, **members)
        except BackendError as error:
            if error.code in _BILLED_REFUSALS:
                self._count(action)
            raise
        self._count(action)
        return answer

    def _count(self, action: str) -> None:
        if action.startswith(_CLASS_A):
            self.counts.s3_puts += 1
        elif not action.startswith(_FREE):
            self.counts.s3_gets += 1


def subject_of(bucket: str, key: str) -> str:
    """Return what errors call an object, or a bucket."""
    return f"s3://{bucket}/{key}" if key else f"bucket {bucket}"


def byte_range(start: int, end: int | None) -> str:
    """Return the Range header for bytes [start, end)."""
    return f"bytes={start}-{'' if end is None else end - 1}"


def _check_deleted(failed: Sequence[dict[str, Any]], bucket: str) -> None:
    if failed:
        raise BackendError(
            f"s3 DeleteObjects, bucket {bucket}: {len(failed)} objects were not removed, such as "
            f"{failed[0].get('Key')} ({failed[0].get('Code')}). Check that the policy allows "
            "s3:DeleteObject."
        )
