"""Input that changes after it was listed: an error that names it, never a mixture of versions."""

from __future__ import annotations

import bz2
import gzip
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from aflint import RDD, InputChangedError, Session

pytestmark = pytest.mark.asyncio(loop_scope="module")

Change = Callable[[Path], None]


def replace(path: Path) -> None:
    """Put another file of the same size, and with the same time, in its place."""
    times = path.stat()
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.utime(other, ns=(times.st_atime_ns, times.st_mtime_ns))
    other.replace(path)


def rewrite(path: Path) -> None:
    """Write other bytes of the same number into it."""
    data = path.read_bytes()
    with path.open("r+b") as file:
        file.write(bytes(reversed(data)))
    later(path)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more\n")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def later(path: Path) -> None:
    """Have its time differ by more than a tick of the file system's clock."""
    times = path.stat()
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns + 10**9))


CHANGES = [replace, rewrite, append, truncate]
LINES = b"".join(b"%08d\n" % number for number in range(1000))


async def kept(session: Session, kind: str, folder: Path) -> tuple[RDD[Any], Path]:
    """Return an RDD of files of a kind, and one of them."""
    if kind == "pickle":
        await session.range(1000, num_slices=1).save_as_pickle_file(str(folder / "saved"))
        return session.pickle_file(str(folder / "saved")), folder / "saved" / "part-00000"
    endings = {"gzip": "gz", "bz2": "bz2"}
    path = folder / f"input.{endings.get(kind, 'txt')}"
    packed = {"gzip": gzip.compress(LINES), "bz2": bz2.compress(LINES)}
    path.write_bytes(packed.get(kind, LINES))
    if kind == "whole":
        return session.whole_text_files(str(path)), path
    if kind == "binary":
        return session.binary_files(str(path)), path
    return session.text_file(str(path), 4), path


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("kind", ["text", "gzip", "bz2", "whole", "binary", "pickle"])
async def test_what_was_listed_before_it_changed_is_an_error(
    session: Session, tmp_path: Path, kind: str, change: Change
) -> None:
    rdd, path = await kept(session, kind, tmp_path)
    assert await rdd.count()
    change(path)
    for action in (rdd.count, rdd.collect):
        with pytest.raises(
            InputChangedError, match=f"{path.name} was changed.*Create the RDD again"
        ):
            await action()
    assert session.last_job is not None
    assert session.last_job.retries == 0


@pytest.mark.parametrize("change", CHANGES)
async def test_a_change_in_the_middle_of_a_job_is_an_error(
    session: Session, tmp_path: Path, change: Change
) -> None:
    path = tmp_path / "input.txt"
    path.write_bytes(LINES)
    first = tmp_path / "first"

    def changing(partition: int, lines: Iterator[str]) -> Iterator[str]:
        """Change the file when the first partition has been read, once."""
        read = list(lines)
        if partition == 0 and not first.exists():
            first.touch()
            change(path)
        return iter(read)

    lines = session.text_file(str(path), 20).map_partitions_with_index(changing)
    with pytest.raises(InputChangedError, match=r"input\.txt was changed"):
        await lines.coalesce(1).collect()
    assert first.exists()


async def test_an_rdd_made_anew_reads_what_is_there(session: Session, tmp_path: Path) -> None:
    rdd, path = await kept(session, "text", tmp_path)
    assert await rdd.count() == 1000
    path.write_bytes(LINES * 2)
    assert await session.text_file(str(path)).count() == 2000


async def test_partitions_of_two_versions_are_not_cached_together(
    session: Session, tmp_path: Path
) -> None:
    rdd, path = await kept(session, "text", tmp_path)
    cached = rdd.cache()
    assert await cached.first() == "00000000"
    rewrite(path)
    with pytest.raises(InputChangedError):
        await cached.collect()


async def test_what_is_cached_outlives_its_input(session: Session, tmp_path: Path) -> None:
    rdd, path = await kept(session, "text", tmp_path)
    cached = rdd.cache()
    assert await cached.count() == 1000
    rewrite(path)
    assert len(set(await cached.collect())) == 1000


async def test_the_same_content_written_again_is_another_file(
    session: Session, tmp_path: Path
) -> None:
    rdd, path = await kept(session, "text", tmp_path)
    assert await rdd.count() == 1000
    later(path)
    with pytest.raises(InputChangedError):
        await rdd.count()
