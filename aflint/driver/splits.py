"""What is to be read, listed and cut into one split for each partition."""

from __future__ import annotations

import codecs
import os
from collections.abc import Iterable, Sequence
from itertools import pairwise

from aflint.errors import InvalidArgumentError
from aflint.storage.base import FileInfo, Storage
from aflint.storage.base import Subfolders as Subfolders
from aflint.storage.formats import check_readable, compression_of, is_splittable
from aflint.storage.patterns import split_paths
from aflint.task import FilesSplit, TextSplit

Paths = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]

SPLIT_BYTES = 32 * 1024 * 1024
"""The default size of a split: Hadoop's block size of local files and of S3A."""

_SLOP = 1.1
"""A last split may be that much larger than the others, as in Hadoop."""


def read_if(recursive: bool) -> Subfolders:
    """Return what a user wants done about folders within folders."""
    return "read" if recursive else "refuse"


def check_encoding(encoding: str, errors: str) -> None:
    """Raise InvalidArgumentError for an encoding or an error handler that Python does not know."""
    try:
        "x".encode(encoding)
        codecs.lookup_error(errors)
    except LookupError as error:
        raise InvalidArgumentError(
            f"{error}; the documentation of Python's module codecs lists those that there are"
        ) from error


def cut_text(
    files: Iterable[FileInfo],
    *,
    min_partitions: int,
    split_bytes: int,
    encoding: str = "utf-8",
    errors: str = "strict",
) -> tuple[TextSplit, ...]:
    """Cut files, in order, as Spark's `textFile` does (Hadoop's FileInputFormat).

    Splits are as large as `min_partitions` of all bytes would be, but at most `split_bytes`; the
    last of a file may be a tenth larger. A compressed file, or one in an encoding such as utf-16,
    is one split; an empty file has none.
    """
    files = [file for file in files if file.size]
    whole = not is_splittable(encoding)
    goal = sum(file.size for file in files) // min_partitions
    size = max(1, min(goal, split_bytes))  # 1 where there are more partitions than bytes
    splits = []
    for file in files:
        compression = compression_of(file.path)
        borders = [0]
        if not compression and not whole:
            while (file.size - borders[-1]) / size > _SLOP:
                borders.append(borders[-1] + size)
        borders.append(file.size)
        splits += [
            TextSplit(file.path, start, end, file.size, compression, encoding, errors, file.version)
            for start, end in pairwise(borders)
        ]
    return tuple(splits)


def pack_files(
    files: Sequence[FileInfo], *, min_partitions: int, split_bytes: int
) -> list[list[FileInfo]]:
    """Put neighbouring files together, as even in bytes as may be.

    There are at least `min_partitions` groups where there are as many files; a group of several
    files is no larger than `split_bytes`.
    """
    share = min(split_bytes, -(-sum(file.size for file in files) // min_partitions))
    groups: list[list[FileInfo]] = []
    room = 0
    for index, file in enumerate(files):
        left = len(files) - index
        # The last: each file that is left must have a group of its own to make enough of them.
        if not groups or file.size > room or len(groups) + left <= min_partitions:
            groups.append([])
            room = share
        groups[-1].append(file)
        room -= file.size
    return groups


def _check_counts(min_partitions: int, split_bytes: int) -> None:
    if min_partitions < 1:
        raise InvalidArgumentError(f"min_partitions is {min_partitions}; give 1 or more")
    if split_bytes < 1:
        raise InvalidArgumentError(f"split_bytes is {split_bytes}; give 1 or more")


async def list_input(
    storage: Storage, paths: Paths, subfolders: Subfolders = "refuse"
) -> list[FileInfo]:
    """Return the files that paths name: in the order given, sorted within each.

    A string may be a comma-separated list; an os.PathLike is one path. `subfolders` says what
    becomes of folders within folders, as in `Storage.list`.
    """
    members = [paths] if isinstance(paths, str | os.PathLike) else list(paths)
    patterns: list[str] = []
    for member in members:
        patterns += split_paths(member) if isinstance(member, str) else [os.fspath(member)]
    if not patterns:
        raise InvalidArgumentError("no path was given to read from")
    return [file for pattern in patterns for file in await storage.list(pattern, subfolders)]


async def text_splits(
    storage: Storage,
    paths: Paths,
    *,
    min_partitions: int = 2,
    split_bytes: int = SPLIT_BYTES,
    encoding: str = "utf-8",
    errors: str = "strict",
    subfolders: Subfolders = "refuse",
) -> tuple[TextSplit, ...]:
    """Return the splits of the text files that a path, glob, folder or list of them names.

    Raises PathNotFoundError, UnreadableInputError, SubfolderError, UnsupportedCompressionError and
    InvalidArgumentError.
    """
    _check_counts(min_partitions, split_bytes)
    check_encoding(encoding, errors)
    files = await list_input(storage, paths, subfolders)
    for file in files:
        check_readable(file.path)
    return cut_text(
        files,
        min_partitions=min_partitions,
        split_bytes=split_bytes,
        encoding=encoding,
        errors=errors,
    )


async def whole_file_splits(
    storage: Storage,
    paths: Paths,
    *,
    kind: str,
    min_partitions: int = 2,
    split_bytes: int = SPLIT_BYTES,
    encoding: str = "utf-8",
    errors: str = "strict",
    subfolders: Subfolders = "refuse",
) -> tuple[FilesSplit, ...]:
    """Return splits of whole files, for a `kind` of "text", "binary" or "pickle".

    Each pickle file is a partition of its own, as it was when saved.
    """
    _check_counts(min_partitions, split_bytes)
    check_encoding(encoding, errors)
    files = await list_input(storage, paths, subfolders)
    if kind == "text":
        for file in files:
            check_readable(file.path)
    groups = [[file] for file in files]
    if kind != "pickle":
        groups = pack_files(files, min_partitions=min_partitions, split_bytes=split_bytes)
    return tuple(
        FilesSplit(
            tuple(file.path for file in group),
            tuple(file.size for file in group),
            kind,
            encoding,
            errors,
            tuple(file.version for file in group),
        )
        for group in groups
    )
