"""The one place that translates botocore's errors, of calls and of settings, to aflint's."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any, Final

from aflint.aws.answers import NO_SERVICE
from aflint.aws.connection import ConnectError
from aflint.aws.failures import Refusal, seconds_of, translate
from aflint.errors import (
    BackendError,
    ConfigError,
    CredentialsError,
    EndpointUnreachableError,
    InvalidArgumentError,
    ServiceUnavailableError,
)

NO_CREDENTIALS_HELP: Final = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, run `aws configure` or `aws sso login`, or "
    "name a profile that has credentials (setting `profile`)."
)
_PASSWORD: Final = re.compile(r"//[^/@\s]*@")
_SSL_CONTEXT: Final = re.compile(r" ssl:(<[^>]*>|\w+)(?= \[)")
"""What aiohttp says of a connection, in the terms of its own code."""
_PROXY_HELP: Final = (
    "Set HTTPS_PROXY and HTTP_PROXY to http://user:password@host:port, or exclude the endpoint "
    "from it with NO_PROXY."
)
_CA_HELP: Final = (
    "What answers has a certificate that is not trusted here: have AWS_CA_BUNDLE, or `ca_bundle` "
    "in ~/.aws/config, name a file with the certificate of the authority that signed it."
)
_NO_CREDENTIALS: Final = (
    "NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError",
    "TokenRetrievalError", "SSOError", "MetadataRetrievalError", "NoAuthTokenError", "LoginError",
)  # fmt: skip
_SETTINGS: Final = (
    "ProfileNotFound", "ConfigNotFound", "ConfigParseError", "InvalidConfigError",
    "InvalidRetryConfigurationError", "InvalidRetryModeError", "InvalidMaxRetryAttemptsError",
    "InvalidProxiesConfigError", "InvalidDefaultsMode", "InvalidS3AddressingStyleError",
    "EndpointVariantError", "EndpointProviderError", "UnsupportedS3ConfigurationError",
    "UnsupportedS3ArnError", "UnsupportedS3AccesspointConfigurationError",
    "InvalidChecksumConfigError",
)  # fmt: skip


def explain(error: Exception, service: str, action: str, subject: str, where: str) -> Exception:
    """Return aflint's error for one of botocore's; any other is returned as it is.

    `where` is the endpoint that was called, or the region.
    """
    from botocore import exceptions as its
    from botocore.parsers import ResponseParserError

    call, said = f"{service} {action}, {subject}", f"{str(error).rstrip('.')}."
    if isinstance(error, its.ClientError):
        return translate(refusal_of(error), service, action, subject)
    if isinstance(error, _kinds(its, _NO_CREDENTIALS)):
        return CredentialsError(f"{call}: {said} {NO_CREDENTIALS_HELP}")
    if isinstance(getattr(error, "kwargs", {}).get("error"), its.InvalidProxiesConfigError):
        return ConfigError(f"{call}: the proxy that is set is no URL. {_PROXY_HELP}")
    if isinstance(error, its.ProxyConnectionError):
        return EndpointUnreachableError(f"{call}: {said[:-1]} ({cause_of(error)}). {_PROXY_HELP}")
    if isinstance(error, its.SSLError) or "CERTIFICATE_VERIFY_FAILED" in cause_of(error):
        return EndpointUnreachableError(f"{call}: {said} {_CA_HELP}")
    if isinstance(error, its.HTTPClientError | its.ConnectionError):
        return EndpointUnreachableError(
            f"{call}: {said[:-1]} ({cause_of(error)}). Check the network, `region` and "
            f"`endpoint_url` ({where})."
        )
    if isinstance(error, its.NoRegionError | its.InvalidRegionError):
        return ConfigError(f"{call}: {said} Set `region`, such as us-east-1.")
    if isinstance(error, _kinds(its, _SETTINGS)):
        return ConfigError(f"{call}: AWS's settings do not allow it: {said}")
    if isinstance(error, its.ParamValidationError):
        return InvalidArgumentError(f"{call}: {error}")
    # botocore's own parsers take for granted that what wraps an answer is there.
    if isinstance(error, ResponseParserError | LookupError):
        return ServiceUnavailableError(
            f"{call}: {NO_SERVICE}. Check `endpoint_url` ({where}), or try again."
        )
    if isinstance(error, its.BotoCoreError):
        return BackendError(f"{call}: {error}")
    return error


def settings_error(error: Exception) -> ConfigError:
    """Return the error for settings of AWS that cannot be read."""
    from botocore.exceptions import ProfileNotFound

    if isinstance(error, ProfileNotFound):
        return ConfigError(
            f"AWS's settings have no profile {error.kwargs['profile']!r}, which the setting "
            "`profile` or AWS_PROFILE names: see `aws configure list-profiles`."
        )
    return ConfigError(f"AWS's settings cannot be read: {str(error).rstrip('.')}.")


def cause_of(error: BaseException) -> str:
    """Return what lies behind one of botocore's errors of connections: no password is in it."""
    behind = getattr(error, "kwargs", {}).get("error")
    said = _PASSWORD.sub("//***@", str(behind or error.__cause__ or error))
    return _SSL_CONTEXT.sub("", said)


def nothing_was_sent(error: Exception) -> bool:
    """Say whether a call failed before its request was sent: no connection could be made."""
    from aiohttp import ClientConnectorError, ClientHttpProxyError, ServerTimeoutError
    from botocore import exceptions as its

    if isinstance(error, its.ConnectTimeoutError | its.ProxyConnectionError | its.SSLError):
        return True
    behind = getattr(error, "kwargs", {}).get("error")
    before = (ConnectError, ClientConnectorError, ClientHttpProxyError)
    if isinstance(error, its.EndpointConnectionError):
        return isinstance(behind, before)
    return isinstance(behind, ServerTimeoutError) and "onnect" in str(behind)


def refusal_of(error: Any) -> Refusal:
    """Return what a service said, of botocore's ClientError."""
    response: Mapping[str, Any] = error.response
    said, meta = response.get("Error", {}), response.get("ResponseMetadata", {})
    headers = meta.get("HTTPHeaders", {})
    wait = str(headers.get("retry-after", ""))
    return Refusal(
        status=int(meta.get("HTTPStatusCode", 0)),
        code=str(said.get("Code", "")).rpartition("#")[2],
        message=str(said.get("Message", "")),
        request_id=str(meta.get("RequestId", "")),
        region=str(headers.get("x-amz-bucket-region") or said.get("Region") or ""),
        retry_after_s=seconds_of(wait),
    )


def _kinds(module: Any, names: Collection[str]) -> tuple[type[Exception], ...]:
    """Return those of botocore's exceptions that this version of it has."""
    return tuple(getattr(module, name) for name in names if hasattr(module, name))
