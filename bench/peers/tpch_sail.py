"""The queries of TPC-H by Sail: a server of Spark's protocol and PySpark's client for it, as a
program of its own, in the environment that `make bench-peers` makes for it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from bench.engine import PEERS
from bench.peers.pyspark_client import Pyspark
from bench.peers.tpch_peers import WORKERS, told
from tests.sql.tpch import QUERIES, TABLES, path_of

PYTHON = PEERS / "sail" / "bin" / "python"


class Sail(Pyspark):
    """Talks with the program below."""

    name = "Sail"

    def __init__(self, data: dict[str, Any]) -> None:
        super().__init__("tpch_sail", data)

    @staticmethod
    def available() -> bool:
        return PYTHON.exists()

    def command(self) -> tuple[str, ...]:
        return str(PYTHON), "-m", "bench.peers.tpch_sail"

    def environment(self) -> dict[str, str]:
        threads = str(WORKERS)
        return {
            **super().environment(),
            "TOKIO_WORKER_THREADS": threads,
            "SAIL_EXECUTION__DEFAULT_PARALLELISM": threads,
        }


def main() -> None:
    """Answer queries until the input ends."""
    import pysail
    from pysail.spark import SparkConnectServer
    from pyspark.sql import SparkSession

    # What Sail prints must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def say(message: dict[str, Any]) -> None:
        answers.write(json.dumps(message) + "\n")
        answers.flush()

    folder = Path(json.loads(sys.stdin.readline())["folder"])
    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    _, port = server.listening_address
    spark: Any = SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
    for table in TABLES:
        spark.read.parquet(str(path_of(folder, table))).createOrReplaceTempView(table)
    say({"ready": pysail.__version__})
    for line in sys.stdin:
        query = QUERIES[int(json.loads(line)["query"][1:])]
        try:
            say({"answer": told(spark.sql(query).collect())})
        except Exception as error:
            say({"cannot": f"{type(error).__name__}: {str(error)[:200]}"})
    spark.stop()
    server.stop()


if __name__ == "__main__":
    main()
