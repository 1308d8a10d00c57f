"""Names as PySpark spells them are answered with the names that they have here."""

from __future__ import annotations

import re
from typing import Any

import pytest

from aflint import RDD, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")


def camel_case(name: str) -> str:
    """Spell a name as PySpark does."""
    name = name.replace("_rdd", "_RDD")
    return re.sub("_([a-zA-Z])", lambda found: found[1].upper(), name)


@pytest.mark.parametrize("kind", [RDD, Session])
async def test_every_name_of_two_words_is_found_by_pysparks(session: Session, kind: type) -> None:
    owner: Any = session if kind is Session else session.range(3)
    names = [name for name in dir(kind) if "_" in name.strip("_") and not name.startswith("_")]
    assert len(names) > 5
    for name in names:
        with pytest.raises(AttributeError, match=f"has no {camel_case(name)}: it is {name} here"):
            getattr(owner, camel_case(name))


async def test_other_names_are_missing_as_anywhere(session: Session) -> None:
    rdd: Any = session.range(3)
    with pytest.raises(AttributeError, match="'RDD' object has no attribute 'nothing'"):
        _ = rdd.nothing
    assert not hasattr(rdd, "saveAsHadoopFile")
    assert not hasattr(session, "hadoopFile")
