"""What CSV and JSON share: bytes to text, text to sampled rows, the whole read that proves types.

The syntax of a format is in its own folder.
"""
