"""The CSV reader: the dialect, lines, and fields by column.

What type a field has is said by `stocktake.readers.text.values`.
"""
