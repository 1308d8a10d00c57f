from __future__ import annotations

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.localcloud.sqs.api import billed_requests
from aflint.localcloud.sqs.message import check_text, read_content
from aflint.localcloud.wire import ServiceError


def allowed(character: str) -> bool:
    code = ord(character)
    return (
        code in (0x9, 0xA, 0xD)
        or 0x20 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or 0x10000 <= code <= 0x10FFFF
    )


@given(st.text(st.characters(exclude_categories=[]), max_size=20))
def test_exactly_the_documented_characters_are_taken(text: str) -> None:
    if all(map(allowed, text)):
        assert check_text(text) == text.encode()
    else:
        with pytest.raises(ServiceError, match="InvalidMessageContents"):
            check_text(text)


def test_size_counts_utf8_bytes_and_attributes_names_types_and_values() -> None:
    entry: dict[str, Any] = {
        "MessageBody": "é€😀",
        "MessageAttributes": {
            "name": {"DataType": "String", "StringValue": "ü"},
            "raw": {"DataType": "Binary", "BinaryValue": base64.b64encode(b"12345").decode()},
        },
    }
    assert read_content(entry).size == (2 + 3 + 4) + (4 + 6 + 2) + (3 + 6 + 5)


@pytest.mark.parametrize(
    ("entry", "code"),
    [
        ({}, "MissingParameter"),
        ({"MessageBody": ""}, "MissingParameter"),
        ({"MessageBody": "\x00"}, "InvalidMessageContents"),
        ({"MessageBody": "\ud800"}, "InvalidMessageContents"),
        ({"MessageBody": "\uffff"}, "InvalidMessageContents"),
        (
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Float"}}},
            "InvalidParameterValue",
        ),
        (
            {
                "MessageBody": "x",
                "MessageAttributes": {"a": {"DataType": "String", "StringValue": ""}},
            },
            "InvalidParameterValue",
        ),
        (
            {
                "MessageBody": "x",
                "MessageAttributes": {
                    str(n): {"DataType": "String", "StringValue": "v"} for n in range(11)
                },
            },
            "InvalidParameterValue",
        ),
    ],
)
def test_what_is_no_message(entry: dict[str, Any], code: str) -> None:
    with pytest.raises(ServiceError) as caught:
        read_content(entry)
    assert caught.value.code == code


@pytest.mark.parametrize(
    ("size", "billed"), [(0, 1), (1, 1), (65_536, 1), (65_537, 2), (262_144, 4), (1_048_576, 16)]
)
def test_each_begun_64_kib_is_a_request(size: int, billed: int) -> None:
    assert billed_requests(size) == billed
