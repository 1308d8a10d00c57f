"""Programs that are measured beside engines, and the installing of engines' own environments."""
