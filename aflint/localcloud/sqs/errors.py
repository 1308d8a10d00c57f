"""SQS's errors, with the codes that its older query protocol gave them."""

from __future__ import annotations

import json

from aflint.localcloud.wire import Refusal, Reply, ServiceError

_PREFIX = "AWS.SimpleQueueService."
_QUERY_CODES = {
    "QueueDoesNotExist": _PREFIX + "NonExistentQueue",
    "QueueNameExists": "QueueAlreadyExists",
    **{
        name: _PREFIX + name
        for name in (
            "BatchEntryIdsNotDistinct",
            "BatchRequestTooLong",
            "EmptyBatchRequest",
            "InvalidBatchEntryId",
            "MessageNotInflight",
            "PurgeQueueInProgress",
            "QueueDeletedRecently",
            "TooManyEntriesInBatchRequest",
            "UnsupportedOperation",
        )
    },
}
"""What botocore shows as `Error.Code`, by the shape's name; others are the same in both."""


def no_queue() -> ServiceError:
    """The queue named by a request is not there."""
    return ServiceError("QueueDoesNotExist", "The specified queue does not exist.")


def invalid_value(value: object, parameter: str, reason: str) -> ServiceError:
    """A parameter that is out of its range."""
    return ServiceError(
        "InvalidParameterValue",
        f"Value {value} for parameter {parameter} is invalid. Reason: {reason}",
    )


def missing(parameter: str) -> ServiceError:
    """A parameter that is required."""
    return ServiceError("MissingParameter", f"The request must contain the parameter {parameter}.")


def bad_receipt(handle: str) -> ServiceError:
    """A receipt handle that this queue never gave out."""
    return ServiceError(
        "ReceiptHandleIsInvalid",
        f'The input receipt handle "{handle}" is not a valid receipt handle.',
    )


def over_limit(limit: int) -> ServiceError:
    """Too many messages in flight for a short poll."""
    return ServiceError(
        "OverLimit", f"Too many messages are in flight: the queue's limit is {limit}.", 403
    )


def render(error: ServiceError) -> Reply:
    """An error of the JSON protocol, with the header that botocore reads the query code from."""
    shape = "com.amazonaws.sqs#" + error.code
    fault = "Sender" if error.status < 500 else "Receiver"
    return Reply(
        error.status,
        json.dumps({"__type": shape, "message": error.message}).encode(),
        {"x-amzn-query-error": f"{_QUERY_CODES.get(error.code, error.code)};{fault}"},
        "application/x-amz-json-1.0",
    )


def refuse(refusal: Refusal, action: str, detail: str) -> ServiceError:
    """SQS's words for what every service refuses."""
    match refusal:
        case Refusal.NO_SIGNATURE:
            return ServiceError(
                "MissingAuthenticationToken", "Request is missing a signature.", 403
            )
        case Refusal.UNKNOWN_KEY | Refusal.BAD_TOKEN:
            return ServiceError(
                "InvalidClientTokenId",
                "The security token included in the request is invalid.",
                403,
            )
        case Refusal.BAD_SIGNATURE:
            return ServiceError(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided.",
                403,
            )
        case Refusal.EXPIRED:
            return ServiceError(
                "ExpiredToken", "The security token included in the request is expired", 403
            )
        case Refusal.DENIED:
            return ServiceError(
                "AccessDenied",
                f"User: {detail} is not authorized to perform: sqs:{action.lower()} on resource: "
                "* with an explicit deny in an identity-based policy",
                403,
            )
        case Refusal.WRONG_REGION:
            return ServiceError(
                "SignatureDoesNotMatch",
                f"Credential should be scoped to a valid region, not this one; expected: {detail}.",
                403,
            )
        case Refusal.THROTTLED:
            return ServiceError(
                "RequestThrottled", "The request was denied due to throttling.", 403
            )
