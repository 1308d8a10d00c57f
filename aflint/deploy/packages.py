"""Whether the packages that call AWS fit each other: pip may replace one for another's sake."""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import metadata
from typing import Final

_USERS: Final = (("aflint", "aiobotocore"), ("aiobotocore", "botocore"), ("boto3", "botocore"))
_ADVICE: Final = "Run pip install 'aiobotocore[boto3]{}': it brings versions that fit each other."


def find_misfits(
    version: Callable[[str], str] = metadata.version,
    requires: Callable[[str], list[str] | None] = metadata.requires,
) -> list[tuple[str, str, str]]:
    """Return each package whose version is not what another one of them needs, with what is wrong
    and what to do.
    """
    found = []
    for user, package in _USERS:
        try:
            there, needs = version(package), requires(user) or []
        except metadata.PackageNotFoundError:
            continue
        # Such as `botocore<1.41,>=1.40.46` or, in older metadata, `botocore (<1.41,>=1.40.46)`.
        for need in needs:
            asked = re.fullmatch(rf"{package}\s*\(?([<>=!~][^;)\[]*)\)?", need)
            if asked and not _fits(there, asked[1]):
                seen = f"{user} {version(user)} needs {asked[1].strip()}, and {there} is installed"
                advice = _ADVICE.format(asked[1].strip() if package == "aiobotocore" else "")
                found.append((package, seen, advice))
    return found


def _fits(version: str, asked: str) -> bool:
    """Say whether a version is one that a list such as ">=3.0,<3.11" allows. Pure."""
    return all(_holds(version, each.strip()) for each in asked.split(",") if each.strip())


def _holds(version: str, clause: str) -> bool:
    operator, wanted = re.fullmatch(r"([<>=!~]+)\s*(.*)", clause, re.DOTALL).groups()  # type: ignore[union-attr]
    here, there = _numbers(version), _numbers(wanted)
    match operator:
        case ">=":
            return here >= there
        case "<=":
            return here <= there
        case ">":
            return here > there
        case "<":
            return here < there
        case "!=":
            return here != there
        case "~=":
            return here >= there and here[: len(there) - 1] == there[:-1]
        case _:
            return here[: len(there)] == there


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))
