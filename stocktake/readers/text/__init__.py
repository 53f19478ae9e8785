"""What CSV and JSON share: bytes to text, text to sampled rows, a whole read that holds columns to
their types.
"""
