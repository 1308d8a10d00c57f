"""Whole jobs over a simulated cloud: a seed decides everything, and any seed runs again exactly.

Planner, scheduler, executor, shuffle, codec and transports are the real ones. Lambda, SQS and S3
are simulated within their contracts, on a virtual clock, in one process.
"""

from aflint.testing.simulation.faults import RATES, Fault, chosen_rates
from aflint.testing.simulation.run import Outcome, queries_of, run_seed, skewed_of, workload_of

__all__ = [
    "RATES",
    "Fault",
    "Outcome",
    "chosen_rates",
    "queries_of",
    "run_seed",
    "skewed_of",
    "workload_of",
]
