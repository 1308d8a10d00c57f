"""Options of a write: known ones are heeded, and Spark's others refused by name."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from aflint.sql.errors import UnsupportedPlanError

_EVERYWHERE = {
    "path", "compression", "codec", "maxrecordsperfile", "partitionoverwritemode",
    "__partition_columns",
}  # fmt: skip
"""What Spark's own format or the write as a whole has heeded."""

_SPARKS = {
    "sep", "delimiter", "encoding", "charset", "quote", "quoteall", "escape", "escapequotes",
    "comment", "header", "ignoreleadingwhitespace", "ignoretrailingwhitespace", "nullvalue",
    "nanvalue", "positiveinf", "negativeinf", "emptyvalue", "dateformat", "timestampformat",
    "timestampntzformat", "linesep", "chartoescapequoteescaping", "locale", "timezone", "extension",
    "ignorenullfields", "pretty", "writenonasciicharacterascodepoint", "wholetext",
}  # fmt: skip


class Options:
    """The options of a write, whatever the case of their names."""

    def __init__(self, given: Mapping[str, str]) -> None:
        self._given = {name.lower(): value for name, value in given.items()}

    def get(self, name: str, otherwise: str) -> str:
        """Return an option."""
        return self._given.get(name.lower(), otherwise)

    def true(self, name: str, otherwise: str) -> bool:
        """Say whether an option is set to true."""
        return self.get(name, otherwise).lower() == "true"

    def check(self, known: Collection[str]) -> None:
        """Raise UnsupportedPlanError for one that Spark would heed and aflint would not."""
        for name, value in self._given.items():
            if name in ("encoding", "charset") and value.upper().replace("-", "") == "UTF8":
                continue
            if name in ("escapequotes", "ignorenullfields") and value.lower() == "true":
                continue
            if name in _SPARKS and name not in known and name not in _EVERYWHERE:
                raise UnsupportedPlanError(f"the option {name} of files that are written")
