"""The query protocol: form-encoded requests, XML answers."""

from __future__ import annotations

from urllib.parse import parse_qsl

from aflint.localcloud.wire import Refusal, Reply, Request, ServiceError
from aflint.localcloud.xml import Value, document

Form = dict[str, str]


def read_form(request: Request) -> Form:
    """The parameters of a request."""
    return dict(parse_qsl(request.body.decode(), keep_blank_values=True))


def pairs(form: Form, name: str) -> dict[str, str]:
    """A list of Key and Value members."""
    found: dict[str, str] = {}
    for number in range(1, len(form) + 1):
        prefix = f"{name}.member.{number}"
        if prefix + ".Key" not in form:
            break
        found[form[prefix + ".Key"]] = form.get(prefix + ".Value", "")
    return found


def members(form: Form, name: str) -> list[str]:
    """A list of plain members."""
    numbered = (f"{name}.member.{number}" for number in range(1, len(form) + 1))
    return [form[key] for key in numbered if key in form]


def required(form: Form, name: str) -> str:
    """A parameter that must be there; raises ValidationError."""
    if not form.get(name):
        raise ServiceError("ValidationError", f"The request must contain the parameter {name}.")
    return form[name]


def answer(action: str, result: dict[str, Value], request: Request, namespace: str) -> Reply:
    """A successful answer."""
    content: dict[str, Value] = {
        action + "Result": result,
        "ResponseMetadata": {"RequestId": request.id},
    }
    body = document(action + "Response", content, namespace=namespace)
    return Reply(200, body, content_type="text/xml")


def render(error: ServiceError, request: Request) -> Reply:
    """An error document."""
    content: dict[str, Value] = {
        "Error": {
            "Type": "Sender" if error.status < 500 else "Receiver",
            "Code": error.code,
            "Message": error.message,
        },
        "RequestId": request.id,
    }
    body = document("ErrorResponse", content, namespace=False)
    return Reply(error.status, body, content_type="text/xml")


def refuse(service: str, refusal: Refusal, action: str, detail: str) -> ServiceError:
    """Words for what every service refuses."""
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
                f"User: {detail} is not authorized to perform: {service}:{action} with an explicit "
                "deny in an identity-based policy",
                403,
            )
        case Refusal.WRONG_REGION:
            return ServiceError(
                "SignatureDoesNotMatch",
                f"Credential should be scoped to a valid region; expected: {detail}.",
                403,
            )
        case Refusal.THROTTLED:
            return ServiceError("Throttling", "Rate exceeded", 400)
