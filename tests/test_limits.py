from __future__ import annotations

import re

import pytest

from aflint import limits
from tools import docs

CONSTANTS = {
    name: value
    for name, value in vars(limits).items()
    if re.match("(SQS|LAMBDA|S3)_", name) and isinstance(value, int)
}


def test_every_constant_has_one_row_with_its_value() -> None:
    assert {row.name: row.value for row in limits.TABLE} == CONSTANTS
    assert len(limits.TABLE) == len(CONSTANTS)


@pytest.mark.parametrize("row", limits.TABLE, ids=lambda row: row.name)
def test_every_row_is_dated_and_sourced(row: limits.Limit) -> None:
    assert row.source.startswith(("https://docs.aws.amazon.com/", "https://aws.amazon.com/"))
    assert re.fullmatch(r"20\d\d-(0[1-9]|1[0-2])", row.date)
    assert row.value > 0
    assert row.unit


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SQS_MESSAGE_BYTES", 1024 * 1024),
        ("SQS_OLD_MESSAGE_BYTES", 256 * 1024),
        ("SQS_BATCH_ENTRIES", 10),
        ("SQS_IN_FLIGHT", 120_000),
        ("SQS_VISIBILITY_MAX_S", 43_200),
        ("SQS_RETENTION_MAX_S", 1_209_600),
        ("LAMBDA_REQUEST_BYTES", 6_291_456),
        ("LAMBDA_TIMEOUT_S", 900),
        ("LAMBDA_UNZIPPED_BYTES", 262_144_000),
        ("S3_PART_MIN_BYTES", 5_242_880),
    ],
)
def test_values_as_published(name: str, value: int) -> None:
    assert CONSTANTS[name] == value


def test_the_documented_table_is_current() -> None:
    page = (docs.DOCS / "limits.md").read_text()
    assert docs.fill(page) == page, "run `make docs`"
