"""What Celery and kombu do otherwise than the job protocol needs, each with the fault of theirs
that it stands for.
"""
