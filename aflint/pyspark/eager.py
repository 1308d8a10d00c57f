"""Members of DataFrame that ask for rows as they are called: by aggregates on the engine, in place
of jobs in the JVM.
"""

from __future__ import annotations

import random
import sys
from typing import Any

from pyspark.sql.types import BooleanType, NumericType, StringType

from aflint.pyspark.errors import analysis_exception


class Eager:
    """Members of DataFrame."""

    def approxQuantile(self: Any, col: Any, probabilities: Any, relativeError: Any) -> Any:
        from pyspark.sql import functions as F

        _refuse(self, "approxQuantile", col, probabilities, relativeError)
        names = [col] if isinstance(col, str) else list(col)
        numbered = self.select(*names).toDF(*map(str, range(len(names))))
        numbers = (F.col(name).cast("double") for name in numbered.columns)
        ranks = [float(each) for each in probabilities] or [0.5]
        # Exact, and so within any error.
        asked = (F.percentile_approx(F.when(~F.isnan(each), each), ranks) for each in numbers)
        found = [(each or [])[: len(probabilities)] for each in numbered.select(*asked).first()]
        return found[0] if isinstance(col, str) else found

    def corr(self: Any, col1: str, col2: str, method: str | None = None) -> float:
        of_none = _refuse(self, "corr", col1, col2, method)
        return _of_pair(self, "corr", col1, col2, of_none)

    def cov(self: Any, col1: str, col2: str) -> float:
        of_none = _refuse(self, "cov", col1, col2)
        return _of_pair(self, "covar_samp", col1, col2, of_none)

    def crosstab(self: Any, col1: str, col2: str) -> Any:
        from pyspark.sql import functions as F

        _refuse(self, "crosstab", col1, col2)
        texts = (F.coalesce(F.col(name).cast("string"), F.lit("null")) for name in (col1, col2))
        named = self.select(*texts).toDF("row", "column")
        named = named.withColumn("column", F.regexp_replace("column", "`", ""))
        counts = named.groupBy("row").pivot("column").count()
        return counts.toDF(f"{col1}_{col2}", *counts.columns[1:]).na.fill(0)

    def sampleBy(self: Any, col: Any, fractions: Any, seed: int | None = None) -> Any:
        """Compare Spark's own random numbers with each row's fraction."""
        from pyspark.sql import functions as F

        ORIGINAL["sampleBy"](self, col, fractions, seed)  # which raises
        column = F.col(col) if isinstance(col, str) else col
        kind = self.select(column).schema[0].dataType
        chosen: Any = F  # a stratum of another type is no row's
        for stratum, fraction in fractions.items():
            if isinstance(kind, _KINDS.get(type(stratum), NumericType)):
                chosen = chosen.when(column == F.lit(stratum), F.lit(fraction))
        if chosen is F:
            return self.where(F.lit(False))
        seed = random.randint(0, sys.maxsize) if seed is None else seed
        return self.where(F.rand(seed) < chosen.otherwise(F.lit(0.0)))

    def transpose(self: Any, indexColumn: Any = None) -> Any:
        from aflint.pyspark.dataframes import in_jvm

        return ORIGINAL["transpose"](type(self)(in_jvm(self), self.sparkSession), indexColumn)


_KINDS = {str: StringType, bool: BooleanType}
ORIGINAL: dict[str, Any] = {}


def _refuse(frame: Any, name: str, *arguments: Any) -> Any:
    """Have Spark's own code raise what it raises; returns its answer for the frame without rows."""
    return ORIGINAL[name](frame.limit(0), *arguments)


def _of_pair(frame: Any, function: str, col1: str, col2: str, of_none: float) -> float:
    """Aggregate two columns, whose NULLs count as zero here."""
    from pyspark.sql import functions as F

    pair = frame.select(col1, col2).toDF("x", "y")
    numbers = (F.coalesce(F.col(name).cast("double"), F.lit(0.0)) for name in pair.columns)
    found = pair.select(getattr(F, function)(*numbers)).first()[0]
    return of_none if found is None else float(found)  # one row has none, either


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
            raise analysis_exception(
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
