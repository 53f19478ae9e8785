"""Unit tests of `stocktake.readers`."""
