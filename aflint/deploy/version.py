"""The version of aflint that runs here, and so of what is deployed from here."""

from __future__ import annotations

from importlib import metadata


def aflint_version() -> str:
    """Return the installed version; `0.0.0` where aflint runs from a source tree."""
    try:
        return metadata.version("aflint")
    except metadata.PackageNotFoundError:
        return "0.0.0"
