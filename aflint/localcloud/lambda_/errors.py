"""Lambda's errors."""

from __future__ import annotations

import json

from aflint.localcloud.wire import Refusal, Reply, ServiceError


def no_function(arn: str) -> ServiceError:
    """The function is not there."""
    return ServiceError("ResourceNotFoundException", f"Function not found: {arn}", 404)


def invalid(message: str) -> ServiceError:
    """A parameter that cannot be."""
    return ServiceError("InvalidParameterValueException", message)


def conflict(message: str) -> ServiceError:
    """Not in the present state."""
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


def refuse(refusal: Refusal, action: str, detail: str) -> ServiceError:
    """Lambda's words for what every service refuses."""
    match refusal:
        case Refusal.NO_SIGNATURE:
            return ServiceError(
                "MissingAuthenticationTokenException", "Missing Authentication Token", 403
            )
        case Refusal.UNKNOWN_KEY | Refusal.BAD_TOKEN:
            return ServiceError(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                403,
            )
        case Refusal.BAD_SIGNATURE:
            return ServiceError(
                "InvalidSignatureException",
                "The request signature we calculated does not match the signature you provided.",
                403,
            )
        case Refusal.EXPIRED:
            return ServiceError(
                "ExpiredTokenException",
                "The security token included in the request is expired",
                403,
            )
        case Refusal.DENIED:
            return ServiceError(
                "AccessDeniedException",
                f"User: {detail} is not authorized to perform: lambda:{action} with an explicit "
                "deny in an identity-based policy",
                403,
            )
        case Refusal.WRONG_REGION:
            return ServiceError(
                "InvalidSignatureException",
                f"Credential should be scoped to a valid region; expected: {detail}.",
                403,
            )
        case Refusal.THROTTLED:
            return throttled("CallerRateLimitExceeded")
