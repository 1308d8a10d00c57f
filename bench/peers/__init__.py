"""The programs that are measured, each behind the same seam: `bench.workload.Peer`.

A `pyspark_...` program runs under a Python of its own: nothing is imported here that may be missing
there.
"""
