"""What is queued: the Celery app, the base task, one thin task for each kind of job and the canary,
the doorbell, and the question how long the queues are.

A task takes an id; what the job does is in `stocktake.runs`.
"""
