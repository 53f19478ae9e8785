"""Rows of uploads on their way into a managed Delta table: Arrow types, values, batches,
data files and their statistics.

What a source's columns are is said by `stocktake.readers`; the commit is in `stocktake.runs`.
"""
