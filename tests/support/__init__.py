"""What tests stand on: the running service, stores that misbehave, oracles, rows and commands.

No test is here; servers of their own are in `servers`.
"""
