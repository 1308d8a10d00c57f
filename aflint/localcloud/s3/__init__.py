"""Simple Storage Service: the REST API, path-style, one owner."""
