from __future__ import annotations

import dataclasses
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.cost import (
    US_EAST_1,
    Cost,
    Usage,
    billed_sqs_requests,
    format_dollars,
    lambda_usage,
    price,
    s3_break_even_bytes,
    s3_shuffle_cost,
    sqs_shuffle_cost,
)
from aflint.errors import InvalidArgumentError

KIB = 1024
GIB = 1024**3

usages = st.builds(
    Usage,
    gb_seconds=st.integers(0, 10**6).map(float),
    lambda_requests=st.integers(0, 10**9),
    tmp_gb_seconds=st.integers(0, 10**6).map(float),
    sqs_requests=st.integers(0, 10**9),
    sqs_bytes=st.integers(0, 10**12),
    s3_put=st.integers(0, 10**9),
    s3_get=st.integers(0, 10**9),
    s3_bytes=st.integers(0, 10**12),
    s3_gb_months=st.integers(0, 10**6).map(float),
)


def test_each_counter_is_priced_by_its_own_price() -> None:
    million = 1_000_000
    usage = Usage(
        gb_seconds=million,
        lambda_requests=million,
        tmp_gb_seconds=million,
        sqs_requests=million,
        s3_put=million,
        s3_get=million,
        sqs_bytes=million,
        s3_bytes=million,
    )
    cost = price(usage)
    assert cost.lambda_compute == pytest.approx(16.6667)
    assert cost.lambda_requests == pytest.approx(0.20)
    assert cost.lambda_tmp == pytest.approx(0.0309)
    assert cost.sqs == pytest.approx(0.40)
    assert cost.s3_put == pytest.approx(5.00)
    assert cost.s3_get == pytest.approx(0.40)
    assert cost.total == pytest.approx(22.6976)


def test_arm_is_cheaper_by_a_fifth_and_only_for_compute() -> None:
    usage = Usage(gb_seconds=1000, lambda_requests=1000)
    x86, arm = price(usage), price(usage, architecture="arm64")
    assert arm.lambda_compute == pytest.approx(0.8 * x86.lambda_compute, rel=1e-4)
    assert arm.lambda_requests == x86.lambda_requests


def test_an_unknown_architecture_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'sparc'.*'x86_64' or 'arm64'"):
        price(Usage(), architecture="sparc")  # type: ignore[arg-type]


def test_prices_cannot_be_changed_and_are_dated() -> None:
    assert (US_EAST_1.region, US_EAST_1.date) == ("us-east-1", "2026-11")
    with pytest.raises(dataclasses.FrozenInstanceError):
        US_EAST_1.s3_get = 0  # type: ignore[misc]


def test_other_prices_may_be_given() -> None:
    dear = dataclasses.replace(US_EAST_1, region="elsewhere", s3_get=1.0)
    assert price(Usage(s3_get=3), dear) == Cost(s3_get=3.0)


@given(st.lists(usages, max_size=5))
def test_the_price_of_a_sum_is_the_sum_of_prices(parts: list[Usage]) -> None:
    together = price(sum(parts, Usage()))
    apart = sum(map(price, parts), Cost())
    for one, other in zip(together.items(), apart.items(), strict=True):
        assert one[0] == other[0]
        assert one[1] == pytest.approx(other[1])


def test_sum_needs_no_start() -> None:
    assert sum([Usage(s3_put=1), Usage(s3_put=2)]) == Usage(s3_put=3)
    assert sum([Cost(sqs=1.0), Cost(s3_get=2.0)]) == Cost(sqs=1.0, s3_get=2.0)


def test_a_usage_and_a_cost_do_not_add_up() -> None:
    with pytest.raises(TypeError):
        Usage() + Cost()
    with pytest.raises(TypeError):
        Cost() + 1


def test_both_survive_pickling() -> None:
    usage = Usage(gb_seconds=1.5, s3_put=2)
    assert pickle.loads(pickle.dumps((usage, price(usage)))) == (usage, price(usage))


@pytest.mark.parametrize(
    ("seconds", "memory_mb", "gb_seconds"),
    [
        (1.0, 1024, 1.0),
        (1.0, 1769, 1769 / 1024),
        (0.0101, 1024, 0.011),
        (0.010, 1024, 0.010),
        (0.0, 1024, 0.0),
        (2.003, 1024, 2.003),
    ],
)
def test_a_duration_is_billed_by_the_begun_millisecond(
    seconds: float, memory_mb: int, gb_seconds: float
) -> None:
    usage = lambda_usage(seconds, memory_mb)
    assert usage.gb_seconds == pytest.approx(gb_seconds)
    assert usage.lambda_requests == 1
    assert usage.tmp_gb_seconds == 0


def test_tmp_is_paid_for_beyond_the_free_part() -> None:
    assert lambda_usage(10, 1024, tmp_mb=512 + 1024).tmp_gb_seconds == pytest.approx(10)


@pytest.mark.parametrize(
    ("payload", "requests"),
    [(0, 1), (1, 1), (64 * KIB, 1), (64 * KIB + 1, 2), (256 * KIB, 4), (1024 * KIB, 16)],
)
def test_sqs_bills_each_begun_64_kib(payload: int, requests: int) -> None:
    assert billed_sqs_requests(payload) == requests


def test_a_shuffled_gib_costs_what_the_price_pages_say() -> None:
    assert sqs_shuffle_cost(GIB) == pytest.approx(0.0175, rel=0.01)
    objects_of_16_mb = GIB / 16e6
    assert round(s3_shuffle_cost(objects_of_16_mb, objects_of_16_mb), 4) == 0.0004


def test_an_object_of_its_own_breaks_even_at_about_430_kib_of_message_body() -> None:
    body = s3_break_even_bytes(expansion=1)
    assert body == 6.75 * 64 * KIB
    assert body / KIB == pytest.approx(430, rel=0.01)


def test_base64_lowers_the_break_even_by_a_quarter() -> None:
    assert s3_break_even_bytes() == 0.75 * s3_break_even_bytes(expansion=1)


def test_a_range_of_a_shared_object_breaks_even_much_earlier() -> None:
    assert s3_break_even_bytes(puts=0) == 24 * KIB
    assert s3_break_even_bytes(puts=0.1) < s3_break_even_bytes() / 3


@given(puts=st.floats(0, 2), gets=st.floats(0.1, 5), expansion=st.floats(1, 2))
def test_s3_is_cheaper_exactly_from_the_break_even(
    puts: float, gets: float, expansion: float
) -> None:
    size = s3_break_even_bytes(puts=puts, gets=gets, expansion=expansion)
    s3 = s3_shuffle_cost(puts, gets)
    assert sqs_shuffle_cost(size + 1, expansion=expansion) > s3
    assert sqs_shuffle_cost(size - 1, expansion=expansion) < s3


@pytest.mark.parametrize(
    ("dollars", "text"),
    [
        (0, "$0"),
        (1234.567, "$1,234.57"),
        (1, "$1.00"),
        (0.5, "$0.50"),
        (0.0123456, "$0.0123"),
        (0.000000200, "$0.0000002"),
        (0.9999, "$1.00"),
        (-0.25, "$-0.25"),
    ],
)
def test_amounts_are_written_without_exponents(dollars: float, text: str) -> None:
    assert format_dollars(dollars) == text


def test_a_cost_names_its_items_and_leaves_out_what_was_free() -> None:
    assert str(Cost(lambda_compute=1.5, sqs=0.25)) == "$1.75 (Lambda compute $1.50, SQS $0.25)"
    assert str(Cost()) == "$0"
