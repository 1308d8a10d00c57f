"""What a run has come to, written down so that another driver can go on where one was killed."""

from __future__ import annotations

from aflint.journal.base import Journal, Unjournaled
from aflint.journal.entries import Entry
from aflint.journal.past import JobIdentity, Past, PastJob
from aflint.journal.reading import read_journal
from aflint.journal.writing import PAUSE_S, QUIET_S, open_journal

__all__ = [
    "JOURNALS",
    "NAME",
    "PAUSE_S",
    "QUIET_S",
    "Entry",
    "JobIdentity",
    "Journal",
    "Past",
    "PastJob",
    "Unjournaled",
    "folder_of",
    "open_journal",
    "read_journal",
]

NAME = "journal"
"""Of the folder in a driver's scratch folder, and of what the key is for."""

JOURNALS = "journals"
"""The folder of the journals of all sessions, below a deployment's prefix."""


def folder_of(folder: str, session: str) -> str:
    """Return where the journal is of the session that has `folder`: within it on this machine, and
    beside the `jobs/ID` of S3, so that removing the folder leaves the journal.
    """
    if "://" in folder:
        return f"{folder.rsplit('/', 2)[0]}/{JOURNALS}/{session}"
    return f"{folder}/{NAME}"
