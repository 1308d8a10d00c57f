"""The emulator's own endpoints, for tests in other processes; they take a bearer token.

    GET  /_localcloud/snapshot      a Snapshot as JSON
    POST /_localcloud/faults        {"duplicate": 0.1, ...}: these faults from now on
    POST /_localcloud/denied        ["s3:PutObject", ...]: these denials from now on
    POST /_localcloud/credentials   {"expired": true}

The token is the secret access key: `Authorization: Bearer <secret>`.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Callable
from typing import Any

from aflint.localcloud.faults import Faults
from aflint.localcloud.snapshot import Snapshot
from aflint.localcloud.wire import Reply, Request


class Control:
    """Answers the endpoints above by the callables it is given."""

    def __init__(
        self,
        secret: str,
        snapshot: Callable[[], Snapshot],
        set_faults: Callable[[Faults], None],
        deny: Callable[[list[str]], None],
        expire: Callable[[bool], None],
    ) -> None:
        self._secret = secret
        self._snapshot = snapshot
        self._set_faults = set_faults
        self._deny = deny
        self._expire = expire

    async def handle(self, request: Request) -> Reply:
        """One request; 401, 404 or 400 when it is not in order."""
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not hmac.compare_digest(token.encode(), self._secret.encode()):
            return _json(401, {"error": "give the secret access key as a bearer token"})
        try:
            return self._answer(request)
        except (ValueError, TypeError, AttributeError) as error:
            return _json(400, {"error": str(error)})

    def _answer(self, request: Request) -> Reply:
        match request.method, request.path.rsplit("/", 1)[-1]:
            case "GET", "snapshot":
                return _json(200, self._snapshot().as_dict())
            case "POST", "faults":
                self._set_faults(Faults.from_mapping(json.loads(request.body)))
            case "POST", "denied":
                self._deny([str(pattern) for pattern in json.loads(request.body)])
            case "POST", "credentials":
                self._expire(bool(json.loads(request.body)["expired"]))
            case _:
                return _json(404, {"error": f"nothing at {request.method} {request.path}"})
        return _json(200, {})


def _json(status: int, content: Any) -> Reply:
    return Reply(status, json.dumps(content).encode(), content_type="application/json")
