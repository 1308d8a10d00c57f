"""Which S3 operation a request asks for: told from its method, path and query. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import unquote

from aflint.localcloud.wire import Request, ServiceError


@dataclass(frozen=True)
class SubResource:
    """A document kept beside a bucket: its API name, and the error for its absence."""

    api: str
    missing: str
    root: str


SUB_RESOURCES = {
    "lifecycle": SubResource(
        "BucketLifecycleConfiguration", "NoSuchLifecycleConfiguration", "LifecycleConfiguration"
    ),
    "encryption": SubResource(
        "BucketEncryption",
        "ServerSideEncryptionConfigurationNotFoundError",
        "ServerSideEncryptionConfiguration",
    ),
    "publicAccessBlock": SubResource(
        "PublicAccessBlock",
        "NoSuchPublicAccessBlockConfiguration",
        "PublicAccessBlockConfiguration",
    ),
    "tagging": SubResource("BucketTagging", "NoSuchTagSet", "Tagging"),
    "ownershipControls": SubResource(
        "BucketOwnershipControls", "OwnershipControlsNotFoundError", "OwnershipControls"
    ),
    "policy": SubResource("BucketPolicy", "NoSuchBucketPolicy", ""),
}
_VERBS = {"PUT": "Put", "GET": "Get", "DELETE": "Delete"}
_UNSERVED = {"acl", "cors", "versions", "website", "replication", "notification", "select",
             "restore", "torrent", "object-lock", "retention", "legal-hold", "attributes",
             "accelerate", "analytics", "inventory", "logging", "metrics", "requestPayment",
             "versionId"}  # fmt: skip


def split_path(path: str) -> tuple[str, str]:
    """Bucket and key of a path-style path, decoded."""
    bucket, _, key = path.lstrip("/").partition("/")
    return unquote(bucket), unquote(key)


def operation(request: Request) -> str:
    """The API's name; raises NotImplemented or MethodNotAllowed."""
    bucket, key = split_path(request.path)
    unserved = _UNSERVED & request.query.keys()
    if unserved:
        raise ServiceError("NotImplemented", f"localcloud does not emulate ?{min(unserved)}.", 501)
    found = _of_object(request) if key else _of_bucket(request) if bucket else _of_service(request)
    if found is None:
        raise ServiceError(
            "MethodNotAllowed", "The specified method is not allowed against this resource.", 405
        )
    return found


def _of_service(request: Request) -> str | None:
    return "ListBuckets" if request.method == "GET" else None


def _of_bucket(request: Request) -> str | None:
    method, query = request.method, request.query
    for name, sub in SUB_RESOURCES.items():
        if name in query:
            return _VERBS[method] + sub.api if method in _VERBS else None
    if method == "GET":
        for name, api in (
            ("location", "GetBucketLocation"),
            ("versioning", "GetBucketVersioning"),
            ("uploads", "ListMultipartUploads"),
        ):
            if name in query:
                return api
        return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
    if method == "POST":
        return "DeleteObjects" if "delete" in query else None
    if "versioning" in query:
        raise ServiceError("NotImplemented", "localcloud does not emulate versioning.", 501)
    return {"PUT": "CreateBucket", "HEAD": "HeadBucket", "DELETE": "DeleteBucket"}.get(method)


def _of_object(request: Request) -> str | None:
    method, query = request.method, request.query
    if "tagging" in query:
        return _VERBS[method] + "ObjectTagging" if method in _VERBS else None
    if "uploads" in query and method == "POST":
        return "CreateMultipartUpload"
    copies = "x-amz-copy-source" in request.headers
    if "uploadId" in query:
        return {
            "PUT": "UploadPartCopy" if copies else "UploadPart",
            "POST": "CompleteMultipartUpload",
            "GET": "ListParts",
            "DELETE": "AbortMultipartUpload",
        }.get(method)
    return {
        "PUT": "CopyObject" if copies else "PutObject",
        "GET": "GetObject",
        "HEAD": "HeadObject",
        "DELETE": "DeleteObject",
    }.get(method)
