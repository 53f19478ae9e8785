"""The CSV reader: the dialect, lines, and fields by column. What a field is, `values` says."""
