"""Which storage a path belongs to, by its scheme."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from importlib import import_module
from typing import Any

from aflint.errors import ConfigError, InvalidArgumentError
from aflint.storage.base import FileInfo, FileWriter, Storage, Subfolders
from aflint.storage.local import LocalStorage
from aflint.task import TransferCounts

Factory = Callable[[], Storage]

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+)://")
_ALIASES = {"file": "", "s3a": "s3", "s3n": "s3"}


def scheme_of(path: str) -> str:
    """Return "" for a local path or file: URI, "s3" for s3://, s3a:// and s3n://."""
    match = _SCHEME.match(path)
    scheme = match[1].lower() if match else ""
    return _ALIASES.get(scheme, scheme)


def s3_factory(aws: Any = None) -> Factory:
    """Return what makes `aflint.storage.s3.S3Storage(aws)`, imported only when it is used."""

    def make() -> Storage:
        try:
            module = import_module("aflint.storage.s3")
        except ModuleNotFoundError as error:
            raise ConfigError(
                f"s3:// paths cannot be used here: {error.name} is not installed"
            ) from error
        storage: Storage = module.S3Storage(aws)
        return storage

    return make


class RoutedStorage(Storage):
    """One storage for all schemes; each is opened when a path first asks for it."""

    def __init__(self, factories: Mapping[str, Factory]) -> None:
        self._factories = dict(factories)
        self._opened: dict[str, Storage] = {}

    def at(self, path: str) -> Storage:
        """Return the storage that a path belongs to.

        Raises InvalidArgumentError for an unknown scheme, ConfigError for one that is
        not set up.
        """
        scheme = scheme_of(path)
        if scheme not in self._opened:
            if scheme not in self._factories:
                served = ", ".join(f"{name or 'file'}://" for name in sorted(self._factories))
                raise InvalidArgumentError(
                    f"{path}: no storage serves {scheme}://; give a local path or one of {served}"
                )
            self._opened[scheme] = self._factories[scheme]()
        return self._opened[scheme]

    async def list(self, pattern: str, subfolders: Subfolders = "skip") -> list[FileInfo]:
        return await self.at(pattern).list(pattern, subfolders)

    async def read(
        self, path: str, start: int = 0, end: int | None = None, version: str = ""
    ) -> bytes:
        return await self.at(path).read(path, start, end, version)

    async def write(self, path: str, data: bytes) -> None:
        await self.at(path).write(path, data)

    async def write_new(self, path: str, data: bytes) -> None:
        await self.at(path).write_new(path, data)

    def create(self, path: str) -> FileWriter:
        return self.at(path).create(path)

    async def exists(self, path: str) -> bool:
        return await self.at(path).exists(path)

    async def move(self, source: str, target: str) -> None:
        if scheme_of(source) != scheme_of(target):
            raise InvalidArgumentError(
                f"{source} cannot be moved to {target}, which is on another storage"
            )
        await self.at(source).move(source, target)

    async def delete(self, path: str) -> None:
        await self.at(path).delete(path)

    async def clear(self, folder: str, keep: Collection[str]) -> None:
        await self.at(folder).clear(folder, keep)

    async def delete_files(self, paths: Sequence[str]) -> None:
        if paths:
            await self.at(paths[0]).delete_files(paths)

    @property
    def counts(self) -> TransferCounts:
        return sum((each.counts for each in self._opened.values()), TransferCounts())

    async def aclose(self) -> None:
        while self._opened:
            _, storage = self._opened.popitem()
            await storage.aclose()


def open_storage(aws: Any = None) -> RoutedStorage:
    """Return a storage for local paths, file:// and s3://, by `aws` as `S3Storage` takes it."""
    return RoutedStorage({"": LocalStorage, "s3": s3_factory(aws)})
