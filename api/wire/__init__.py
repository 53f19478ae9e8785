"""HTTP before a route sees it: bounds, strict JSON, multipart, headers.

Nothing here knows what a table is.
"""
