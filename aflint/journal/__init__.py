"""What a run has come to, written down so that another driver can go on where one was killed."""

from __future__ import annotations

from aflint.journal.base import Journal, Unjournaled
from aflint.journal.entries import Entry
from aflint.journal.file import open_file
from aflint.journal.objects import open_objects
from aflint.journal.past import Past, PastJob
from aflint.storage.base import Storage

__all__ = ["JOURNALS", "NAME", "Entry", "Journal", "Past", "PastJob", "Unjournaled", "open_journal"]

NAME = "journal"
"""Of the file on this machine, and of what the key is for."""

JOURNALS = "journals"
"""The folder of the journals of all sessions, below a deployment's prefix."""


async def open_journal(
    folder: str, storage: Storage, key: bytes, session: str
) -> tuple[Journal, list[Entry]]:
    """Open the journal of the session that has `folder`, and return what stands in it so far.

    It is a file in a folder of this machine, and objects beside the `jobs/ID` of S3.
    Raises JournalDamagedError or JournalVersionError, and leaves everything as it is.
    """
    if "://" in folder:
        root = folder.rsplit("/", 2)[0]
        return await open_objects(f"{root}/{JOURNALS}/{session}", storage, key, session)
    return await open_file(f"{folder}/{NAME}", key, session)
