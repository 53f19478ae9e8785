"""The readers of Arrow's IPC formats: files (Feather's second version) and streams.

Schemas are read off the bytes that hold them; no record batch is.
"""
