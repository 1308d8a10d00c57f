"""The operations on buckets, listings among them."""

from __future__ import annotations

import base64
import binascii
import bisect
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote
from xml.etree.ElementTree import Element, ParseError

from aflint.localcloud.clock import Clock
from aflint.localcloud.s3.buckets import Bucket, Buckets
from aflint.localcloud.s3.errors import invalid_argument, malformed_xml
from aflint.localcloud.s3.routes import SUB_RESOURCES, split_path
from aflint.localcloud.wire import Reply, Request, ServiceError, Value, document, parse

_MOST_KEYS = 1000
_DEFAULT_ENCRYPTION = document(
    "ServerSideEncryptionConfiguration",
    {
        "Rule": {
            "ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"},
            "BucketKeyEnabled": False,
        }
    },
)


class BucketsApi:
    """What can be asked about buckets; objects are next door."""

    def __init__(self, buckets: Buckets, clock: Clock, region: str, account: str) -> None:
        self._buckets = buckets
        self._clock = clock
        self._region = region
        self._account = account

    def _bucket(self, request: Request) -> Bucket:
        return self._buckets.get(split_path(request.path)[0])

    def list_buckets(self, request: Request) -> Reply:
        """ListBuckets."""
        listed: list[Value] = [
            {"Name": bucket.name, "CreationDate": stamp(bucket.created)}
            for bucket in sorted(self._buckets.by_name.values(), key=lambda found: found.name)
        ]
        owner: Value = {"ID": self._account}
        return xml_reply("ListAllMyBucketsResult", {"Owner": owner, "Buckets": {"Bucket": listed}})

    def create_bucket(self, request: Request) -> Reply:
        """CreateBucket, in this cloud's region only."""
        name = split_path(request.path)[0]
        wanted = self._location(request.body)
        if wanted != self._region:
            raise ServiceError(
                "IllegalLocationConstraintException",
                f"The {wanted} location constraint is incompatible for the region specific "
                "endpoint this request was sent to.",
            )
        self._buckets.create(name, self._clock.now(), self._region)
        return Reply(200, headers={"Location": "/" + name})

    def _location(self, body: bytes) -> str:
        if not body:
            return "us-east-1"
        found = _parsed(body).findtext("LocationConstraint")
        if found == "us-east-1":
            raise ServiceError(
                "InvalidLocationConstraint", "The specified location-constraint is not valid"
            )
        return found or "us-east-1"

    def head_bucket(self, request: Request) -> Reply:
        """HeadBucket."""
        self._bucket(request)
        return Reply(200, headers={"x-amz-bucket-region": self._region})

    def delete_bucket(self, request: Request) -> Reply:
        """DeleteBucket."""
        self._buckets.delete(split_path(request.path)[0])
        return Reply(204)

    def location(self, request: Request) -> Reply:
        """GetBucketLocation."""
        self._bucket(request)
        region = "" if self._region == "us-east-1" else self._region
        body = document("LocationConstraint", {}).replace(
            b"></LocationConstraint>", f">{region}</LocationConstraint>".encode()
        )
        return Reply(200, body, content_type="application/xml")

    def versioning(self, request: Request) -> Reply:
        """GetBucketVersioning: never on."""
        self._bucket(request)
        return xml_reply("VersioningConfiguration", {})

    def put_document(self, request: Request) -> Reply:
        """Put a sub-resource, which is kept as it came if it is well-formed."""
        bucket, name = self._bucket(request), _sub_resource(request)
        root = SUB_RESOURCES[name].root
        if root:
            element = _parsed(request.body)
            if element.tag != root or (name == "lifecycle" and element.find("Rule") is None):
                raise malformed_xml()
        else:
            try:
                json.loads(request.body)
            except ValueError:
                raise ServiceError("MalformedPolicy", "Policies must be valid JSON.") from None
        bucket.documents[name] = request.body
        return Reply(204 if name in ("tagging", "policy") else 200)

    def get_document(self, request: Request) -> Reply:
        """Get a sub-resource."""
        bucket, name = self._bucket(request), _sub_resource(request)
        found = bucket.documents.get(name)
        if found is None and name == "encryption":
            found = _DEFAULT_ENCRYPTION
        if found is None:
            missing = SUB_RESOURCES[name].missing
            raise ServiceError(
                missing, f"The {name} configuration does not exist", 404,
                fields={"BucketName": bucket.name},
            )  # fmt: skip
        return Reply(200, found, content_type="application/xml" if name != "policy" else None)

    def delete_document(self, request: Request) -> Reply:
        """Delete a sub-resource."""
        self._bucket(request).documents.pop(_sub_resource(request), None)
        return Reply(204)

    def list_objects_v2(self, request: Request) -> Reply:
        """ListObjectsV2."""
        query = request.query
        token = query.get("continuation-token")
        after = _read_token(token) if token is not None else query.get("start-after", "")
        content = self._listing(request, after)
        next_key = content.pop("Next")
        if token is not None:
            content["ContinuationToken"] = token
        elif query.get("start-after"):
            content["StartAfter"] = self._encoded(request, after)
        if isinstance(next_key, str):
            content["NextContinuationToken"] = base64.b64encode(next_key.encode()).decode()
        return xml_reply("ListBucketResult", content)

    def list_objects(self, request: Request) -> Reply:
        """The older ListObjects."""
        marker = request.query.get("marker", "")
        content = self._listing(request, marker)
        next_key = content.pop("Next")
        content["Marker"] = self._encoded(request, marker)
        if isinstance(next_key, str) and request.query.get("delimiter"):
            content["NextMarker"] = self._encoded(request, next_key)
        del content["KeyCount"]
        return xml_reply("ListBucketResult", content)

    def _encoded(self, request: Request, text: str) -> str:
        return quote(text, safe="/") if request.query.get("encoding-type") == "url" else text

    def _listing(self, request: Request, after: str) -> dict[str, Value]:
        bucket, query = self._bucket(request), request.query
        prefix, delimiter = query.get("prefix", ""), query.get("delimiter", "")
        most = _max_keys(query.get("max-keys"))
        page = list_keys(bucket.keys, prefix, delimiter, after, most)
        following = page.next if most else None
        contents: list[Value] = []
        for key in page.keys:
            stored = bucket.objects[key]
            contents.append(
                {
                    "Key": self._encoded(request, key),
                    "LastModified": stamp(stored.modified),
                    "ETag": f'"{stored.etag}"',
                    "Size": stored.blob.size,
                    "StorageClass": "STANDARD",
                }
            )
        prefixes: list[Value] = [
            {"Prefix": self._encoded(request, found)} for found in page.prefixes
        ]
        return {
            "Name": bucket.name,
            "Prefix": self._encoded(request, prefix),
            "Delimiter": self._encoded(request, delimiter) or None,
            "EncodingType": query.get("encoding-type"),
            "KeyCount": len(page.keys) + len(page.prefixes),
            "MaxKeys": most,
            "IsTruncated": following is not None,
            "Contents": contents,
            "CommonPrefixes": prefixes,
            "Next": following,
        }


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
    if after and after >= prefix:  # else it lies before all keys that are asked for
        at = max(at, bisect.bisect_right(keys, after))
    while at < len(keys) and keys[at].startswith(prefix):
        key = keys[at]
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        shared = key[: cut + len(delimiter)] if cut >= 0 else ""
        # All keys below a common prefix count as one, on this page and on the one before.
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


def stamp(seconds: float) -> str:
    """A time as S3's XML writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def xml_reply(root: str, content: dict[str, Value]) -> Reply:
    """A successful answer."""
    return Reply(200, document(root, content), content_type="application/xml")


def _parsed(body: bytes) -> Element:
    try:
        return parse(body)
    except ParseError:
        raise malformed_xml() from None


def _sub_resource(request: Request) -> str:
    return next(name for name in SUB_RESOURCES if name in request.query)


def _max_keys(text: str | None) -> int:
    try:
        number = int(text or _MOST_KEYS)
    except ValueError:
        number = -1
    if number < 0:
        raise invalid_argument("Argument maxKeys must be an integer between 0 and 2147483647")
    return min(number, _MOST_KEYS)


def _read_token(token: str) -> str:
    try:
        return base64.b64decode(token, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError):
        raise invalid_argument("The continuation token provided is incorrect") from None
