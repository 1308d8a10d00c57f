from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from aflint.localcloud.s3.buckets_api import list_keys

KEYS = st.lists(st.text("ab/", min_size=1, max_size=6), unique=True, max_size=25).map(sorted)


def whole(keys: list[str], prefix: str, delimiter: str) -> list[str]:
    """Keys and prefixes of a listing without pages, in order."""
    found: list[str] = []
    for key in keys:
        if not key.startswith(prefix):
            continue
        rest = key[len(prefix) :]
        cut = rest.find(delimiter) if delimiter else -1
        shown = key if cut < 0 else prefix + rest[: cut + 1]
        if shown not in found:
            found.append(shown)
    return found


@given(
    keys=KEYS,
    prefix=st.text("ab/", max_size=3),
    delimiter=st.sampled_from(["", "/"]),
    most=st.integers(1, 5),
)
def test_pages_together_are_the_whole_listing(
    keys: list[str], prefix: str, delimiter: str, most: int
) -> None:
    seen: list[str] = []
    after = ""
    for _ in range(len(keys) + 1):
        page = list_keys(keys, prefix, delimiter, after, most)
        assert len(page.keys) + len(page.prefixes) <= most
        seen += sorted([*page.keys, *page.prefixes])
        if page.next is None:
            break
        after = page.next
    assert seen == whole(keys, prefix, delimiter)
