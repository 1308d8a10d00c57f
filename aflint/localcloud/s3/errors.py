"""S3's errors and their XML."""

from __future__ import annotations

from aflint.localcloud.wire import Refusal, Reply, Request, ServiceError
from aflint.localcloud.xml import document


def no_bucket(bucket: str) -> ServiceError:
    """The bucket is not there."""
    return ServiceError(
        "NoSuchBucket",
        "The specified bucket does not exist",
        404,
        fields={"BucketName": bucket},
    )


def no_key(key: str) -> ServiceError:
    """The object is not there."""
    return ServiceError("NoSuchKey", "The specified key does not exist.", 404, fields={"Key": key})


def no_upload(upload: str) -> ServiceError:
    """The multipart upload is not there."""
    return ServiceError(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may "
        "have been aborted or completed.",
        404,
        fields={"UploadId": upload},
    )


def failed_precondition(condition: str) -> ServiceError:
    """A condition of the request does not hold."""
    return ServiceError(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        412,
        fields={"Condition": condition},
    )


def invalid_argument(message: str) -> ServiceError:
    """A parameter that is out of range."""
    return ServiceError("InvalidArgument", message)


def malformed_xml() -> ServiceError:
    """A body that is not the XML it should be."""
    return ServiceError(
        "MalformedXML",
        "The XML you provided was not well-formed or did not validate against our published schema",
    )


def render(error: ServiceError, request: Request) -> Reply:
    """An error document; HEAD and 304 have none."""
    if request.method == "HEAD" or error.status == 304:
        return Reply(error.status)
    body = document(
        "Error",
        {
            "Code": error.code,
            "Message": error.message,
            **error.fields,
            "Resource": request.path,
            "RequestId": request.id,
        },
        namespace=False,
    )
    return Reply(error.status, body, content_type="application/xml")


def refuse(refusal: Refusal, action: str, detail: str) -> ServiceError:
    """S3's words for what every service refuses."""
    match refusal:
        case Refusal.NO_SIGNATURE:
            return ServiceError("AccessDenied", "Access Denied", 403)
        case Refusal.UNKNOWN_KEY:
            return ServiceError(
                "InvalidAccessKeyId",
                "The AWS Access Key Id you provided does not exist in our records.",
                403,
            )
        case Refusal.BAD_TOKEN:
            return ServiceError(
                "InvalidToken",
                "The provided token is malformed or otherwise invalid.",
                400,
            )
        case Refusal.BAD_SIGNATURE:
            return ServiceError(
                "SignatureDoesNotMatch",
                "The request signature we calculated does not match the signature you provided. "
                "Check your key and signing method.",
                403,
            )
        case Refusal.EXPIRED:
            return ServiceError("ExpiredToken", "The provided token has expired.", 400)
        case Refusal.DENIED:
            return ServiceError(
                "AccessDenied",
                f"User: {detail} is not authorized to perform: s3:{action} with an explicit deny "
                "in an identity-based policy",
                403,
            )
        case Refusal.WRONG_REGION:
            return ServiceError(
                "AuthorizationHeaderMalformed",
                f"The authorization header is malformed; the region is wrong; expecting '{detail}'",
                400,
                fields={"Region": detail},
            )
        case Refusal.THROTTLED:
            return ServiceError("SlowDown", "Please reduce your request rate.", 503)
