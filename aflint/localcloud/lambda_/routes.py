"""Which Lambda operation a request asks for, and of which function. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote

from aflint.localcloud.wire import Request, ServiceError

_FUNCTION = r"/2015-03-31/functions/([^/]+)"
_TABLE = (
    ("POST", _FUNCTION + "/invocations", "Invoke"),
    ("POST", "/2015-03-31/functions/?", "CreateFunction"),
    ("GET", "/2015-03-31/functions/?", "ListFunctions"),
    ("GET", _FUNCTION, "GetFunction"),
    ("DELETE", _FUNCTION, "DeleteFunction"),
    ("GET", _FUNCTION + "/configuration", "GetFunctionConfiguration"),
    ("PUT", _FUNCTION + "/configuration", "UpdateFunctionConfiguration"),
    ("PUT", _FUNCTION + "/code", "UpdateFunctionCode"),
    ("PUT", "/2017-10-31/functions/([^/]+)/concurrency", "PutFunctionConcurrency"),
    ("DELETE", "/2017-10-31/functions/([^/]+)/concurrency", "DeleteFunctionConcurrency"),
    ("GET", "/2019-09-30/functions/([^/]+)/concurrency", "GetFunctionConcurrency"),
    ("PUT", "/2019-09-25/functions/([^/]+)/event-invoke-config", "PutFunctionEventInvokeConfig"),
    ("GET", "/2019-09-25/functions/([^/]+)/event-invoke-config", "GetFunctionEventInvokeConfig"),
    (
        "DELETE",
        "/2019-09-25/functions/([^/]+)/event-invoke-config",
        "DeleteFunctionEventInvokeConfig",
    ),
    ("GET", "/2016-08-19/account-settings/?", "GetAccountSettings"),
    ("GET", "/2017-03-31/tags/(.+)", "ListTags"),
    ("POST", "/2017-03-31/tags/(.+)", "TagResource"),
    ("DELETE", "/2017-03-31/tags/(.+)", "UntagResource"),
)
_ROUTES = tuple((method, re.compile(path), action) for method, path, action in _TABLE)


@dataclass(frozen=True)
class Route:
    """An operation, and the function's name or ARN where it has one."""

    action: str
    function: str


def find_route(request: Request) -> Route:
    """Raises UnknownOperationException for what is not served."""
    for method, path, action in _ROUTES:
        if method == request.method and (found := path.fullmatch(request.path)):
            return Route(action, unquote(found[1]) if path.groups else "")
    raise ServiceError(
        "UnknownOperationException",
        f"localcloud does not emulate {request.method} {request.path} of Lambda.",
        404,
    )
