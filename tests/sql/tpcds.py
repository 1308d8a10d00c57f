"""The tables and the 99 queries of TPC-DS, as DuckDB's extension makes them.

The extension is made for another release of DuckDB than aflint's: it has an environment of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

_PACKAGES = ("duckdb==1.5.5", "duckdb-extension-tpcds==1.5.5")
_PROGRAM = """
import json, pathlib, sys, duckdb, duckdb_extension_tpcds as extension
folder, scale = pathlib.Path(sys.argv[1]), float(sys.argv[2])
(file,) = pathlib.Path(extension.__file__).parent.glob("extensions/*/tpcds.duckdb_extension")
connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
connection.execute(f"LOAD '{file}'")
connection.execute(f"CALL dsdgen(sf = {scale})")
for (table,) in connection.execute("SELECT table_name FROM duckdb_tables()").fetchall():
    connection.execute(f"COPY {table} TO '{folder}/{table}.parquet' (FORMAT parquet)")
queries = connection.execute("SELECT query_nr, query FROM tpcds_queries()").fetchall()
(folder / "queries.json").write_text(json.dumps(dict(queries)))
"""


def generate(folder: Path, scale: float) -> dict[int, str]:
    """Write the tables as Parquet files, and return the queries by number.

    Raises CalledProcessError where the packages cannot be installed.
    """
    python = folder / "environment" / "bin" / "python"
    for command in (
        (sys.executable, "-m", "venv", folder / "environment"),
        (python, "-m", "pip", "install", "--quiet", *_PACKAGES),
        (python, "-c", _PROGRAM, folder, str(scale)),
    ):
        subprocess.run(command, check=True, capture_output=True)
    listed = json.loads((folder / "queries.json").read_text())
    return {int(number): text.strip().rstrip(";") for number, text in listed.items()}
