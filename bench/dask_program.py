"""What Dask's engines share: a cluster of two processes of one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import dask
from dask.distributed import Client, LocalCluster

from bench.engines import Program


class DaskProgram(Program):
    """A cluster, and a client of it."""

    settings: ClassVar[Mapping[str, Any]]

    async def open(self) -> None:
        dask.config.set(self.settings)
        self.cluster = LocalCluster(2, threads_per_worker=1, dashboard_address=None)
        self.client = Client(self.cluster)

    async def close(self) -> None:
        self.client.close()
        self.cluster.close()
