"""SQS's errors, with the codes that its older query protocol gave them."""

from __future__ import annotations

import json

from aflint.localcloud.wire import Reply, ServiceError

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
