"""Clients of object stores and of the disk, and what their failures mean.

Where they may go, `places` says.
"""
