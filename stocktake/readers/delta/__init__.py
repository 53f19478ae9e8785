"""The Delta reader: a table's log, its checkpoints, and what they say.

No data file is opened here; for a preview one is found.
"""
