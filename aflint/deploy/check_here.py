"""The doctor's look at this machine: Python, pip, temporary space, what dead drivers left."""

from __future__ import annotations

import importlib.util
import platform
import shutil
import tempfile
from typing import Final

from aflint import __version__, limits
from aflint.config import Config
from aflint.deploy.cache import CACHE_ADVICE, can_be_made, default_cache
from aflint.deploy.checks import Finding, fail, ok, warn
from aflint.deploy.folders import default_scratch, find_folders
from aflint.deploy.target import RUNTIME_GLIBC, this_python
from aflint.errors import ConfigError

_LITTLE_SPACE: Final = limits.GIB


def check_here(config: Config) -> list[Finding]:
    """Return what there is to say about this machine."""
    return [_python(), _pip(), _bundles(), _space(config), _folders(config)]


def _python() -> Finding:
    seen = f"Python {platform.python_version()}, aflint {__version__}"
    if this_python() in RUNTIME_GLIBC:
        return ok("versions", seen)
    known = ", ".join(RUNTIME_GLIBC)
    return fail("versions", f"{seen}: Lambda does not run it", f"Run the driver with {known}.")


def _pip() -> Finding:
    if importlib.util.find_spec("pip"):
        return ok("pip", "can build bundles")
    return warn("pip", "is missing, so no bundle can be built", "Run python -m ensurepip.")


def _bundles() -> Finding:
    try:
        folder = default_cache()
    except ConfigError as error:
        return fail("bundles", "can be kept nowhere", str(error))
    if not can_be_made(folder):
        return fail("bundles", f"{folder} cannot be written to", CACHE_ADVICE)
    return ok("bundles", f"are kept in {folder}")


def _space(config: Config) -> Finding:
    advice = "Set `scratch_dir` to a folder with room that you can write to."
    try:
        folder = default_scratch(config.scratch_dir)
    except ConfigError as error:
        return fail("scratch folder", str(error), advice)
    try:  # as a session does it: permissions alone do not tell of full and read-only disks
        there = next(each for each in (folder, *folder.absolute().parents) if each.exists())
        with tempfile.TemporaryFile(dir=there) as file:
            file.write(bytes(4096))
            file.flush()
        free = shutil.disk_usage(there).free
    except OSError as error:
        return fail("scratch folder", f"{folder} cannot be used: {error.strerror}", advice)
    seen = f"{folder} has {free / limits.GIB:.1f} GB free"
    if free < _LITTLE_SPACE:
        return warn("scratch folder", seen, advice)
    return ok("scratch folder", seen)


def _folders(config: Config) -> Finding:
    try:
        folder = default_scratch(config.scratch_dir)
    except ConfigError:
        return ok("leftovers here", "none")  # `_space` says why
    dead = [each for each in find_folders(folder) if not each.alive]
    if not dead:
        return ok("leftovers here", "none")
    size = sum(each.size for each in dead) / limits.MIB
    seen = f"{len(dead)} folders of killed drivers, {size:.1f} MB"
    return warn("leftovers here", seen, "Run aflint clean.")
