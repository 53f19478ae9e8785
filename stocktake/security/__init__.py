"""Encryption of stored credentials, API keys' hashes, scopes.

Who asks is found by `api.edge.authentication`; nothing here opens the database.
"""
