"""What jobs cost and how long they take: prices, rates, bills, predictions."""

from __future__ import annotations

from aflint.cost.bill import (
    BASE64_EXPANSION,
    Cost,
    Usage,
    billed_gb_seconds,
    billed_sqs_requests,
    dollars,
    format_dollars,
    lambda_usage,
    price,
    s3_break_even_bytes,
    s3_shuffle_cost,
    sqs_shuffle_cost,
    storage_usage,
)
from aflint.cost.prices import US_EAST_1, Architecture, PriceTable, is_priced, prices_of

__all__ = [
    "BASE64_EXPANSION",
    "US_EAST_1",
    "Architecture",
    "Cost",
    "PriceTable",
    "Usage",
    "billed_gb_seconds",
    "billed_sqs_requests",
    "dollars",
    "format_dollars",
    "is_priced",
    "lambda_usage",
    "price",
    "prices_of",
    "s3_break_even_bytes",
    "s3_shuffle_cost",
    "sqs_shuffle_cost",
    "storage_usage",
]
