"""Simple Queue Service: standard queues over the JSON protocol."""
