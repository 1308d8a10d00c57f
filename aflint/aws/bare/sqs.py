"""The calls of SQS that tasks make, over the bare client, with nothing built twice."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from aflint.aws.answers import read_json
from aflint.aws.bare.client import Call, Client
from aflint.aws.parser import Response
from aflint.aws.sqs import FailedEntry, Sqs, failed_entries, subject_of

if TYPE_CHECKING:
    from aflint.aws.clients import Aws

_TIMEOUT_S = 30.0


class BareSqs(Sqs):
    """Sends, receives, hides and deletes messages; all else goes through aiobotocore."""

    def __init__(self, aws: Aws, client: Client) -> None:
        super().__init__(aws)
        self._client = client

    async def send(self, url: str, bodies: Sequence[bytes]) -> list[FailedEntry]:
        parts = [b'{"QueueUrl":%b,"Entries":[' % json.dumps(url).encode()]
        for index, body in enumerate(bodies):
            comma = b"," if index else b""
            parts += (b'%b{"Id":"%d","MessageBody":"' % (comma, index), body, b'"}')
        response = await self._post("SendMessageBatch", url, b"".join((*parts, b"]}")))
        if b'"Failed"' not in response.body:
            return []
        return failed_entries(read_json(f"sqs SendMessageBatch, {subject_of(url)}", response.body))

    async def _call(self, action: str, subject: str, **members: Any) -> Any:
        if action not in _BARE:
            return await super()._call(action, subject, **members)
        body = json.dumps(members, separators=(",", ":")).encode()
        wait_s = members.get("WaitTimeSeconds", 0)
        response = await self._post(action, members["QueueUrl"], body, wait_s)
        return read_json(f"sqs {action}, {subject}", response.body)

    async def _post(self, action: str, url: str, body: bytes, wait_s: float = 0.0) -> Response:
        timeout_s = _TIMEOUT_S + wait_s
        call = Call(action, subject_of(url), "POST", "/", "", _headers(action), body, timeout_s)
        return await self._client.call(call)


_BARE = frozenset({"ReceiveMessage", "ChangeMessageVisibilityBatch", "DeleteMessageBatch"})


@cache
def _headers(action: str) -> Mapping[str, str]:
    return {"content-type": "application/x-amz-json-1.0", "x-amz-target": f"AmazonSQS.{action}"}
