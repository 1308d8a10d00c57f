"""S3 behind the edge: finds the operation, carries it out, counts it by its billing class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from aflint.localcloud.clock import Clock
from aflint.localcloud.counters import Counters
from aflint.localcloud.faults import Dice
from aflint.localcloud.s3 import errors
from aflint.localcloud.s3.bucket import Buckets
from aflint.localcloud.s3.buckets_api import BucketsApi
from aflint.localcloud.s3.losses import Losses
from aflint.localcloud.s3.multipart_api import MultipartApi
from aflint.localcloud.s3.objects_api import ObjectsApi
from aflint.localcloud.s3.target import SUB_RESOURCES, operation
from aflint.localcloud.wire import Refusal, Reply, Request, Service, ServiceError

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

    def render(self, error: ServiceError, request: Request) -> Reply:
        return errors.render(error, request)

    def refuse(self, refusal: Refusal, action: str, detail: str) -> ServiceError:
        return errors.refuse(refusal, action, detail)


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
