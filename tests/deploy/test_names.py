from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint import limits
from aflint.config import load_config
from aflint.deploy.names import (
    ANY,
    default_bucket,
    function_name,
    memory_sizes,
    names_of,
    partition_of,
)
from aflint.errors import ConfigError


def test_sizes_double_and_stop_at_lambdas_most() -> None:
    assert memory_sizes(1769) == (1769, 3538, 7076)
    assert memory_sizes(1769, 5) == (1769, 3538, 7076, 10240)
    assert memory_sizes(10240) == (10240,)
    assert memory_sizes(128, 1) == (128,)


@given(st.integers(128, limits.LAMBDA_MEMORY_MAX_MB), st.integers(1, 7))
def test_sizes_rise_within_what_lambda_has(smallest: int, count: int) -> None:
    sizes = memory_sizes(smallest, count)
    assert sizes[0] == smallest
    assert list(sizes) == sorted(set(sizes))
    assert sizes[-1] <= limits.LAMBDA_MEMORY_MAX_MB


@given(
    st.from_regex(r"[A-Za-z0-9_-]{1,58}", fullmatch=True),
    st.sampled_from(["us-east-1", "ap-southeast-3", "us-gov-west-1", ANY]),
)
def test_every_name_is_one_that_aws_takes(base: str, region: str) -> None:
    names = names_of(load_config(function=base), "123456789012", region)
    if region != ANY:
        assert re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", names.bucket)
        assert re.fullmatch(r"[\w+=,.@-]{1,64}", names.role)
    assert len(function_name(base, 10240)) <= 64
    assert names.owns_function(function_name(base, 1769))
    assert not names.owns_function(f"{base}-other")
    assert not names.owns_function(f"x{base}-1769")


def test_two_long_names_do_not_share_a_bucket() -> None:
    one, other = "a" * 57 + "b", "a" * 57 + "c"
    buckets = {default_bucket(each, "123456789012", "us-east-1") for each in (one, other)}
    assert len(buckets) == 2


def test_a_configured_bucket_is_used() -> None:
    assert names_of(load_config(bucket="mine"), "1", "us-east-1").bucket == "mine"


@pytest.mark.parametrize("function", ["arn:aws:lambda:us-east-1:1:function:f", "f:alias", "f" * 59])
def test_what_cannot_carry_a_size_is_refused(function: str) -> None:
    with pytest.raises(ConfigError, match=r"keyword function: .*plain name"):
        names_of(load_config(function=function), "1", "us-east-1")


def test_partitions() -> None:
    assert partition_of("cn-north-1") == "aws-cn"
    assert partition_of("us-gov-west-1") == "aws-us-gov"
    assert partition_of("eu-central-1") == "aws"
    names = names_of(load_config(), "123456789012", "cn-north-1")
    assert names.role_arn == "arn:aws-cn:iam::123456789012:role/aflint-cn-north-1"
