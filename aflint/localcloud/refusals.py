"""Why requests are turned away before their service looks at them, in the words of each service."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from aflint.localcloud.wire import ServiceError


class Refusal(enum.Enum):
    """Why a request is turned away."""

    NO_SIGNATURE = enum.auto()
    UNKNOWN_KEY = enum.auto()
    BAD_TOKEN = enum.auto()
    """Another session token than the key's, or one with a key that has none."""
    BAD_SIGNATURE = enum.auto()
    EXPIRED = enum.auto()
    DENIED = enum.auto()
    WRONG_REGION = enum.auto()
    THROTTLED = enum.auto()


@dataclass(frozen=True)
class _Words:
    """A service's error, with the names of `refusal`'s arguments in braces."""

    code: str
    message: str
    status: int = 403
    fields: Mapping[str, str] = field(default_factory=dict)


_OTHERS = "others"
"""The services that have no words of their own for a refusal."""

_NO_TOKEN = "The security token included in the request is invalid."
_EXPIRED = "The security token included in the request is expired"
_NOT_SIGNED = "The request signature we calculated does not match the signature you provided."
_DENIED = (
    "User: {actor} is not authorized to perform: {service}:{action} with an explicit deny in an "
    "identity-based policy"
)
_REGION = "Credential should be scoped to a valid region; expected: {region}."

_WORDS: Mapping[Refusal, Mapping[str, _Words]] = {
    Refusal.NO_SIGNATURE: {
        "lambda": _Words("MissingAuthenticationTokenException", "Missing Authentication Token"),
        "s3": _Words("AccessDenied", "Access Denied"),
        _OTHERS: _Words("MissingAuthenticationToken", "Request is missing a signature."),
    },
    Refusal.UNKNOWN_KEY: {
        "lambda": _Words("UnrecognizedClientException", _NO_TOKEN),
        "s3": _Words(
            "InvalidAccessKeyId",
            "The AWS Access Key Id you provided does not exist in our records.",
        ),
        _OTHERS: _Words("InvalidClientTokenId", _NO_TOKEN),
    },
    Refusal.BAD_TOKEN: {
        "lambda": _Words("UnrecognizedClientException", _NO_TOKEN),
        "s3": _Words("InvalidToken", "The provided token is malformed or otherwise invalid.", 400),
        _OTHERS: _Words("InvalidClientTokenId", _NO_TOKEN),
    },
    Refusal.BAD_SIGNATURE: {
        "lambda": _Words("InvalidSignatureException", _NOT_SIGNED),
        "s3": _Words("SignatureDoesNotMatch", f"{_NOT_SIGNED} Check your key and signing method."),
        _OTHERS: _Words("SignatureDoesNotMatch", _NOT_SIGNED),
    },
    Refusal.EXPIRED: {
        "lambda": _Words("ExpiredTokenException", _EXPIRED),
        "s3": _Words("ExpiredToken", "The provided token has expired.", 400),
        _OTHERS: _Words("ExpiredToken", _EXPIRED),
    },
    Refusal.DENIED: {
        "lambda": _Words("AccessDeniedException", _DENIED),
        "sqs": _Words(
            "AccessDenied",
            "User: {actor} is not authorized to perform: sqs:{lowered} on resource: * with an "
            "explicit deny in an identity-based policy",
        ),
        _OTHERS: _Words("AccessDenied", _DENIED),
    },
    Refusal.WRONG_REGION: {
        "lambda": _Words("InvalidSignatureException", _REGION),
        "s3": _Words(
            "AuthorizationHeaderMalformed",
            "The authorization header is malformed; the region is wrong; expecting '{region}'",
            400,
            {"Region": "{region}"},
        ),
        _OTHERS: _Words("SignatureDoesNotMatch", _REGION),
    },
    Refusal.THROTTLED: {
        "lambda": _Words(
            "TooManyRequestsException", "Rate Exceeded.", 429, {"Reason": "CallerRateLimitExceeded"}
        ),
        "s3": _Words("SlowDown", "Please reduce your request rate.", 503),
        "sqs": _Words("RequestThrottled", "The request was denied due to throttling."),
        _OTHERS: _Words("Throttling", "Rate exceeded", 400),
    },
}


def refusal(
    reason: Refusal, service: str, action: str, actor: str = "", region: str = ""
) -> ServiceError:
    """The error of a service that refuses; `region` is the right one, `actor` the caller's ARN."""
    by_service = _WORDS[reason]
    words = by_service.get(service) or by_service[_OTHERS]

    def filled(text: str) -> str:
        names = {"service": service, "action": action, "actor": actor, "region": region}
        return text.format(**names, lowered=action.lower())

    fields = {name: filled(value) for name, value in words.fields.items()}
    return ServiceError(words.code, filled(words.message), words.status, fields=fields)
