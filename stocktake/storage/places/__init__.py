"""Where a URL leads, and whether anybody may be sent there.

Pure: no client and no connection; those are in `stocktake.storage.stores`.
"""
