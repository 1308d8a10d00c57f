"""Lays a bundle where Lambda can fetch it: in the deployment's own bucket, for a moment.

Lambda also takes zips of up to 50 MB in the call itself, but then once for each function, and a
third larger as base64. It copies what it fetches, so that the object need not stay.
"""

from __future__ import annotations

import asyncio
import io
from types import TracebackType
from typing import Self
from uuid import uuid4

from aflint.aws.clients import Aws
from aflint.deploy.bundle import Bundle
from aflint.deploy.names import Names
from aflint.errors import BackendError


class Upload:
    """Uploads a bundle when it is first asked for, once; removes it at the end of its block."""

    def __init__(self, clients: Aws, names: Names, bundle: Bundle) -> None:
        self._clients = clients
        self._bundle = bundle
        self._bucket = names.bucket
        self._key = f"{names.uploads}{uuid4().hex}.zip"
        self._subject = f"s3://{self._bucket}/{self._key}"
        self._begun = self._done = False
        self._lock = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._begun:
            return
        try:
            await self._clients.call(
                "s3", "DeleteObject", self._subject, Bucket=self._bucket, Key=self._key
            )
        except BackendError:
            if error is None:  # Else that one says more; the bucket forgets the object in time.
                raise

    async def place(self) -> dict[str, str]:
        """Return where the bundle lies, in the words of Lambda's calls. Raises a BackendError."""
        async with self._lock:
            if not self._done:
                self._begun = True
                content = await asyncio.to_thread(self._bundle.path.read_bytes)
                await self._clients.call(
                    "s3", "PutObject", self._subject,
                    Bucket=self._bucket, Key=self._key, Body=io.BytesIO(content),
                )  # fmt: skip
                self._done = True
        return {"S3Bucket": self._bucket, "S3Key": self._key}
