"""What tests stand on: real servers, processes of the service, stores that misbehave, oracles.

No test is here.
"""
