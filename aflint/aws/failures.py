"""What services answer when they refuse: read once, classified once, translated once. Pure."""

from __future__ import annotations

import enum
import json
import logging
import re
from dataclasses import dataclass

from aflint.aws.parser import Response
from aflint.errors import (
    AccessDeniedError,
    BackendError,
    BucketNotFoundError,
    CredentialsError,
    FunctionNotFoundError,
    ObjectNotFoundError,
    PayloadTooLargeError,
    QueueDeletedError,
    ServiceUnavailableError,
    WrongRegionError,
)

_log = logging.getLogger("aflint.aws")


class Kind(enum.Enum):
    """What is worth doing about a refusal."""

    THROTTLED = "again, more slowly"
    TRANSIENT = "again"
    EXPIRED = "signing in again"
    SKEWED = "setting this machine's clock"
    FINAL = "nothing"


@dataclass(frozen=True, slots=True)
class Refusal:
    """One refusal, as the service words it. `region` is the right one, where it says so."""

    status: int
    code: str
    message: str
    request_id: str = ""
    region: str = ""
    retry_after_s: float | None = None

    @property
    def kind(self) -> Kind:
        """What is worth doing."""
        return classify(self.status, self.code, self.message)


THROTTLES = frozenset(
    {
        "BandwidthLimitExceeded", "EC2ThrottledException", "LimitExceededException",
        "OverLimit", "PriorRequestNotComplete", "ProvisionedThroughputExceededException",
        "RequestLimitExceeded", "RequestThrottled", "RequestThrottledException", "SlowDown",
        "Throttling", "ThrottlingException", "ThrottledException", "TooManyRequestsException",
        "TransactionInProgressException", "Throttled", "KmsThrottled",
    }
)  # fmt: skip
"""The codes by which botocore, too, knows that it is to slow down, and SQS's and S3's own."""

_TRANSIENT = frozenset(
    {
        "RequestTimeout", "RequestTimeoutException", "InternalError", "InternalFailure",
        "ServiceUnavailable", "ServiceException", "OperationAborted", "QueueDeletedRecently",
        "ConditionalRequestConflict",
    }
)  # fmt: skip
_EXPIRED = frozenset(
    {"ExpiredToken", "ExpiredTokenException", "RequestExpired", "TokenRefreshRequired"}
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_BAD_SIGNATURE = frozenset({"SignatureDoesNotMatch", "InvalidSignatureException"})
_UNKNOWN = frozenset(
    {
        "UnrecognizedClientException", "InvalidClientTokenId", "InvalidAccessKeyId",
        "MissingAuthenticationToken", "MissingAuthenticationTokenException", "InvalidToken",
        "NotSignedUp", "OptInRequired", *_BAD_SIGNATURE,
    }
)  # fmt: skip
_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AllAccessDisabled", "403"})
_REGION = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "TemporaryRedirect", "301", "307",
     "IllegalLocationConstraintException"}
)  # fmt: skip
_NO_QUEUE = frozenset({"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"})
_TOO_LARGE = frozenset({"RequestTooLargeException", "EntityTooLarge", "BatchRequestTooLong"})
_CLOCK_WORDS = ("Signature expired", "Signature not yet current")
_SCOPE_WORDS = "Credential should be scoped to a valid region"


def classify(status: int, code: str, message: str) -> Kind:
    """Say what is worth doing about a refusal: the one place that decides it."""
    if code in THROTTLES or status == 429:
        return Kind.THROTTLED
    if code in _SKEWED or (code in _BAD_SIGNATURE and message.startswith(_CLOCK_WORDS)):
        return Kind.SKEWED
    if code in _EXPIRED:
        return Kind.EXPIRED
    if code in _TRANSIENT or (status >= 500 and status != 501):
        return Kind.TRANSIENT
    return Kind.FINAL


def read_refusal(response: Response) -> Refusal:
    """Read a refusal in any of the shapes in which services answer."""
    headers, body = response.headers, response.body
    code, message, region = "", "", headers.get("x-amz-bucket-region", "")
    if body[:1] == b"{":
        code, message = _read_json(body)
    elif b"<" in body[:100]:
        text = body.decode("utf-8", "replace")
        code, message = _element(text, "Code"), _element(text, "Message")
        region = _element(text, "Region") or region
    code = headers.get("x-amzn-errortype", "").partition(":")[0] or code
    code = code.rpartition("#")[2]
    request_id = headers.get("x-amzn-requestid") or headers.get("x-amz-request-id", "")
    return Refusal(
        response.status,
        code or str(response.status),
        message,
        request_id,
        region,
        seconds_of(headers.get("retry-after", "")),
    )


