"""The JSON reader: one object a line. What a value is, `values` says."""
