from __future__ import annotations

import pytest

from aflint.crash import last_words


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", ""),
        ("one\ntwo\n", "one\ntwo"),
        ("x" * 9_000 + "the end\n", "x" * 1_992 + "the end"),
        ("a\nFatal Python error: Aborted\n\nThread 1:\n  f\n\nCurrent thread 2:\n  g\n\nExt",
         "a\nFatal Python error: Aborted\nCurrent thread 2:\n  g"),
        ("a\nFatal Python error: Aborted\n\nStack:\n  g\n\nExtension modules: " + "x, " * 9_000,
         "a\nFatal Python error: Aborted\nStack:\n  g"),
        ("Fatal Python error: A\n\nFatal Python error: B", "Fatal Python error: B"),
    ],
)  # fmt: skip
def test_what_matters_of_a_log(log: str, words: str) -> None:
    assert last_words(log).endswith(words)
    assert len(last_words(log)) <= 2_000
