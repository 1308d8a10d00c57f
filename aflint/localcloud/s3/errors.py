"""S3's errors and their XML."""

from __future__ import annotations

from aflint.localcloud.wire import Reply, Request, ServiceError, document


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
