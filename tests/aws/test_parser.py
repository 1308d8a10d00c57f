from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from aflint.aws.parser import MalformedResponseError, Response, ResponseParser

BODIES = st.binary(max_size=300)


def feed(data: bytes, cuts: list[int], *, bodiless: bool = False) -> tuple[Response | None, bool]:
    """Feed bytes cut anywhere; returns the response, if it is whole, and whether to go on."""
    parser = ResponseParser(bodiless=bodiless)
    places = sorted({cut % (len(data) + 1) for cut in cuts} | {0, len(data)})
    whole = False
    for begin, end in pairwise(places):
        assert not whole, "bytes were left after the end"
        whole = parser.feed(data[begin:end])
    return (parser.response() if whole or parser.end() else None), parser.reusable


def chunked(body: bytes, sizes: list[int]) -> bytes:
    parts, at = [], 0
    for size in [*sizes, len(body)]:
        part = body[at : at + size]
        at += len(part)
        if part:
            parts.append(b"%x;name=value\r\n%b\r\n" % (len(part), part))
    return b"".join(parts)


@given(body=BODIES, cuts=st.lists(st.integers(0, 1000)), status=st.integers(200, 599))
def test_bodies_by_length(body: bytes, cuts: list[int], status: int) -> None:
    data = b"HTTP/1.1 %d Whatever\r\nX-Name:  a: b \r\nContent-Length: %d\r\n\r\n%b"
    empty = status in (204, 304)
    response, reusable = feed(data % (status, len(body), b"" if empty else body), cuts)
    assert response is not None
    assert (response.status, response.body) == (status, b"" if empty else body)
    assert response.headers["x-name"] == "a: b"
    assert reusable


@given(
    body=BODIES,
    cuts=st.lists(st.integers(0, 1000)),
    sizes=st.lists(st.integers(1, 50)),
    trailers=st.sampled_from([b"", b"X-Sum: 1\r\n", b"A: b\r\nC: d\r\n"]),
)
def test_bodies_by_chunks(body: bytes, cuts: list[int], sizes: list[int], trailers: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    data = head + chunked(body, sizes) + b"0\r\n" + trailers + b"\r\n"
    response, reusable = feed(data, cuts)
    assert response is not None
    assert response.body == body
    assert reusable


@given(body=BODIES, cuts=st.lists(st.integers(0, 1000)))
def test_bodies_to_the_end_of_the_connection(body: bytes, cuts: list[int]) -> None:
    response, reusable = feed(b"HTTP/1.1 200 OK\r\n\r\n" + body, cuts)
    assert response is not None
    assert response.body == body
    assert not reusable


def test_answers_to_head_have_no_body() -> None:
    response, reusable = feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", [], bodiless=True)
    assert response is not None
    assert response.body == b""
    assert reusable


def test_interim_responses_are_passed_over() -> None:
    data = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx"
    response, _ = feed(data, [])
    assert response is not None
    assert (response.status, response.body) == (200, b"x")


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 OK\r\nConnection: close", b"HTTP/1.0 200 OK"], ids=["close", "1.0"]
)
def test_connections_that_will_be_closed(head: bytes) -> None:
    _, reusable = feed(head + b"\r\nContent-Length: 1\r\n\r\nx", [])
    assert not reusable


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nxy",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1_0\r\n\r\n0123456789",
        b"HTTP/1.1 +20 OK\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nhello\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"x" * 300_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: " + b"x" * 300_000,
    ],
)
def test_what_is_no_response(data: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        feed(data, [])


def test_half_a_response_is_none() -> None:
    response, _ = feed(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nxy", [])
    assert response is None
