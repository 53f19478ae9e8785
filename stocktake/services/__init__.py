"""What a request does, one module a thing it is done to; the caller commits.

The clock fires schedules by these functions, and the command line makes projects and keys.

What a job does is in `stocktake.runs`; no source is read and no HTTP is known here.
"""
