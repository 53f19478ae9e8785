"""One part with one real server: a database, a broker, a store or a child process.

The whole service is in `tests.acceptance`.
"""
