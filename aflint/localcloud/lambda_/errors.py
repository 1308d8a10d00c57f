"""Lambda's errors."""

from __future__ import annotations

import json

from aflint.localcloud.wire import Reply, ServiceError


def no_function(arn: str) -> ServiceError:
    """The function is not there."""
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404)


def invalid(message: str) -> ServiceError:
    """A parameter with a value that is not allowed."""
    return ServiceError("InvalidParameterValueException", message)


def conflict(message: str) -> ServiceError:
    """A call that the function's present state does not allow."""
    return ServiceError("ResourceConflictException", message, 409)


def throttled(reason: str) -> ServiceError:
    """429; `reason` is one of Lambda's ThrottleReason."""
    return ServiceError(
        "TooManyRequestsException", "Rate Exceeded.", 429, fields={"Reason": reason}
    )


def too_large(size: int, kind: str, most: int) -> ServiceError:
    """A payload over the limit of its invocation type."""
    return ServiceError(
        "RequestTooLargeException",
        f"{size} byte payload is too large for the {kind} invocation type (limit {most} bytes)",
        413,
    )


def render(error: ServiceError) -> Reply:
    """An error of the REST-JSON protocol."""
    kind = "User" if error.status < 500 else "Service"
    document = {**error.fields, "Type": kind, "message": error.message, "Message": error.message}
    headers = {"x-amzn-ErrorType": error.code}
    if error.status == 429:
        headers["Retry-After"] = "1"
    return Reply(error.status, json.dumps(document).encode(), headers, "application/json")
