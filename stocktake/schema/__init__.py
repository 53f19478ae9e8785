"""Columns, their types, and the difference between two versions: the standard library alone.

How columns are found is in `stocktake.readers`, how they are stored in `stocktake.services`.
"""
