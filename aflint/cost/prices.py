"""The one dated table of prices: of what aflint uses, and of what is compared with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from aflint.errors import InvalidArgumentError, UnpricedRegionError

Architecture = Literal["x86_64", "arm64"]


@dataclass(frozen=True)
class PriceTable:
    """Prices in US dollars of one region, as published on `date`.

    The last five are of services that aflint is compared with. Athena bills a query for what it
    scans, `athena_least_tb` at least; EMR Serverless bills its workers for their vCPUs and memory,
    for `emr_least_s` at least.
    """

    region: str
    date: str
    lambda_gb_second_x86: float
    lambda_gb_second_arm: float
    lambda_request: float
    tmp_gb_second: float
    sqs_request: float
    s3_put: float
    s3_get: float
    s3_gb_month: float
    athena_tb: float
    athena_least_tb: float
    emr_vcpu_hour: float
    emr_gb_hour: float
    emr_least_s: float

    def gb_second(self, architecture: Architecture) -> float:
        """Return the price of one GB of memory for one second.

        Raises:
            InvalidArgumentError: no such architecture is sold.
        """
        if architecture == "x86_64":
            return self.lambda_gb_second_x86
        if architecture == "arm64":
            return self.lambda_gb_second_arm
        raise InvalidArgumentError(
            f"There is no price for architecture {architecture!r}; use 'x86_64' or 'arm64'."
        )


US_EAST_1: Final = PriceTable(
    region="us-east-1",
    date="2026-11",
    lambda_gb_second_x86=0.0000166667,
    lambda_gb_second_arm=0.0000133334,
    lambda_request=0.20 / 1_000_000,
    tmp_gb_second=3.09e-8,
    sqs_request=0.40 / 1_000_000,
    s3_put=0.005 / 1_000,
    s3_get=0.0004 / 1_000,
    s3_gb_month=0.023,
    athena_tb=5.0,
    athena_least_tb=10e6 / 1e12,
    emr_vcpu_hour=0.052624,
    emr_gb_hour=0.0057785,
    emr_least_s=60.0,
)
"""From the public price pages of AWS Lambda, SQS (standard queues), S3 (standard class), Athena
(SQL on demand) and EMR Serverless (x86_64).
"""


_TABLES: Final = {table.region: table for table in (US_EAST_1,)}


def is_priced(region: str) -> bool:
    """Say whether there are prices for a region."""
    return region in _TABLES


def prices_of(region: str) -> PriceTable:
    """Return the prices of a region. Raises UnpricedRegionError where there are none here."""
    try:
        return _TABLES[region]
    except KeyError:
        raise UnpricedRegionError(
            f"there are no prices for region {region!r}, so its dollars are not known; there are "
            f"those of {', '.join(_TABLES)}. To be told dollars at these in its place, set "
            f'price_region = "{next(iter(_TABLES))}"'
        ) from None
