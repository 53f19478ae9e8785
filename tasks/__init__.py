"""The Celery tasks: thin, ids as arguments, one for each kind of job."""
