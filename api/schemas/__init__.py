"""The bodies of requests and answers, and how domain objects become them.

Nothing here decides anything or touches the database.
"""
