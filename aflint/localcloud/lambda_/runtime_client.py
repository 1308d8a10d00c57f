"""AWS's runtime client: where it is installed, and a folder that holds it and nothing else.

A function sees the standard library, its own bundle and this folder, as on Lambda: packages that
happen to be installed beside the emulator stay out of its sight, so that what is missing from a
bundle is missing here too. (AWS's own runtime also carries boto3; this one does not.)
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from aflint.errors import AflintError

_MODULES = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")


class RuntimeClientMissingError(AflintError):
    """The emulator cannot run Lambda functions because awslambdaric is not installed."""


def link_runtime(folder: Path) -> None:
    """Fill `folder` with links to the runtime client; raises RuntimeClientMissingError."""
    sources = {name: _source(name) for name in _MODULES}
    missing = [name for name, source in sources.items() if source is None]
    if missing:
        raise RuntimeClientMissingError(
            f"localcloud runs Lambda functions through AWS's runtime client, but {missing[0]!r} "
            "cannot be found: pip install 'aflint[localcloud]'"
        )
    for source in sources.values():
        if source is not None:
            (folder / source.name).symlink_to(source)


def _source(name: str) -> Path | None:
    spec = importlib.util.find_spec(name)
    if spec is None:
        return None
    if spec.submodule_search_locations:
        return Path(next(iter(spec.submodule_search_locations)))
    return Path(spec.origin) if spec.origin else None
