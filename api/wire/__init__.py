"""HTTP before a route sees it: bounds, strict JSON, multipart, headers.

What a table or a job is, nothing here knows.
"""
