"""The one dated table of rates: how long AWS takes for what is not the user's own computing.

A prediction measures what it can in a sample run, and takes the rest from here. Nothing here is
promised by AWS: each row is a range that public measurements lie in, with what is likely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from aflint import limits


@dataclass(frozen=True, slots=True)
class Rate:
    """What is likely, between what is seldom passed on either side."""

    low: float
    likely: float
    high: float


@dataclass(frozen=True, slots=True)
class Rates:
    """Seconds (`_s`) and bytes a second (`_bytes_per_s`), as they were on `date`.

    `cold_start_s` is billed: from the start of a function's environment to its handler. So is
    `handler_s`: reading an invocation and writing its answer. `invoke_s` is what an invocation
    takes beside what is billed, as its caller sees it. `s3_get_s` and `s3_put_s` are to the first
    byte; an environment then moves `s3_bytes_per_s`. `sqs_send_s` and `sqs_receive_s` are for a
    batch, of what is there. `queue_s` is for making or removing a queue, of which the driver has
    `driver_calls` under way at once; `move_s` for bringing a part of the output into its place, of
    which it has `moves`, beside copying it at `copy_bytes_per_s`. Beyond `ramp_burst` environments
    there are as many more each `ramp_s`. `s3_get_partitions` and `s3_put_partitions`: how often S3
    has split a bucket's keys; each part answers so many requests a second.
    """

    date: str
    cold_start_s: Rate
    handler_s: Rate
    invoke_s: Rate
    s3_get_s: Rate
    s3_put_s: Rate
    s3_bytes_per_s: Rate
    sqs_send_s: Rate
    sqs_receive_s: Rate
    queue_s: Rate
    move_s: Rate
    copy_bytes_per_s: Rate
    driver_calls: int
    moves: int
    ramp_burst: int
    ramp_s: float
    s3_get_partitions: Rate
    s3_put_partitions: Rate
    io_cpu_s_per_byte: float
    driver_task_s: float
    spread: float
    straggler_share: float
    straggler_times: Rate


RATES: Final = Rates(
    date="2026-11",
    cold_start_s=Rate(0.25, 0.5, 1.5),
    handler_s=Rate(0.002, 0.004, 0.01),
    invoke_s=Rate(0.005, 0.015, 0.05),
    s3_get_s=Rate(0.015, 0.03, 0.1),
    s3_put_s=Rate(0.02, 0.04, 0.2),
    s3_bytes_per_s=Rate(40e6, 75e6, 90e6),
    sqs_send_s=Rate(0.005, 0.015, 0.05),
    sqs_receive_s=Rate(0.005, 0.015, 0.05),
    queue_s=Rate(0.01, 0.03, 0.1),
    move_s=Rate(0.06, 0.1, 0.4),
    copy_bytes_per_s=Rate(25e6, 60e6, 150e6),
    driver_calls=32,
    moves=256,
    ramp_burst=limits.LAMBDA_RAMP_ENVIRONMENTS,
    ramp_s=limits.LAMBDA_RAMP_S,
    s3_get_partitions=Rate(1, 5, 10),
    s3_put_partitions=Rate(1, 1, 10),
    io_cpu_s_per_byte=2e-9,
    driver_task_s=300e-6,
    spread=0.1,
    straggler_share=0.01,
    straggler_times=Rate(1.5, 2.5, 6.0),
)
"""S3 and the network of functions are as a study of 2024 found them (Bodner et al., arXiv
2501.07771): reads of 1 KiB took 27 ms in the median and 75 ms at the 95th percentile, writes 40 ms;
a function moved 75 MiB a second beyond a first burst, which is left out here; S3 split a bucket's
keys in five within 26 minutes of reading, kept that for a day, would have taken two hours to ten,
and split none in two hours of writing. Starling (arXiv 1911.11727) found 15 ms. SQS answers within
5-20 ms in its region. Cold starts are those of Python functions of about 10 MB.

Copies are this table's weakest row: Presto was seen to move files of 4 to 5 GiB, one by one, at
some 30 MB/s (prestodb/presto#14453); copying parts of an object beside each other was found to be
much faster (HADOOP-12891). `driver_task_s` and `handler_s` are aflint's own: of `python -m bench
scheduler` with an HTTP request as `dispatch` measures it, and of recorded tasks. One task in a
hundred is a straggler: Starling found 0.3 % of its reads late enough to repeat, and 31 % of writes
of 100 MB.
"""
