"""Stocktake: a registry that keeps the schemas of files in object storage true."""

__version__ = "0.1.0"
