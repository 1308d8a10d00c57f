"""Programs that show aflint at work, each run by `python -m examples.NAME`."""
