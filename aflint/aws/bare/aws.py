"""SQS and S3 for tasks: where the driver says they are, with the function's own credentials."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from aflint.aws.bare.client import Client
from aflint.aws.bare.s3 import BareS3
from aflint.aws.bare.signing import Credentials
from aflint.aws.bare.sqs import BareSqs
from aflint.aws.clients import Aws
from aflint.aws.http import Http
from aflint.errors import WrongRegionError
from aflint.task import AwsEndpoints, TransferCounts


def connect(endpoints: AwsEndpoints) -> Aws:
    """Return what tasks call AWS with: the bare client where the driver found that it suffices."""
    credentials = Credentials.of(os.environ)
    if not endpoints.sqs or credentials is None:
        return Aws(endpoints.region, endpoints.endpoint_url)
    return BareAws(endpoints, credentials)


class BareAws(Aws):
    """Clients over one pool of connections; aiobotocore's where the bare one does not suffice."""

    def __init__(self, endpoints: AwsEndpoints, credentials: Credentials) -> None:
        super().__init__(endpoints.region, endpoints.endpoint_url, credentials=credentials)
        self._endpoints = endpoints
        self._keys = credentials
        self._http = Http()
        self._bare: dict[tuple[str, str, str], Client] = {}

    def sqs(self) -> BareSqs:
        return BareSqs(self, self._client("sqs", self.region, self._endpoints.sqs))

    def s3(self, counts: TransferCounts | None = None) -> BareS3:
        return BareS3(self, self._bucket, counts)

    async def aclose(self) -> None:
        await self._http.aclose()
        await super().aclose()

    def _client(self, service: str, region: str, url: str) -> Client:
        key = (service, region, url)
        if key not in self._bare:
            self._bare[key] = Client(service, region, url, self._keys, self._http)
        return self._bare[key]

    def _bucket(self, bucket: str, region: str | None) -> tuple[Client, str]:
        """Return the client for a bucket, and what goes before the key in the path."""
        template = self._endpoints.s3_path if "." in bucket else self._endpoints.s3
        if region not in (None, self.region) and "{region}" not in template:
            raise WrongRegionError(
                f"bucket {bucket} is in {region}, and the endpoint {template} is of one region. "
                'Set `client = "aiobotocore"`, or read from a bucket in this region.'
            )
        url = template.replace("{region}", region or self.region).replace("{bucket}", bucket)
        return self._client("s3", region or self.region, url), urlsplit(url).path.rstrip("/")
