"""Gets attempts run: in worker processes of this machine, or as Lambda functions."""
