"""Sinks of files: what a query's last stage writes, by the names and options that Spark has.

A format is a module here: it says what a task's query selects, and how its rows become one file.
"""
