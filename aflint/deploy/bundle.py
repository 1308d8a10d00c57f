"""The zip that a function runs: wheels for its platform, and aflint itself.

Built in two layers, each kept in the user's cache by the hash of what goes in: the packages, which
take seconds, and the zip, which is made again when aflint's own files change.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Final

from aflint import __version__, limits
from aflint.deploy import contents
from aflint.deploy.cache import Cache, default_cache
from aflint.deploy.contents import (
    files_below,
    keep,
    keep_own,
    needs_all_services,
    sha256_of,
    sizes_by_package,
    write_zip,
)
from aflint.deploy.errors import BundleError, BundleTooLargeError
from aflint.deploy.pip import install
from aflint.deploy.requirements import Requirements, requirements_of
from aflint.deploy.target import Target

_FORMAT: Final = "1"
"""Part of every key in the cache; changes when bundles are built otherwise."""
_LARGEST_SHOWN: Final = 8


@dataclass(frozen=True)
class Bundle:
    """A built zip. `sha256` is base64, as Lambda writes it; sizes are in bytes; `packages` holds
    the unzipped size of each top-level package, largest first.
    """

    path: Path
    sha256: str
    size: int
    unzipped: int
    packages: Mapping[str, int]


async def build_bundle(
    target: Target,
    requirements: Requirements | None = None,
    *,
    cache: Path | None = None,
    refresh: bool = False,
) -> Bundle:
    """Return the bundle for `target`, from the cache where it is there and not to be `refresh`ed.

    Raises:
        NoWheelError, RequirementError, PackageIndexError, BundleError: its packages cannot be had.
        BundleTooLargeError: it holds more than Lambda takes; names the largest packages.
    """
    wanted = requirements or requirements_of()
    store = Cache(cache or default_cache())
    own = own_files()
    layer_key = _layer_key(target, wanted)
    # Its packages are part of the key, so that another layer makes another zip.
    key = _key("bundle", layer_key, await asyncio.to_thread(_digest, own))
    kept = None if refresh else store.find(key)
    if kept is None:
        layer = await _packages(target, wanted, store, layer_key, refresh)
        kept = await _assemble(store, key, layer, own, refresh)
    return check_size(_read(kept))


def check_size(bundle: Bundle) -> Bundle:
    """Return the bundle if Lambda takes it.

    Raises:
        BundleTooLargeError: it does not; names the largest packages with their sizes.
    """
    if bundle.unzipped <= limits.LAMBDA_UNZIPPED_BYTES:
        return bundle
    shown = list(bundle.packages.items())[:_LARGEST_SHOWN]
    listed = ", ".join(f"{name} {_megabytes(size)}" for name, size in shown)
    raise BundleTooLargeError(
        f"The bundle holds {_megabytes(bundle.unzipped)} unzipped, and Lambda takes "
        f"{_megabytes(limits.LAMBDA_UNZIPPED_BYTES)}. The largest packages: {listed}. Leave some "
        "out, or deploy an image (up to 10 GB): aflint deploy --image."
    )


def own_files() -> Mapping[PurePosixPath, Path]:
    """Return aflint's files that go into a bundle, by their path in it.

    Raises:
        BundleError: aflint is not in a folder, but in a zip.
    """
    package = Path(__file__).parents[1]
    if not package.is_dir():
        raise BundleError(
            f"aflint runs from a zip ({package}), and a bundle is made of files. Install it in a "
            "folder (pip install, also with --target), and leave it out of the zip."
        )
    return {
        PurePosixPath("aflint") / name: package / name
        for name in files_below(package)
        if keep_own(name)
    }


def _platform(target: Target) -> tuple[str, ...]:
    return target.platforms or (sys.platform, os.uname().machine, sys.implementation.cache_tag)


def _layer_key(target: Target, wanted: Requirements) -> str:
    kept = Path(contents.__file__).read_text()  # The rules of what is kept of a wheel.
    return _key("packages", kept, target.python, *_platform(target), wanted.digest())


def _key(kind: str, *parts: str) -> str:
    text = "\0".join((_FORMAT, *parts))
    return f"{kind}-{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def _digest(files: Mapping[PurePosixPath, Path]) -> str:
    digest = hashlib.sha256(__version__.encode())
    for name, source in files.items():
        digest.update(str(name).encode() + b"\0" + hashlib.sha256(source.read_bytes()).digest())
    return digest.hexdigest()


async def _packages(
    target: Target, wanted: Requirements, store: Cache, key: str, refresh: bool
) -> Path:
    """Return the folder of what pip brought, stripped and compiled."""
    kept = None if refresh else store.find(key)
    if kept is None:
        with store.adding(key, replace=refresh) as folder:
            await install(target, wanted, folder)
            await asyncio.to_thread(_strip, folder)
            await compile_all(folder)
        kept = store.find(key)
        assert kept is not None
    return kept


def _strip(folder: Path) -> None:
    found = metadata.distributions(path=[str(folder)])
    needs = {entry.name.lower(): list(entry.requires or ()) for entry in found}
    everything = needs_all_services(needs)
    for name in files_below(folder):
        if not keep(name, all_services=everything):
            (folder / name).unlink()
    # The deepest first, so that a folder of empty folders is empty when its turn comes.
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()


async def compile_all(folder: Path) -> None:
    """Compile every module in a folder, for the read-only file system of a function, which would
    compile it at each cold start: loading the handler takes 0.22 s of CPU without, 0.16 s with it.

    The code is not tied to its source's time, and is made with a fixed hash seed: equal sources
    give equal bytes.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-S", "-m", "compileall", "-q", "-f",
        "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", "/var/task", str(folder),
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONHASHSEED": "0"},
    )  # fmt: skip
    try:
        await process.wait()  # Sources for another Python do not compile; they are not imported.
    except BaseException:
        process.kill()
        await process.wait()
        raise


