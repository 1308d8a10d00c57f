"""Why a journal cannot be read, in words that say what to do."""

from __future__ import annotations

from aflint.errors import JournalDamagedError, JournalVersionError


def damaged(what: str, why: str) -> JournalDamagedError:
    """Return the error for a part of a journal that is not as it was written."""
    return JournalDamagedError(
        f"{what} is damaged: {why}. The run cannot be resumed from it; nothing was changed. Start "
        "over under another run id, and remove what is left of this run with `aflint clean`"
    )


def of_another_version(what: str, found: int, ours: int) -> JournalVersionError:
    """Return the error for a part of a journal that another aflint wrote."""
    return JournalVersionError(
        f"{what} has format version {found}, and this aflint reads version {ours}. Resume the run "
        "with the aflint that started it. Nothing was changed."
    )
