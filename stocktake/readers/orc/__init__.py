"""The reader of ORC: footers, by byte ranges.

No stripe is read here.
"""
