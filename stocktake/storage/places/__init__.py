"""Where a URL leads, and whether anybody may be sent there: pure, without a connection and without
a client.
"""
