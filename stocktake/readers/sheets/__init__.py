"""The reader of workbooks: Excel's and OpenDocument's.

A cell says its own type; a column has the one that all of its cells fit. Files are read whole.
"""
