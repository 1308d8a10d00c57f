"""The workloads in SQL that DuckDB, Polars and Sail all take; what differs, an engine says."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any

from bench import programs as p
from bench.engines import Program
from bench.workload import Job
from examples.taxi.records import CITIGROUP, GOLDMAN, PAYMENT_KINDS, Box

NUMBERS = {"k": "BIGINT", "v": "BIGINT"}
ENDS = {"src": "BIGINT", "dst": "BIGINT"}


def _field(number: int) -> str:
    return f"split_part(line, ',', {number + 1})"


FIELDS = "(length(line) - length(replace(line, ',', '')) + 1)"
LATER = f"{FIELDS} > 19"
HOUR = f"CAST(substr({_field(2)}, 12, 2) AS INTEGER)"
MONTH = f"substr({_field(1)}, 1, 7)"
DAY = f"substr({_field(1)}, 1, 10)"
DIGITS = f"try_cast({_field(3)} AS INTEGER) IS NOT NULL"
PAID = (
    f"CASE WHEN {DIGITS} THEN {_field(11)} WHEN {FIELDS} IN (18, 19) THEN {_field(11)} "
    f"WHEN {FIELDS} IN (20, 22) THEN {_field(18)} WHEN {FIELDS} IN (21, 23) THEN {_field(19)} END"
)
KINDS = {
    kind: ", ".join(f"'{code}'" for code, means in PAYMENT_KINDS.items() if means == kind)
    for kind in ("credit", "cash")
}
KIND = (
    f"CASE WHEN {PAID} IN ({KINDS['credit']}) THEN 'credit' "
    f"WHEN {PAID} IN ({KINDS['cash']}) THEN 'cash' END"
)
COLOUR = f"CASE WHEN {_field(3)} IN ('N', 'Y') THEN 'green' WHEN {DIGITS} THEN 'yellow' END"


def _number(old: int, new: int) -> str:
    return f"try_cast(CASE WHEN {LATER} THEN {_field(old)} ELSE {_field(new)} END AS DOUBLE)"


def _in(box: Box, *also: str) -> str:
    told = (
        f"{FIELDS} BETWEEN 18 AND 23",
        f"try_cast(substr({_field(2)}, 12, 2) AS INTEGER) IS NOT NULL",
        f"{_number(7, 9)} BETWEEN {box.west} AND {box.east}",
        f"{_number(8, 10)} BETWEEN {box.south} AND {box.north}",
        *also,
    )
    return " AND ".join(told)


# What a query groups by, and which lines it takes.
TAXI = {
    "Q1": ({"hour": HOUR}, _in(GOLDMAN, "line LIKE '%,-74.01%'", "line LIKE '%,40.71%'")),
    "Q2": ({"hour": HOUR}, _in(CITIGROUP, "line LIKE '%,40.72%'", "line LIKE '%,-74.0%'")),
    "Q3": ({"hour": HOUR}, _in(GOLDMAN, "line LIKE '%,-74.01%'", f"{_number(14, 15)} > 10")),
    "Q4": ({"month": MONTH, "kind": KIND}, f"{FIELDS} > 12 AND {KIND} IS NOT NULL"),
    "Q5": ({"month": MONTH, "colour": COLOUR}, f"{FIELDS} > 4 AND {COLOUR} IS NOT NULL"),
    "Q6": ({"day": DAY}, f"{FIELDS} > 2"),
}


class SqlProgram(Program):
    """Queries over files, each of which an engine makes a table."""

    words = "unnest(string_split(line, ' '))"

    @abstractmethod
    def rows(self, query: str) -> list[Any]:
        """Return the rows of a query."""

    @abstractmethod
    def lines(self, name: str, files: str | list[str]) -> None:
        """Make a table of lines of text, `line`."""

    @abstractmethod
    def table(self, name: str, file: str, columns: dict[str, str]) -> None:
        """Make a table of a file's columns, which a space lies between."""

    @abstractmethod
    def keep(self, name: str, query: str) -> None:
        """Make a table of what a query gives now."""

    @abstractmethod
    def write(self, query: str, folder: str) -> None:
        """Write the lines that a query gives to files, in its order."""

    @abstractmethod
    def range(self, low: int, high: int) -> str:
        """Return a table of integers, `n`."""

    def row(self, query: str) -> list[Any]:
        return [v if isinstance(v, str) else int(v) for v in self.rows(query)[0]]

    def taxi(self, job: Job) -> Any:
        self.lines("trips", job.files["trips"])
        if job.case == "Q0":
            return self.row("SELECT count(*) FROM trips")[0]
        made, where = TAXI[job.case]
        keys = ", ".join(made)
        columns = ", ".join(f"{expression} AS {name}" for name, expression in made.items())
        trips = f"SELECT {columns} FROM trips WHERE {where}"
        counts = f"SELECT {keys}, count(*) AS c FROM ({trips}) AS t GROUP BY {keys}"
        if job.case != "Q6":
            found = self.rows(counts)
            return sorted([key if len(key) > 1 else key[0], int(n)] for *key, n in found)
        with open(job.files["weather"]) as weather:
            return p.rain_join(((day, int(n)) for day, n in self.rows(counts)), weather)

    def word_count(self, job: Job) -> Any:
        self.lines("lines", job.files["words"])
        words = f"SELECT {self.words} AS word FROM lines"
        counts = f"SELECT word, count(*) AS c FROM ({words}) AS w GROUP BY word"
        found = self.rows(f"{counts} ORDER BY c DESC, word DESC LIMIT 10")
        return [(word, int(count)) for word, count in found]

    def sort(self, job: Job) -> None:
        self.lines("lines", job.files["records"])
        self.write("SELECT line FROM lines ORDER BY substr(line, 1, 10)", job.out)

    def group_by(self, job: Job) -> Any:
        self.table("pairs", job.files["pairs"], {"k": "VARCHAR", "v": "VARCHAR"})
        groups = "SELECT k, count(*) AS c, max(v) AS m FROM pairs GROUP BY k"
        return self.row(f"SELECT count(*), max(c), sum(c * c), min(m) FROM ({groups}) AS g")

    def reduce(self, job: Job) -> Any:
        self.table("pairs", job.files["pairs"], NUMBERS)
        totals = "SELECT k, sum(v) AS t FROM pairs GROUP BY k"
        return self.row(f"SELECT count(*), max(t), sum(t) FROM ({totals}) AS t")

    def join(self, job: Job) -> Any:
        self.table("lefts", job.files["left"], NUMBERS)
        self.table("rights", job.files["right"], {"k": "BIGINT", "w": "BIGINT"})
        joined = "SELECT lefts.k * v AS a, w FROM lefts JOIN rights ON lefts.k = rights.k"
        return self.row(f"SELECT count(*), sum(a), sum(w) FROM ({joined}) AS j")

    def broadcast_join(self, job: Job) -> Any:
        self.table("pairs", job.files["pairs"], NUMBERS)
        self.table("names", job.files["names"], {"k": "BIGINT", "name": "VARCHAR"})
        joined = "pairs JOIN names ON pairs.k = names.k GROUP BY name ORDER BY name"
        return [(n, int(t)) for n, t in self.rows(f"SELECT name, sum(v) AS t FROM {joined}")]

    def distinct(self, job: Job) -> Any:
        self.table("pairs", job.files["pairs"], NUMBERS)
        return self.row("SELECT count(DISTINCT k) FROM pairs")[0]

    def pagerank(self, job: Job) -> Any:
        self.table("edges", job.files["edges"], ENDS)
        self.keep("degrees", "SELECT src AS d, count(*) AS deg FROM edges GROUP BY src")
        self.keep("links", "SELECT src, dst, deg FROM edges JOIN degrees ON src = d")
        self.keep("ranks", "SELECT d AS page, CAST(1 AS DOUBLE) AS rank FROM degrees")
        given = "SELECT dst, sum(rank / deg) AS s FROM links JOIN ranks ON src = page GROUP BY dst"
        for _ in range(p.ROUNDS):
            self.keep(
                "ranks", f"SELECT dst AS page, 0.15e0 + 0.85e0 * s AS rank FROM ({given}) AS g"
            )
        best = self.rows("SELECT page, rank FROM ranks ORDER BY rank DESC, page DESC LIMIT 5")
        return p.told_ranks((int(page), float(rank)) for page, rank in best)

    def components(self, job: Job) -> Any:
        self.table("edges", job.files["edges"], ENDS)
        ways = "SELECT src, dst FROM edges UNION ALL SELECT dst AS src, src AS dst FROM edges"
        self.keep("ways", ways)
        self.keep("labels", "SELECT DISTINCT src AS vertex, src AS label FROM ways")
        near = "SELECT dst AS vertex, label FROM ways JOIN labels ON src = vertex"
        both = f"SELECT vertex, label FROM labels UNION ALL {near}"
        sums = []
        for _ in range(p.LABEL_ROUNDS):
            self.keep(
                "labels", f"SELECT vertex, min(label) AS label FROM ({both}) AS b GROUP BY vertex"
            )
            sums += self.row("SELECT sum(label) FROM labels")
        return sums

    def small_jobs(self, job: Job) -> Any:
        squares = "SELECT CAST(sum(n * n) AS BIGINT) FROM {}"
        return [self.row(squares.format(self.range(n, n + 99)))[0] for n in range(job.count)]

    def six_sides(self, job: Job) -> Any:
        self.table("pairs", job.files["pairs"], NUMBERS)
        self.keep("base", "SELECT k, v FROM pairs")
        asked = ("count(*)", "sum(v)", "max(v)", "sum(CASE WHEN v % 2 = 0 THEN 1 ELSE 0 END)")
        seen = [self.row(f"SELECT {each} FROM base")[0] for each in asked]
        keys = self.row("SELECT count(*) FROM (SELECT k, sum(v) AS t FROM base GROUP BY k) AS g")
        return [*seen, *keys, *self.row("SELECT count(DISTINCT v % 1000) FROM base")]

    def collect(self, job: Job) -> Any:
        query = f"SELECT n, concat('n', CAST(n AS STRING)) AS name FROM {self.range(0, job.count)}"
        return p.told_list([tuple(row) for row in self.rows(query)])