def seconds_of(wait: str) -> float | None:
    """Return the seconds that a Retry-After header names, where it is a number. Pure."""
    return float(wait) if re.fullmatch(r"\d+(\.\d+)?", wait) else None


def _read_json(body: bytes) -> tuple[str, str]:
    try:
        document = json.loads(body)
    except ValueError:
        return "", ""
    code = document.get("__type") or document.get("code") or ""
    return str(code), str(document.get("message") or document.get("Message") or "")


def _element(text: str, name: str) -> str:
    from html import unescape  # 5 ms of a cold start, for what few refusals need

    found = re.search(f"<{name}>(.*?)</{name}>", text, re.DOTALL)
    return unescape(found[1]) if found else ""


def translate(refusal: Refusal, service: str, action: str, subject: str) -> BackendError:
    """Return the error for a refusal; `subject` names what the call was about, "queue x"."""
    kind, advice = _verdict(refusal, service, action, subject)
    _log.debug("%s %s, %s: refused with %s %s", service, action, subject, refusal.status, refusal)
    said = f"{refusal.code}: {refusal.message}".rstrip(": ")
    suffix = f" (request {refusal.request_id})" if refusal.request_id else ""
    error = kind(f"{service} {action}, {subject}: {said}{suffix}. {advice}".rstrip())
    error.code, error.request_id = refusal.code, refusal.request_id
    return error


_PERMISSIONS = {
    "s3:CopyObject": "s3:GetObject and s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:UploadPart": "s3:PutObject",
    "s3:UploadPartCopy": "s3:GetObject and s3:PutObject",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject and s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:ListMultipartUploads": "s3:ListBucketMultipartUploads",
}
"""What a policy calls these calls."""


def _permission(service: str, action: str) -> str:
    name = f"{service}:{action}"
    return _PERMISSIONS.get(name, name.removesuffix("Batch") if service == "sqs" else name)


_READS = frozenset({"GetObject", "HeadObject", "HeadBucket", "ListObjectsV2"})


def _how_to_allow(service: str, action: str, subject: str) -> str:
    """Say who is to be allowed what, by which command.

    A task runs as the functions' role and the driver with the user's credentials, and either may
    have made the call. The objects may be aflint's own, or data of the user's.
    """
    needed = _permission(service, action)
    bucket = re.search(r"s3://([^/]+)|bucket (\S+)", subject)
    if service != "s3" or bucket is None:
        return (
            f"The credentials in use lack {needed}: add it to their policy (`aflint deploy "
            "--print-iam` prints the policies that aflint needs)."
        )
    option = "read" if action in _READS else "write"
    return (
        f"This takes {needed}: `aflint deploy --{option} s3://{bucket[1] or bucket[2]}` allows it "
        "to the functions, and the policy of your own credentials must allow it to the driver "
        "(`aflint deploy --print-iam` prints what aflint's own bucket takes)."
    )


def _verdict(
    refusal: Refusal, service: str, action: str, subject: str
) -> tuple[type[BackendError], str]:
    code, status = refusal.code, refusal.status
    if code in _REGION or _SCOPE_WORDS in refusal.message:
        if refusal.region:
            return WrongRegionError, f"It is in {refusal.region}: set `region` to that."
        return WrongRegionError, "It is in another region: set `region` to that one."
    if refusal.kind is Kind.SKEWED:
        return CredentialsError, "This machine's clock is wrong: set it."
    if refusal.kind is Kind.EXPIRED:
        return CredentialsError, "The credentials have expired: sign in again (`aws sso login`)."
    if code in _UNKNOWN:
        return CredentialsError, "Check the access key, its secret and the profile in use."
    if code in _DENIED:
        return AccessDeniedError, _how_to_allow(service, action, subject)
    if code == "NoSuchBucket" or (service == "s3" and action == "HeadBucket" and status == 404):
        return (
            BucketNotFoundError,
            "Check the bucket's name, or create it: `aflint deploy` creates the one that aflint "
            "keeps its own objects in, and no other.",
        )
    if service == "s3" and (status in (404, 416)):
        return ObjectNotFoundError, "It was never written, or has been removed."
    if code in _NO_QUEUE:
        return (
            QueueDeletedError,
            "It was deleted while its job was running, or the job is over. Run the job again, and "
            "see to it that nothing else removes the queues of running jobs.",
        )
    if service == "lambda" and status == 404:
        return (
            FunctionNotFoundError,
            "Create it with `aflint deploy`, or set `function` and `region` to where it is.",
        )
    if code in _TOO_LARGE or status == 413:
        return PayloadTooLargeError, "Use more partitions, so that each carries less."
    if refusal.kind in (Kind.THROTTLED, Kind.TRANSIENT):
        return ServiceUnavailableError, "It failed at every one of several tries: try again later."
    return BackendError, ""
