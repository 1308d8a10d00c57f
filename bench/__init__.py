"""Benchmarks: aflint beside real peers, in one run. `python -m bench` runs them."""
