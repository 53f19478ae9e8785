"""The processes of Celery: the worker with its children, watchdog and guard, the clock, Flower.

What a job does is in `stocktake.runs`, what a tick does in `stocktake.clock`.
"""
