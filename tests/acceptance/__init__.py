"""The whole service in real processes, asked from outside as a client does.

It is not broken here: `tests.faults` does that.
"""
