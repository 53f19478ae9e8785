"""From values of text to types, as ClickHouse infers them.

Files, lines and dialects are not known here.
"""
