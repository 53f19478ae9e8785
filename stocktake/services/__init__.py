"""What a request does, one module a thing it is done to; the caller commits.

What a job does is in `stocktake.runs`; no source is read and no HTTP is known here.
"""
