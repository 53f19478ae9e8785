"""From values to types, as ClickHouse infers them.

No file and no format's syntax but a field's own.
"""
