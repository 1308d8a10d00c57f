"""From RDDs to stages: lineage and pipelines as data, and the planner that cuts them. Pure."""
