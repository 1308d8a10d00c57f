"""Multipart uploads."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from xml.etree.ElementTree import ParseError

from aflint import limits
from aflint.localcloud.clock import Clock
from aflint.localcloud.s3.buckets import Blob, Bucket, Buckets, Part, StoredObject, Upload
from aflint.localcloud.s3.buckets_api import stamp, xml_reply
from aflint.localcloud.s3.errors import invalid_argument, malformed_xml
from aflint.localcloud.s3.headers import byte_range, check_write, decode_body
from aflint.localcloud.s3.objects_api import (
    ObjectsApi,
    check_key,
    check_size,
    header_tags,
    kept_headers,
)
from aflint.localcloud.s3.routes import split_path
from aflint.localcloud.wire import Reply, Request, ServiceError, Value, parse


class MultipartApi:
    """What can be asked about multipart uploads."""

    def __init__(
        self,
        buckets: Buckets,
        objects: ObjectsApi,
        clock: Clock,
        folder: Path,
        new_id: Callable[[], str],
    ) -> None:
        self._buckets = buckets
        self._objects = objects
        self._clock = clock
        self._folder = folder
        self._new_id = new_id

    def _upload(self, request: Request) -> tuple[Bucket, Upload]:
        name, key = split_path(request.path)
        bucket = self._buckets.get(name)
        return bucket, bucket.upload(request.query.get("uploadId", ""), key)

    def create(self, request: Request) -> Reply:
        """CreateMultipartUpload."""
        name, key = split_path(request.path)
        bucket = self._buckets.get(name)
        check_key(key)
        upload = Upload(
            self._new_id(),
            key,
            self._clock.now(),
            kept_headers(request.headers),
            header_tags(request.headers),
        )
        bucket.uploads[upload.id] = upload
        return xml_reply(
            "InitiateMultipartUploadResult", {"Bucket": name, "Key": key, "UploadId": upload.id}
        )

    def upload_part(self, request: Request) -> Reply:
        """UploadPart."""
        _, upload = self._upload(request)
        body, sums = decode_body(request)
        part = self._keep(upload, _part_number(request), body, sums)
        headers = {"x-amz-checksum-" + name: value for name, value in sums.items()}
        return Reply(200, headers={"ETag": f'"{part.etag}"', **headers})

    def upload_part_copy(self, request: Request) -> Reply:
        """UploadPartCopy, of a whole object or of a range."""
        _, upload = self._upload(request)
        source = self._objects.source(request).blob
        wanted = request.headers.get("x-amz-copy-source-range")
        start, length = byte_range(wanted, source.size) or (0, source.size)
        part = self._keep(upload, _part_number(request), source.read(start, length), {})
        return xml_reply(
            "CopyPartResult", {"LastModified": stamp(part.modified), "ETag": f'"{part.etag}"'}
        )

    def _keep(self, upload: Upload, number: int, body: bytes, sums: dict[str, str]) -> Part:
        check_size(len(body))
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        part = Part(Blob(body, self._folder), etag, self._clock.now(), sums)
        previous = upload.parts.get(number)
        if previous is not None:
            previous.blob.discard()
        upload.parts[number] = part
        return part

    def complete(self, request: Request) -> Reply:
        """CompleteMultipartUpload."""
        bucket, upload = self._upload(request)
        present = bucket.objects.get(upload.key)
        check_write(request.headers, upload.key, present.etag if present else None)
        parts = _chosen_parts(request.body, upload)
        # The ETag of a multipart object: the MD5 of its parts' MD5s, and how many parts there were.
        digests = b"".join(bytes.fromhex(part.etag) for part in parts)
        etag = f"{hashlib.md5(digests, usedforsecurity=False).hexdigest()}-{len(parts)}"
        blob = Blob.joined([part.blob for part in parts], self._folder)
        bucket.put(
            StoredObject(
                upload.key,
                blob,
                etag,
                self._clock.now(),
                upload.headers,
                tags=upload.tags,
                part_sizes=tuple(part.blob.size for part in parts),
            )
        )
        bucket.end_upload(upload)
        return xml_reply(
            "CompleteMultipartUploadResult",
            {
                "Location": f"/{bucket.name}/{quote(upload.key)}",
                "Bucket": bucket.name,
                "Key": upload.key,
                "ETag": f'"{etag}"',
            },
        )

    def abort(self, request: Request) -> Reply:
        """AbortMultipartUpload."""
        bucket, upload = self._upload(request)
        bucket.end_upload(upload)
        return Reply(204)

    def list_parts(self, request: Request) -> Reply:
        """ListParts: all of them on one page of up to 1,000."""
        bucket, upload = self._upload(request)
        most = int(request.query.get("max-parts", "1000"))
        after = int(request.query.get("part-number-marker", "0"))
        numbers = [number for number in sorted(upload.parts) if number > after]
        shown = numbers[: min(most, 1000)]
        parts: list[Value] = [
            {
                "PartNumber": number,
                "LastModified": stamp(upload.parts[number].modified),
                "ETag": f'"{upload.parts[number].etag}"',
                "Size": upload.parts[number].blob.size,
            }
            for number in shown
        ]
        cut = len(shown) < len(numbers)
        return xml_reply(
            "ListPartsResult",
            {
                "Bucket": bucket.name,
                "Key": upload.key,
                "UploadId": upload.id,
                "PartNumberMarker": after,
                "NextPartNumberMarker": shown[-1] if cut and shown else None,
                "MaxParts": most,
                "IsTruncated": cut,
                "Part": parts,
            },
        )

    def list_uploads(self, request: Request) -> Reply:
        """ListMultipartUploads, of a prefix."""
        bucket = self._buckets.get(split_path(request.path)[0])
        prefix = request.query.get("prefix", "")
        found = sorted(bucket.uploads.values(), key=lambda upload: (upload.key, upload.started))
        uploads: list[Value] = [
            {"Key": upload.key, "UploadId": upload.id, "Initiated": stamp(upload.started)}
            for upload in found
            if upload.key.startswith(prefix)
        ]
        return xml_reply(
            "ListMultipartUploadsResult",
            {"Bucket": bucket.name, "Prefix": prefix, "IsTruncated": False, "Upload": uploads},
        )


def _part_number(request: Request) -> int:
    text = request.query.get("partNumber", "")
    if not text.isdecimal() or not 1 <= int(text) <= limits.S3_PARTS:
        raise invalid_argument(
            f"Part number must be an integer between 1 and {limits.S3_PARTS}, inclusive"
        )
    return int(text)


def _chosen_parts(body: bytes, upload: Upload) -> list[Part]:
    """The parts that a completion names; raises InvalidPart, InvalidPartOrder, EntityTooSmall."""
    try:
        elements = parse(body).findall("Part")
        wanted = [
            (int(found.findtext("PartNumber") or ""), (found.findtext("ETag") or "").strip('"'))
            for found in elements
        ]
    except (ParseError, ValueError):
        raise malformed_xml() from None
    if not wanted:
        raise malformed_xml()
    if any(before >= after for (before, _), (after, _) in itertools.pairwise(wanted)):
        raise ServiceError(
            "InvalidPartOrder",
            "The list of parts was not in ascending order. The parts list must be specified in "
            "order by part number.",
        )
    parts: list[Part] = []
    for number, etag in wanted:
        part = upload.parts.get(number)
        if part is None or part.etag != etag:
            raise ServiceError(
                "InvalidPart",
                "One or more of the specified parts could not be found. The part may not have "
                "been uploaded, or the specified entity tag may not match the part's entity tag.",
                fields={"UploadId": upload.id, "PartNumber": str(number)},
            )
        parts.append(part)
    for part in parts[:-1]:
        if part.blob.size < limits.S3_PART_MIN_BYTES:
            raise ServiceError(
                "EntityTooSmall",
                "Your proposed upload is smaller than the minimum allowed size",
                fields={"ProposedSize": str(part.blob.size)},
            )
    return parts
