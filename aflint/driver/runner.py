"""What an RDD asks of its session: RDDs never import it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol

from aflint.plan.lineage import Node
from aflint.plan.program import Sink


class ActionJob(Protocol):
    """One job of an action, while it runs."""

    @property
    def partitions(self) -> int:
        """How many partitions there are to ask for."""
        ...

    async def values(self, partitions: Sequence[int]) -> list[Any]:
        """Compute partitions and return their values, in the order asked."""
        ...

    def stream(self, partitions: Sequence[int]) -> AsyncIterator[tuple[int, Any]]:
        """Compute partitions and give (partition, value) as each finishes."""
        ...


class Runner(Protocol):
    """Runs jobs over lineage."""

    def job(self, node: Node, sink: Sink, name: str) -> AbstractAsyncContextManager[ActionJob]:
        """Run a job for as long as the context is open."""
        ...

    async def partition_count(self, node: Node) -> int:
        """Return how many partitions a node has."""
        ...

    async def default_partitions(self, node: Node) -> int:
        """Return how many partitions a shuffle of a node gets where none are asked for."""
        ...

    async def explain(self, node: Node) -> str:
        """Describe the stages of a job."""
        ...

    async def save(self, node: Node, sink: Sink, target: str) -> None:
        """Run a saving job and move what its accepted attempts wrote into place."""
        ...

    def forget(self, node: Node) -> None:
        """Drop the kept partitions of a node."""
        ...

    def check_checkpoint_dir(self) -> None:
        """Raise ConfigError where there is no place for checkpoints."""
        ...

    def is_checkpointed(self, node: Node) -> bool:
        """Say whether the checkpoint of a node has been written."""
        ...
