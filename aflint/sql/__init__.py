"""DataFrames and SQL: Spark plans on the driver, and the engine's tasks run the plan, vectorized.

`catalyst` is Spark's planner in a JVM; `plan` its physical plan as data; `stages` makes lineage of
it, step by step (`operators`) and expression by expression (`expressions`); `tasks` is what runs
in a task, and `python_rows` and `python_arrow` what calls Python functions there.
"""
