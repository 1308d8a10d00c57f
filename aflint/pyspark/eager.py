"""Members of DataFrame that ask for rows as they are called.

Spark's own code computes them, over rows that the engine brings to the driver: of the columns that
count, where they are named.
"""

from __future__ import annotations

from typing import Any


class Eager:
    """Members of DataFrame."""

    def approxQuantile(self: Any, col: Any, probabilities: Any, relativeError: Any) -> Any:
        names = [col] if isinstance(col, str) else list(col)
        return _on_driver(self, names, "approxQuantile", col, probabilities, relativeError)

    def corr(self: Any, col1: str, col2: str, method: str | None = None) -> float:
        found: float = _on_driver(self, [col1, col2], "corr", col1, col2, method)
        return found

    def cov(self: Any, col1: str, col2: str) -> float:
        found: float = _on_driver(self, [col1, col2], "cov", col1, col2)
        return found

    def crosstab(self: Any, col1: str, col2: str) -> Any:
        return _on_driver(self, [col1, col2], "crosstab", col1, col2)

    def transpose(self: Any, indexColumn: Any = None) -> Any:
        return _on_driver(self, ["*"], "transpose", indexColumn)


ORIGINAL: dict[str, Any] = {}


def _on_driver(frame: Any, columns: list[Any], name: str, *arguments: Any) -> Any:
    from aflint.pyspark.dataframes import in_jvm

    # What PySpark's own code refuses by type, it refuses before anything runs.
    known = all(isinstance(column, str) for column in columns)
    chosen = in_jvm(frame.select(*columns)) if known else frame._jdf
    return ORIGINAL[name](type(frame)(chosen, frame.sparkSession), *arguments)


class Grouping:
    """Members of GroupedData."""

    def pivot(self: Any, pivot_col: str, values: Any = None) -> Any:
        """Find the values of a column first, as Spark does, where they are not given."""
        from pyspark.sql import functions as F
        from pyspark.sql.group import GroupedData

        if values is not None:
            return ORIGINAL["pivot"](self, pivot_col, values)
        most = int(self.session.conf.get("spark.sql.pivotMaxValues"))
        found = self._df.select(pivot_col).distinct().limit(most + 1).sort(pivot_col).collect()
        if len(found) > most:
            from pyspark.errors import AnalysisException

            raise AnalysisException(
                f"[_LEGACY_ERROR_TEMP_1324] The pivot column {pivot_col} has more than {most} "
                "distinct values, this could indicate an error. If this was intended, set "
                f"spark.sql.pivotMaxValues to at least the number of distinct values of the pivot "
                "column."
            )
        listed = [F.lit(row[0])._jc for row in found]
        return GroupedData(self._jgd.pivot(pivot_col, listed), self._df)


class Observing:
    """Members of Observation: its metrics are computed by a query of their own, once asked for."""

    _metrics: Any = None

    def _on(self: Any, df: Any, *exprs: Any) -> Any:
        observed = ORIGINAL["_on"](self, df, *exprs)
        self._metrics = (df, exprs)
        return observed

    @property
    def get(self: Any) -> dict[str, Any]:
        if self._metrics is None:
            found: dict[str, Any] = ORIGINAL["get"].fget(self)  # which raises
            return found
        if not isinstance(self._metrics, dict):
            frame, expressions = self._metrics
            self._metrics = frame.agg(*expressions).collect()[0].asDict(recursive=False)
        return dict(self._metrics)


def install_eager(replace: Any) -> None:
    """Have what asks for rows at once find them on the engine."""
    from pyspark.sql.classic.dataframe import DataFrame
    from pyspark.sql.group import GroupedData
    from pyspark.sql.observation import Observation

    for cls, members in ((DataFrame, Eager), (GroupedData, Grouping), (Observation, Observing)):
        for name in vars(members):
            if name in vars(cls):
                ORIGINAL[name] = vars(cls)[name]
        replace(cls, members)
