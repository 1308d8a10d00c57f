"""What people see of a run: its event log, the history of runs, the page, and telemetry."""
