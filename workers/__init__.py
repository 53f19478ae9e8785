"""Process concerns: the Celery worker's children, the clock, the embedded stack."""
