"""What a bundle is asked to hold: aflint's own needs and the user's, at the driver's versions.

A package that is installed beside the driver goes into the bundle at the same version, because what
is pickled on one side is loaded on the other. A version that the user writes down wins over that.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Final

from aflint.deploy.errors import RequirementError

EXECUTOR_NEEDS: Final = ("cloudpickle", "lz4", "msgpack", "pybase64")
"""The dependencies of aflint that run in a function; the others serve the driver."""

OPTIONAL_NEEDS: Final = ("zstandard",)
"""What a function needs where the driver has it, so that both read the same files."""

_NAME = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9._-]*)\s*(\[[^\]]*\])?\s*(.*)", re.DOTALL)

Installed = Callable[[str], metadata.Distribution | None]


@dataclass(frozen=True)
class Requirements:
    """What pip is given. `wanted` are requirements, `files` requirements files, `pins` the exact
    versions that whatever is needed has to be of.
    """

    wanted: tuple[str, ...]
    files: tuple[Path, ...]
    pins: tuple[str, ...]

    def digest(self) -> str:
        """Return a hash of everything that decides what pip brings, local wheels included."""
        digest = hashlib.sha256()
        for part in (*self.wanted, "", *self.pins, ""):
            digest.update(part.encode() + b"\0")
        local = [Path(item) for item in self.wanted if _is_file(item)]
        for path in (*self.files, *local):
            digest.update(hashlib.sha256(path.read_bytes()).digest())
        return digest.hexdigest()


def requirements_of(
    packages: Sequence[str] = (),
    files: Sequence[Path] = (),
    installed: Installed | None = None,
) -> Requirements:
    """Return what a bundle with these further packages and requirements files asks for.

    Raises:
        RequirementError: one of them is no requirement, or a file is not there.
    """
    find = installed or find_installed
    lines = [line for file in files for line in _lines(file)]
    given = [_check(package) for package in packages]
    named = [parsed for item in (*given, *lines) if not _is_file(item) and (parsed := _parse(item))]
    # A version that the user names goes before the driver's.
    versioned = {normal(name) for name, rest in named if _names_version(rest)}
    needs = [*EXECUTOR_NEEDS, *(need for need in OPTIONAL_NEEDS if find(need))]
    roots = [*(name for name, _ in named), *needs]
    own = [need for need in needs if need not in versioned]
    pins = [
        f"{name}=={found.version}"
        for name, found in sorted(_closure(roots, find).items())
        # A local version, such as 2.1+cu118, is on no index.
        if name not in versioned and "+" not in found.version
    ]
    return Requirements((*own, *given), tuple(file.resolve() for file in files), tuple(pins))


def find_installed(name: str) -> metadata.Distribution | None:
    """Return the distribution of that name that is installed beside the driver."""
    try:
        return metadata.distribution(name)
    except metadata.PackageNotFoundError:
        return None


def normal(name: str) -> str:
    """Return a distribution's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _closure(roots: Iterable[str], find: Installed) -> dict[str, metadata.Distribution]:
    """Return the installed ones among `roots` and all that they need. What only an extra asks for
    is left out: a pin that nothing asks for does no harm, but would change the hash.
    """
    found: dict[str, metadata.Distribution] = {}
    waiting = [normal(root) for root in roots]
    while waiting:
        name = waiting.pop()
        if name in found or (distribution := find(name)) is None:
            continue
        found[name] = distribution
        for line in distribution.requires or ():
            parsed = _parse(line)
            if parsed and "extra ==" not in parsed[1]:
                waiting.append(normal(parsed[0]))
    return found


def _parse(line: str) -> tuple[str, str] | None:
    """Return the name in a requirement and what follows it; None for what has no name."""
    match = None if line.startswith("-") else _NAME.fullmatch(line)
    return (match[1], match[3]) if match else None


def _names_version(rest: str) -> bool:
    return rest.partition(";")[0].strip().startswith(("=", "<", ">", "!", "~", "@", "("))


def _lines(file: Path) -> list[str]:
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RequirementError(f"The requirements file {file} cannot be read: {error}.") from error
    lines = (re.sub(r"(^|\s)#.*", "", line).strip() for line in text.splitlines())
    return [line for line in lines if line]


def _is_file(item: str) -> bool:
    return item.endswith(".whl") and Path(item).is_file()


def _check(package: str) -> str:
    package = package.strip()
    if package.endswith(".whl") and not _is_file(package):
        raise RequirementError(f"There is no wheel {package}: check the path.")
    if not _is_file(package) and _parse(package) is None:
        raise RequirementError(
            f"{package!r} is not a requirement; write a package as pip does, such as numpy, "
            "'numpy>=2', or the path of a .whl file."
        )
    return package
