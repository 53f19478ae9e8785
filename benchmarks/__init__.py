"""Measurements of the running service, with the conditions they were taken under.

Nothing here is a test: a figure is kept, however it comes out.
"""
