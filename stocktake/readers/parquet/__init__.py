"""The Parquet reader: footers, by byte ranges.

No row is read here.
"""
