"""The programs that are measured, each behind the same seam: `bench.workload.Peer`.

`pyspark_taxi` runs under a Python of its own: nothing is imported here that it may not have.
"""
