"""All tests; what they stand on is in `support`, the servers that they start in `servers`."""
