"""What operators are shown of the service: readiness and figures.

Nothing here changes anything.
"""
