"""What jobs have in the cloud: their queues, objects and unfinished uploads."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from aflint.aio import together
from aflint.aws.clients import Aws
from aflint.deploy.names import Names, history_prefix
from aflint.errors import BucketNotFoundError, QueueDeletedError

_DELETE_AT_ONCE = 1000
_NO_BUCKET = ("NoSuchBucket",)


@dataclass(frozen=True)
class Leftover:
    """Something of a job: a queue (`name` is its URL), the objects below a key, or an upload.

    `since` is when it was made, or last added to, in seconds since the epoch; `count` is the
    number of its messages or objects, `size` their bytes where that is known.
    """

    kind: Literal["queue", "objects", "upload"]
    name: str
    since: float
    count: int = 1
    size: int = 0
    upload: str = ""

    @property
    def label(self) -> str:
        """The name for people: of a queue, its last part."""
        return self.name.rpartition("/")[2] if self.kind == "queue" else self.name


async def find_leftovers(clients: Aws, names: Names) -> list[Leftover]:
    """Return all that jobs have in the cloud now, of running ones too, oldest first."""
    found = await together(
        [_queues(clients, names), _objects(clients, names), _uploads(clients, names)]
    )
    return sorted((each for part in found for each in part), key=lambda each: each.since)


async def remove(clients: Aws, names: Names, leftover: Leftover) -> None:
    """Remove one; that it is gone already is no error."""
    match leftover.kind:
        case "queue":
            await clients.find(
                "sqs", "DeleteQueue", f"queue {leftover.label}", _NO_QUEUE, QueueUrl=leftover.name
            )
        case "upload":
            await clients.find(
                "s3", "AbortMultipartUpload", f"s3://{names.bucket}/{leftover.name}",
                ("NoSuchUpload", *_NO_BUCKET),
                Bucket=names.bucket, Key=leftover.name, UploadId=leftover.upload,
            )  # fmt: skip
        case "objects":
            await remove_objects(clients, names.bucket, leftover.name)


_NO_QUEUE = ("QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue")


async def remove_objects(clients: Aws, bucket: str, prefix: str) -> None:
    """Remove the objects below a key that ends in "/", all of them for "", else the one object."""
    async for keys in _keys(clients, bucket, prefix):
        wanted = [key for key in keys if not prefix or prefix.endswith("/") or key == prefix]
        # S3 deletes a thousand with one call.
        for start in range(0, len(wanted), _DELETE_AT_ONCE):
            part = [{"Key": key} for key in wanted[start : start + _DELETE_AT_ONCE]]
            await clients.call(
                "s3", "DeleteObjects", f"s3://{bucket}/{prefix}",
                Bucket=bucket, Delete={"Objects": part, "Quiet": True},
            )  # fmt: skip


async def _keys(clients: Aws, bucket: str, prefix: str) -> Any:
    subject = f"s3://{bucket}/{prefix}"
    try:
        async for page in clients.pages(
            "s3", "ListObjectsV2", subject, Bucket=bucket, Prefix=prefix
        ):
            yield [each["Key"] for each in page.get("Contents", [])]
    except BucketNotFoundError:
        return


async def _queues(clients: Aws, names: Names) -> list[Leftover]:
    # A name and no more is listed: each queue is asked by itself for its age.
    urls: list[str] = []
    async for page in clients.pages(
        "sqs", "ListQueues", f"queues {names.queues}*",
        QueueNamePrefix=names.queues, MaxResults=1000,
    ):  # fmt: skip
        urls += page.get("QueueUrls", [])
    found = await together(_queue(clients, url) for url in urls)
    return [each for each in found if each]


async def _queue(clients: Aws, url: str) -> Leftover | None:
    wanted = ["CreatedTimestamp", "ApproximateNumberOfMessages"]
    try:
        answer = await clients.call(
            "sqs", "GetQueueAttributes", f"queue {url}", QueueUrl=url, AttributeNames=wanted
        )
    except QueueDeletedError:  # Listed, and gone since.
        return None
    shown = answer.get("Attributes", {})
    return Leftover(
        "queue",
        url,
        since=float(shown.get("CreatedTimestamp", 0)),
        count=int(shown.get("ApproximateNumberOfMessages", 0)),
    )


async def _objects(clients: Aws, names: Names) -> list[Leftover]:
    found: dict[str, Leftover] = {}
    prefix = f"{names.prefix}/"
    try:
        async for page in clients.pages(
            "s3", "ListObjectsV2", f"s3://{names.bucket}/{prefix}",
            Bucket=names.bucket, Prefix=prefix,
        ):  # fmt: skip
            _add(found, page.get("Contents", []), names)
            # Grouping a page takes no time to wait in: others get their turn between pages.
            await asyncio.sleep(0)
    except BucketNotFoundError:
        return []
    return list(found.values())


def _add(found: dict[str, Leftover], objects: Iterable[dict[str, Any]], names: Names) -> None:
    """Add objects to those of the same job."""
    for each in objects:
        key, modified = each["Key"], seconds(each["LastModified"])
        if key.startswith((names.uploads, f"{history_prefix(names.prefix)}/")):
            continue
        group = group_of(key, names.prefix)
        before = found.get(group, Leftover("objects", group, since=0.0, count=0))
        found[group] = replace(
            before,
            # The youngest object counts: a job that still writes is not old.
            since=max(before.since, modified),
            count=before.count + 1,
            size=before.size + int(each.get("Size", 0)),
        )


def group_of(key: str, prefix: str) -> str:
    """Return what of a key names its job: `aflint/shuffles/job/` of `aflint/shuffles/job/0/1`."""
    parts = key.removeprefix(f"{prefix}/").split("/")
    # A key with nothing below its job is an object of its own, and no folder.
    return key if len(parts) <= 2 else f"{prefix}/{parts[0]}/{parts[1]}/"


def session_of(leftover: Leftover, prefix: str) -> str:
    """Return the id of the session that something is of, which holds no hyphen: from
    `aflint-ID-3-0-...` of a queue, `aflint/shuffles/ID-3/...` or `aflint/jobs/ID/...`. Pure.
    """
    if leftover.kind == "queue":
        rest = leftover.label.removeprefix(f"{prefix}-")
    else:
        rest = leftover.name.removeprefix(f"{prefix}/").partition("/")[2]
    return re.split("[-/]", rest, maxsplit=1)[0]


async def _uploads(clients: Aws, names: Names) -> list[Leftover]:
    found = []
    try:
        async for page in clients.pages(
            "s3", "ListMultipartUploads", f"uploads to {names.bucket}",
            Bucket=names.bucket, Prefix=f"{names.prefix}/",
        ):  # fmt: skip
            found += [
                Leftover("upload", each["Key"], seconds(each["Initiated"]), upload=each["UploadId"])
                for each in page.get("Uploads", [])
            ]
    except BucketNotFoundError:
        return []
    return found


def seconds(stamp: datetime) -> float:
    """Return a time as seconds since the epoch."""
    return stamp.timestamp()
