"""Clients of object stores and of the disk, and what their failures mean.

Where they may go is said by `stocktake.storage.places`.
"""
