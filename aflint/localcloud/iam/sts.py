"""STS: who is asking."""

from __future__ import annotations

from typing import ClassVar

from aflint.localcloud.iam.query import answer, read_form, refuse, render
from aflint.localcloud.wire import Refusal, Reply, Request, Service, ServiceError

_NAMESPACE = "https://sts.amazonaws.com/doc/2011-06-15/"


class Sts(Service):
    """The service."""

    name: ClassVar[str] = "sts"

    def __init__(self, account: str, caller_arn: str) -> None:
        self._account = account
        self._arn = caller_arn

    def action(self, request: Request) -> str:
        action = read_form(request).get("Action", "")
        if action != "GetCallerIdentity":
            raise ServiceError("InvalidAction", f"localcloud does not emulate {action!r} of STS.")
        return action

    async def handle(self, action: str, request: Request) -> Reply:
        user = self._arn.rsplit("/", 1)[-1]
        identity = {"Arn": self._arn, "UserId": user, "Account": self._account}
        return answer(action, {**identity}, request, _NAMESPACE)

    def render(self, error: ServiceError, request: Request) -> Reply:
        return render(error, request)

    def refuse(self, refusal: Refusal, action: str, detail: str) -> ServiceError:
        return refuse(self.name, refusal, action, detail)
