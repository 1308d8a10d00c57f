"""Records what Spark plans of the simulation's queries: run as a module, it writes them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aflint.testing.simulation
from aflint.sql.catalyst import Catalyst
from aflint.testing.simulation.queries import PARTITIONS, QUERIES, TABLES

PLANS = Path(aflint.testing.simulation.__file__).with_name("plans.json")
_SCHEMA = json.dumps(
    {
        "type": "struct",
        "fields": [
            {"name": name, "type": "long", "nullable": False, "metadata": {}} for name in "kv"
        ],
    }
)


def plans() -> dict[str, Any]:
    """Return the plan of each query, as PlanReader.java writes it."""
    catalyst = Catalyst({"spark.sql.shuffle.partitions": str(PARTITIONS)})
    try:
        session, jvm = catalyst.session, catalyst.jvm
        for name in TABLES:
            rows = catalyst.jsc.textFile(name).rdd()
            frame = session.internalCreateDataFrame(rows, session.parseDataType(_SCHEMA), False)
            frame.createOrReplaceTempView(name[-1])
        found = {}
        for name, query in QUERIES.items():
            frame = session.sql(query.sql)
            mode = jvm.org.apache.spark.sql.execution.CommandExecutionMode.ALL()
            asked = frame.queryExecution().commandExecuted()
            text = catalyst._reader.read(session, asked, mode, frame.schema())
            found[name] = json.loads(text)
        return found
    finally:
        catalyst.close()


if __name__ == "__main__":
    PLANS.write_text(json.dumps(plans(), separators=(",", ":")) + "\n")
