"""The same scenarios against every object store that a package ships.

SeaweedFS is started by `servers.seaweedfs`.
"""
