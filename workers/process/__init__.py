"""What a process does to itself: environment, core dumps, inherited sockets, parent's death.

Nothing here knows Celery or a job.
"""
