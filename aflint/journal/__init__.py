"""What a run has come to, written down so that another driver can go on where one was killed."""

from __future__ import annotations

from aflint.journal.base import Journal, Unjournaled
from aflint.journal.entries import Entry
from aflint.journal.file import open_file
from aflint.journal.objects import open_objects
from aflint.journal.past import Past, PastJob
from aflint.storage.base import Storage

__all__ = ["NAME", "Entry", "Journal", "Past", "PastJob", "Unjournaled", "open_journal"]

NAME = "journal"


async def open_journal(
    folder: str, storage: Storage, key: bytes, session: str
) -> tuple[Journal, list[Entry]]:
    """Open the journal of a session in its folder, and return what stands in it so far.

    It is a file where the folder is one of this machine, and objects below `folder` in S3.
    Raises JournalDamagedError or JournalVersionError, and leaves everything as it is.
    """
    if "://" in folder:
        return await open_objects(f"{folder}/{NAME}", storage, key, session)
    return await open_file(f"{folder}/{NAME}", key, session)
