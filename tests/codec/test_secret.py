from __future__ import annotations

import copy
import pickle

import pytest

from aflint.codec.secret import Secret, tag


def test_a_secret_is_shown_nowhere() -> None:
    secret = Secret(b"0123456789abcdef")
    for shown in (repr(secret), str(secret), f"{secret}", repr({"secret": secret})):
        assert "0123456789" not in shown
        assert b"0123456789abcdef".hex() not in shown
    with pytest.raises(TypeError, match="not to be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="not to be pickled"):
        copy.copy(secret)


def test_keys_differ_by_secret_purpose_and_name() -> None:
    one, other = Secret(b"a" * 32), Secret(b"b" * 32)
    keys = {
        secret.key(purpose, name)
        for secret in (one, other)
        for purpose, name in (("job", "x-1"), ("job", "x-2"), ("journal", "x-1"), ("jo", "bx-1"))
    }
    assert len(keys) == 8
    assert all(len(key) == 32 for key in keys)
    assert one.key("job", "x-1") == Secret(b"a" * 32).key("job", "x-1")


def test_fresh_secrets_differ() -> None:
    assert Secret.fresh().reveal() != Secret.fresh().reveal()


def test_secrets_are_compared_by_what_they_are_and_survive_as_text() -> None:
    secret = Secret.fresh()
    assert Secret.from_text(secret.to_text()) == secret
    assert len({secret, Secret(secret.reveal()), Secret.fresh()}) == 2
    assert secret != secret.reveal()
    for text in ("", "%", "c2hvcnQ="):
        with pytest.raises(ValueError, match=r"."):
            Secret.from_text(text)


def test_what_can_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="16 or more"):
        Secret(b"short")


def test_a_tag_is_of_one_key_one_use_and_these_bytes() -> None:
    tags = [
        tag(b"k", b"body", size=16),
        tag(b"l", b"body", size=16),
        tag(b"k", b"bodies", size=16),
        tag(b"k", b"body", size=16, use=b"frames"),
        tag(b"k", b"body", size=16, use=b"payloads"),
        tag(b"k", b"body", size=8),
    ]
    assert len(set(tags)) == len(tags)
    assert [len(each) for each in tags] == [16, 16, 16, 16, 16, 8]
    assert tag(b"k", b"bo", bytearray(b"d"), memoryview(b"y"), size=16) == tags[0]
    with pytest.raises(ValueError, match="key is empty"):
        tag(b"", b"body", size=16)


def test_tags_stay_as_they_are() -> None:
    """Journals and cached files of an earlier aflint are read by the next one."""
    assert tag(b"k", b"body", size=8, use=b"AFLINTF").hex() == "08f3a46b758588c9"
