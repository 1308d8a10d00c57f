"""How records, functions and keys become bytes and numbers that mean the same everywhere."""
