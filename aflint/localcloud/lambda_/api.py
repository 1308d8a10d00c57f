"""Lambda behind the edge: which operation a request asks for, and what each does."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar
from urllib.parse import unquote

from aflint import limits
from aflint.localcloud.clock import Clock
from aflint.localcloud.lambda_ import errors
from aflint.localcloud.lambda_.errors import invalid
from aflint.localcloud.lambda_.functions import Function, Functions, Members
from aflint.localcloud.lambda_.invoking import Invoking
from aflint.localcloud.lambda_.pool import Concurrency
from aflint.localcloud.wire import Asked, Reply, Request, Service, ServiceError

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
_MOST_LISTED = 50
_JSON = "application/json"


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


class Lambda(Service):
    """The service; `functions` holds its state."""

    name: ClassVar[str] = "lambda"

    def __init__(
        self, functions: Functions, concurrency: Concurrency, invoking: Invoking, clock: Clock
    ) -> None:
        self.functions = functions
        self._concurrency = concurrency
        self._invoking = invoking
        self._clock = clock
        self._simple: dict[str, Callable[[Function, Members, Request], tuple[int, Any]]] = {
            "GetFunction": self._get,
            "GetFunctionConfiguration": lambda f, _m, _r: (200, self._shown(f)),
            "UpdateFunctionConfiguration": self._update_settings,
            "DeleteFunction": self._delete,
            "PutFunctionConcurrency": self._put_concurrency,
            "DeleteFunctionConcurrency": self._delete_concurrency,
            "GetFunctionConcurrency": lambda f, _m, _r: (200, self._reserved(f)),
            "PutFunctionEventInvokeConfig": self._put_event_config,
            "GetFunctionEventInvokeConfig": lambda f, _m, _r: (200, self._event_config(f)),
            "DeleteFunctionEventInvokeConfig": self._delete_event_config,
            "ListTags": lambda f, _m, _r: (200, {"Tags": f.tags}),
            "TagResource": self._tag,
            "UntagResource": self._untag,
        }

    def action(self, request: Request) -> str:
        return find_route(request).action

    async def handle(self, action: str, request: Request) -> Reply:
        if action == "Invoke":
            function = self._function(request)
            return await self._invoking.invoke(function, request)
        members = _members(request)
        if action == "CreateFunction":
            created = await self.functions.create(members)
            return _reply(201, {**self._shown(created), "State": "Pending"})
        if action == "ListFunctions":
            return _reply(200, self._list(request))
        if action == "GetAccountSettings":
            return _reply(200, self._account())
        function = self._function(request)
        if action == "UpdateFunctionCode":
            await self.functions.update_code(function, members)
            return _reply(200, self._shown(function))
        return _reply(*self._simple[action](function, members, request))

    def asked(self, action: str, request: Request) -> list[Asked]:
        name = f"{self.name}:{action}"
        function = find_route(request).function.rpartition(":")[2]
        return [Asked(name, self.functions.arn(function)) if function else Asked(name)]

    def render(self, error: ServiceError, request: Request) -> Reply:
        return errors.render(error)

    def _function(self, request: Request) -> Function:
        reference = find_route(request).function
        qualifier = request.query.get("Qualifier")
        if qualifier not in (None, "$LATEST"):
            reference += f":{qualifier}"
        return self.functions.get(reference)

    def _shown(self, function: Function) -> Members:
        return function.shown(self._clock.now())

    def _get(self, function: Function, members: Members, request: Request) -> tuple[int, Any]:
        shown: Members = {
            "Configuration": self._shown(function),
            "Code": {"RepositoryType": "S3", "Location": function.code.root.as_uri()},
        }
        if function.tags:
            shown["Tags"] = function.tags
        if reserved := self._reserved(function):
            shown["Concurrency"] = reserved
        return 200, shown

    def _list(self, request: Request) -> Members:
        after = request.query.get("Marker", "")
        most = min(int(request.query.get("MaxItems") or _MOST_LISTED), _MOST_LISTED)
        names = [name for name in sorted(self.functions.by_name) if name > after]
        page = names[:most]
        shown: Members = {"Functions": [self._shown(self.functions.by_name[n]) for n in page]}
        if len(names) > len(page):
            shown["NextMarker"] = page[-1]
        return shown

    def _update_settings(
        self, function: Function, members: Members, request: Request
    ) -> tuple[int, Any]:
        self.functions.update_settings(function, members)
        return 200, self._shown(function)

    def _delete(self, function: Function, members: Members, request: Request) -> tuple[int, Any]:
        self.functions.delete(function)
        self._concurrency.forget(function.name)
        return 204, None

    def _reserved(self, function: Function) -> Members:
        count = self._concurrency.reserved.get(function.name)
        return {} if count is None else {"ReservedConcurrentExecutions": count}

    def _put_concurrency(
        self, function: Function, members: Members, request: Request
    ) -> tuple[int, Any]:
        count = members.get("ReservedConcurrentExecutions")
        if not isinstance(count, int) or count < 0:
            raise invalid("ReservedConcurrentExecutions must be an integer of at least 0.")
        self._concurrency.reserve(function.name, count)
        return 200, self._reserved(function)

    def _delete_concurrency(
        self, function: Function, members: Members, request: Request
    ) -> tuple[int, Any]:
        self._concurrency.forget(function.name)
        return 204, None

    def _event_config(self, function: Function) -> Members:
        if function.event_config is None:
            raise ServiceError(
                "ResourceNotFoundException",
                f"The function {function.arn}:$LATEST doesn't have an EventInvokeConfig",
                404,
            )
        return {"FunctionArn": f"{function.arn}:$LATEST", **function.event_config}

    def _put_event_config(
        self, function: Function, members: Members, request: Request
    ) -> tuple[int, Any]:
        retries = members.get("MaximumRetryAttempts", 2)
        age = members.get("MaximumEventAgeInSeconds", 6 * 3600)
        if not 0 <= retries <= 2 or not 60 <= age <= 6 * 3600:
            raise invalid(
                "MaximumRetryAttempts goes from 0 to 2, MaximumEventAge from 60 to 21600."
            )
        function.event_config = {"MaximumRetryAttempts": retries, "MaximumEventAgeInSeconds": age}
        return 200, self._event_config(function)

    def _delete_event_config(
        self, function: Function, members: Members, request: Request
    ) -> tuple[int, Any]:
        self._event_config(function)
        function.event_config = None
        return 204, None

    def _tag(self, function: Function, members: Members, request: Request) -> tuple[int, Any]:
        function.tags.update(members.get("Tags") or {})
        return 204, None

    def _untag(self, function: Function, members: Members, request: Request) -> tuple[int, Any]:
        function.tags.pop(request.query.get("tagKeys", ""), None)
        return 204, None

    def _account(self) -> Members:
        functions = self.functions.by_name.values()
        return {
            "AccountLimit": {
                "TotalCodeSize": 80_530_636_800,
                "CodeSizeUnzipped": limits.LAMBDA_UNZIPPED_BYTES,
                "CodeSizeZipped": limits.LAMBDA_ZIP_BYTES,
                "ConcurrentExecutions": self._concurrency.account_limit,
                "UnreservedConcurrentExecutions": self._concurrency.unreserved,
            },
            "AccountUsage": {
                "TotalCodeSize": sum(function.code.size for function in functions),
                "FunctionCount": len(functions),
            },
        }


def _members(request: Request) -> Members:
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ServiceError(
            "InvalidRequestContentException", "Could not parse request body into json"
        )
    return found


def _reply(status: int, content: Any) -> Reply:
    body = b"" if content is None else json.dumps(content).encode()
    return Reply(status, body, content_type=_JSON)
