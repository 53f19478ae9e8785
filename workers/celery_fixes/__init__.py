"""What Celery and kombu do otherwise than we need, mended: each module names the fault upstream.

What they do right is used as it is, in `tasks.app` and `workers.lifecycle`.
"""