async def _assemble(
    store: Cache, key: str, layer: Path, own: Mapping[PurePosixPath, Path], refresh: bool
) -> Path:
    """Zip the packages and aflint itself, and describe the zip beside it."""
    with store.adding(key, replace=refresh) as folder:
        stage = folder / "own"
        await asyncio.to_thread(_copy, own, stage)
        await compile_all(stage)
        await asyncio.to_thread(write_zip, folder / "bundle.zip", (layer, stage))
        await asyncio.to_thread(_describe, folder)
        shutil.rmtree(stage)
    kept = store.find(key)
    assert kept is not None
    return kept


def _copy(own: Mapping[PurePosixPath, Path], stage: Path) -> None:
    for name, source in own.items():
        (stage / name).parent.mkdir(parents=True, exist_ok=True)
        (stage / name).write_bytes(source.read_bytes())
    # So that importlib.metadata knows aflint in a function, as it does where it is installed.
    described = stage / f"aflint-{__version__}.dist-info"
    described.mkdir(parents=True)
    (described / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: aflint\nVersion: {__version__}\n"
    )


def _describe(folder: Path) -> None:
    path = folder / "bundle.zip"
    packages = sizes_by_package(path)
    description = {
        "sha256": sha256_of(path),
        "size": path.stat().st_size,
        "unzipped": sum(packages.values()),
        "packages": packages,
    }
    (folder / "bundle.json").write_text(json.dumps(description))


def _read(folder: Path) -> Bundle:
    try:
        described = json.loads((folder / "bundle.json").read_text())
        return Bundle(path=folder / "bundle.zip", **described)
    except (OSError, ValueError, TypeError) as error:
        raise BundleError(
            f"The cached bundle {folder} is damaged: build another with `aflint deploy --refresh`."
        ) from error


def _megabytes(size: int) -> str:
    return f"{size / limits.MIB:.1f} MB"
