"""What requests and jobs both do to a table and to what belongs to it: lock it, number its schema,
seal its credential, move its uploads on, choose it for a batch.

Each function takes a session and commits nothing. What only a request does is in `services`, what
only a job does in `runs`; nothing here knows a reader.
"""
