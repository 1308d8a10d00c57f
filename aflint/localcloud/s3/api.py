"""S3 behind the edge: finds the operation, carries it out, counts it by its billing class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar
from urllib.parse import unquote
from xml.etree.ElementTree import ParseError

from aflint.localcloud.clock import Clock
from aflint.localcloud.faults import Dice
from aflint.localcloud.s3 import errors
from aflint.localcloud.s3.buckets import Buckets
from aflint.localcloud.s3.buckets_api import BucketsApi
from aflint.localcloud.s3.multipart_api import MultipartApi
from aflint.localcloud.s3.objects_api import ObjectsApi
from aflint.localcloud.s3.routes import SUB_RESOURCES, operation, split_path
from aflint.localcloud.snapshot import Counters
from aflint.localcloud.wire import Asked, Reply, Request, Service, ServiceError, parse

_FREE = ("Delete", "Abort")
_CLASS_A = ("Put", "Copy", "List", "Create", "Upload", "Complete")


class S3(Service):
    """The service; `buckets` holds its state, `folder` the large objects' bytes."""

    name: ClassVar[str] = "s3"
    throttle_fault: ClassVar[str] = "s3_503"

    def __init__(
        self,
        *,
        clock: Clock,
        dice: Dice,
        counters: Counters,
        new_id: Callable[[], str],
        account: str,
        region: str,
        folder: Path,
    ) -> None:
        self.buckets = Buckets()
        self._counters = counters
        self._dice = dice
        self._losses = Losses(dice)
        objects = ObjectsApi(self.buckets, clock, folder)
        self._handlers = _handlers(
            BucketsApi(self.buckets, clock, region, account),
            objects,
            MultipartApi(self.buckets, objects, clock, folder, new_id),
        )

    def action(self, request: Request) -> str:
        return operation(request)

    async def handle(self, action: str, request: Request) -> Reply:
        counters = self._counters
        if action.startswith(_CLASS_A):
            counters.s3_class_a += 1
        elif not action.startswith(_FREE):
            counters.s3_class_b += 1
        counters.s3_bytes_in += len(request.body)
        if action == "GetObject":
            self._losses.before_read(self.buckets, request)
        reply = self._handlers[action](request)
        counters.s3_bytes_out += len(reply.body)
        if action == "GetObject" and len(reply.body) > 1 and self._dice.happens("truncated_read"):
            reply.sent = self._dice.generator("truncated_read").randrange(1, len(reply.body))
        return reply

    def asked(self, action: str, request: Request) -> list[Asked]:
        name = f"{self.name}:{action}"
        bucket, key = split_path(request.path)
        if not bucket:
            return [Asked(name)]
        if action == "DeleteObjects":
            return [Asked(name, _object(bucket, each)) for each in _keys(request.body)]
        if not key:
            prefix = request.query.get("prefix")
            context = {} if prefix is None else {"s3:prefix": prefix}
            return [Asked(name, f"arn:aws:s3:::{bucket}", context)]
        asked = [Asked(name, _object(bucket, key))]
        if action in ("CopyObject", "UploadPartCopy"):
            source = unquote(request.headers["x-amz-copy-source"].partition("?")[0])
            asked.append(Asked("s3:GetObject", _object(*split_path(source))))
        return asked

    def render(self, error: ServiceError, request: Request) -> Reply:
        return errors.render(error, request)


class Losses:
    """The fault `lost_object`: decides once for each version of an object whether it is lost."""

    def __init__(self, dice: Dice) -> None:
        self._dice = dice
        self._lost: Counter[str] = Counter()

    def before_read(self, buckets: Buckets, request: Request) -> None:
        """Remove the object that is about to be read, if it is to be lost."""
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


def _object(bucket: str, key: str) -> str:
    return f"arn:aws:s3:::{bucket}/{key}"


def _keys(body: bytes) -> list[str]:
    """Return the keys of a DeleteObjects, or one empty key where they cannot be read."""
    try:
        found = [element.text or "" for element in parse(body).iter("Key")]
    except ParseError:
        found = []
    return found or [""]


def _handlers(
    buckets: BucketsApi, objects: ObjectsApi, multipart: MultipartApi
) -> dict[str, Callable[[Request], Reply]]:
    documents: dict[str, Callable[[Request], Reply]] = {}
    for sub in SUB_RESOURCES.values():
        documents["Put" + sub.api] = buckets.put_document
        documents["Get" + sub.api] = buckets.get_document
        documents["Delete" + sub.api] = buckets.delete_document
    return {
        **documents,
        "ListBuckets": buckets.list_buckets,
        "CreateBucket": buckets.create_bucket,
        "HeadBucket": buckets.head_bucket,
        "DeleteBucket": buckets.delete_bucket,
        "GetBucketLocation": buckets.location,
        "GetBucketVersioning": buckets.versioning,
        "ListObjectsV2": buckets.list_objects_v2,
        "ListObjects": buckets.list_objects,
        "PutObject": objects.put_object,
        "GetObject": objects.get_object,
        "HeadObject": objects.head_object,
        "DeleteObject": objects.delete_object,
        "DeleteObjects": objects.delete_objects,
        "CopyObject": objects.copy_object,
        "GetObjectTagging": objects.get_tagging,
        "PutObjectTagging": objects.put_tagging,
        "DeleteObjectTagging": objects.delete_tagging,
        "CreateMultipartUpload": multipart.create,
        "UploadPart": multipart.upload_part,
        "UploadPartCopy": multipart.upload_part_copy,
        "CompleteMultipartUpload": multipart.complete,
        "AbortMultipartUpload": multipart.abort,
        "ListParts": multipart.list_parts,
        "ListMultipartUploads": multipart.list_uploads,
    }
