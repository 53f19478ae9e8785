"""The endpoints, one module a resource: each checks, calls a service and commits.

What a service does is in `stocktake.services`, what a body looks like in `api.schemas`.
"""
