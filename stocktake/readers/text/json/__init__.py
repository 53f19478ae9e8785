"""The JSON reader: one object a line.

What type a value has is said by `stocktake.readers.text.values`.
"""
