"""Why a journal cannot be read, in words that say what to do."""

from __future__ import annotations

from aflint.errors import JournalDamagedError, JournalVersionError


def damaged(what: str, why: str) -> JournalDamagedError:
    """Return the error for a part of a journal that is not as it was written."""
    return JournalDamagedError(
        f"{what} is damaged: {why}. The run cannot be resumed from it; nothing was changed. Run "
        "the program under another job id, and `aflint clean` when you no longer need what is left"
    )


def of_another_version(what: str, found: int, ours: int) -> JournalVersionError:
    """Return the error for a part of a journal that another aflint wrote."""
    return JournalVersionError(
        f"{what} is of version {found}, and this aflint reads version {ours}: resume with the "
        "aflint that the run was started with. Nothing was changed."
    )
