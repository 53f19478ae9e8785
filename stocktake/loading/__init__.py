"""Rows of uploads into a managed table: their Arrow types, values and batches.

What a source's columns are, `readers` says.
"""
