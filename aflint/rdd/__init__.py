"""RDDs: lazy lineage and awaitable actions."""

from __future__ import annotations

from aflint.rdd.rdd import RDD as RDD
from aflint.rdd.rdd import check_function as check_function
from aflint.rdd.rdd import check_partitions as check_partitions
from aflint.rdd.spelling import no_attribute as no_attribute
