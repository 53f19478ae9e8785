"""What operators are shown of the service: readiness, figures, and which workers there are.

Nothing here changes anything.
"""
