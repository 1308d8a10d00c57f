"""A table of values that are easy to get wrong, in every type."""

from __future__ import annotations

from pathlib import Path

COLUMNS = {
    "id": "INTEGER",
    "b": "TINYINT",
    "s": "SMALLINT",
    "i": "INTEGER",
    "j": "INTEGER",
    "l": "BIGINT",
    "f": "FLOAT",
    "d": "DOUBLE",
    "e": "DOUBLE",
    "dec": "DECIMAL(10, 2)",
    "wide": "DECIMAL(38, 10)",
    "t": "VARCHAR",
    "u": "VARCHAR",
    "p": "BOOLEAN",
    "q": "BOOLEAN",
    "day": "DATE",
    "ts": "TIMESTAMPTZ",
    "ntz": "TIMESTAMP",
    "bin": "BLOB",
    "a": "INTEGER[]",
    "texts": "VARCHAR[]",
    "m": "MAP(VARCHAR, INTEGER)",
    "st": "STRUCT(x INTEGER, y VARCHAR)",
}
ROWS = (
    "0, 1, 2, 3, 4, 5, 1.5, 2.5, 3.5, 1.25, 2.5, 'abc', 'b', true, false, DATE '2020-02-29', "
    "TIMESTAMPTZ '2020-02-29 12:34:56.789012+00', TIMESTAMP '2020-02-29 23:59:59.999999', "
    "'\\x00\\xff', [1, 2, 3], ['a', NULL, ''], map(['k'], [1]), {'x': 1, 'y': 'z'}",
    "1, -1, -2, -3, 2, -5, -1.5, -2.5, -0.5, -1.25, -2.5, '', '', false, true, DATE '1969-12-31', "
    "TIMESTAMPTZ '1969-12-31 23:59:59.999999+00', TIMESTAMP '1969-12-31 00:00:00', "
    "'', [], [], map([], []), {'x': NULL, 'y': ''}",
    "2, 0, 0, 0, 1, 0, 0.0, 0.0, 1.0, 0.00, 0, ' Ünïcode 😀 ', 'ï', true, true, DATE '2000-12-31', "
    "TIMESTAMPTZ '2021-03-14 10:00:00+00', TIMESTAMP '2021-03-14 02:30:00', "
    "'Spark', [NULL, 1], [NULL], map(['a', 'b'], [NULL, 2]), {'x': 0, 'y': NULL}",
    "3, 127, 32767, 1000000, 7, 1000000000000, '-0.0', '-0.0', -7.5, 99999.99, "
    "12345678901234.0123456789, 'A_b%c\\d', '%', false, false, DATE '1582-10-04', "
    "TIMESTAMPTZ '1900-01-01 00:00:00+00', "
    "TIMESTAMP '1900-01-01 00:00:00', '\\x80', [3, 3, 2, NULL], ['x', 'x', 'y'], map(['z'], [26]), "
    "{'x': 5, 'y': 'five'}",
    "4, -128, -32768, -1000000, 3, -1000000000000, 'nan', 'nan', 2.0, -99999.99, -0.0000000001, "
    "'123', '3', NULL, true, DATE '9999-12-30', TIMESTAMPTZ '2020-11-01 09:30:00+00', "
    "TIMESTAMP '2020-11-01 01:30:00', 'x', [-1], ['z'], map(['k'], [-1]), {'x': -1, 'y': 'y'}",
    "5, 5, 50, 500, 5, 5000, 'inf', 'inf', 0.25, 0.05, 1, 'a,b,,c', ',', true, NULL, "
    "DATE '0001-01-03', TIMESTAMPTZ '2038-01-19 03:14:08+00', "
    "TIMESTAMP '2038-01-19 03:14:08', 'a', [5, 4], ['q', 'p'], "
    "map(['k', 'l'], [1, 2]), {'x': 2, 'y': 'Z'}",
    "6, 7, 70, 700, 2, 7000, '-inf', '-inf', -1.0, 0.50, 0.5, '-1.5', '.', false, false, "
    "DATE '1970-01-01', TIMESTAMPTZ '1970-01-01 00:00:00+00', TIMESTAMP '1970-01-01 00:00:00', "
    "'ab', [0], ['  '], map(['x'], [0]), {'x': 9, 'y': ' '}",
    "7" + ", NULL" * (len(COLUMNS) - 1),
)


def write_edges(path: Path) -> None:
    """Write the table as a Parquet file."""
    import duckdb

    listed = ", ".join(f"{name} {kind}" for name, kind in COLUMNS.items())
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute(f"CREATE TABLE t ({listed})")
        for row in ROWS:
            connection.execute(f"INSERT INTO t VALUES ({row})")
        connection.execute(f"COPY t TO '{path}' (FORMAT parquet)")
