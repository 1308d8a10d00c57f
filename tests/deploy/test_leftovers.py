from __future__ import annotations

import pytest

from aflint.deploy.clean import choose
from aflint.deploy.leftovers import Leftover, session_of

HOST = "https://sqs.us-east-1.amazonaws.com/123456789012"


def queue(name: str, since: float = 100.0) -> Leftover:
    return Leftover("queue", f"{HOST}/{name}", since)


def objects(name: str, since: float = 100.0) -> Leftover:
    return Leftover("objects", name, since)


@pytest.mark.parametrize(
    ("leftover", "session"),
    [
        (queue("aflint-1a2b3c4d-12-0-99887766-5"), "1a2b3c4d"),
        (queue("aflint-daily-1-0-99887766-5"), "daily"),
        (objects("aflint/jobs/nightly_2/"), "nightly_2"),
        (objects("aflint/shuffles/nightly_2-7/"), "nightly_2"),
        (Leftover("upload", "aflint/shuffles/ab-7/0-12/3-0-0-x", 1.0, upload="u"), "ab"),
        (objects("aflint/other"), ""),
    ],
)
def test_names_tell_whose_things_they_are(leftover: Leftover, session: str) -> None:
    assert session_of(leftover, "aflint") == session


def test_sessions_are_told_apart_by_their_whole_ids() -> None:
    found = [
        queue("aflint-daily-1-0-99887766-0"),
        queue("aflint-dailyjob-1-0-99887766-0"),
        objects("aflint/jobs/ly/"),
        objects("aflint/shuffles/daily2-1/"),
        objects("aflint/jobs/old/", since=1.0),
        objects("aflint/jobs/oldest/", since=1.0),
    ]
    chosen = choose(found, "aflint", 10.0, living={"daily", "oldest"}, dead={"dailyjob"})
    assert [each.name for each in chosen] == [found[1].name, "aflint/jobs/old/"]
