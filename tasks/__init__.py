"""What is queued: the Celery app, the base task, one thin task for each kind of job, the doorbell.

A task takes an id; what the job does is in `stocktake.runs`.
"""
