"""Columns, their types, what changes in them, and the formats: the standard library alone.

Types have their names on the wire here, and formats all that is known of them.

How columns are found is in `stocktake.readers`, how they are stored in `stocktake.catalog`.
"""
