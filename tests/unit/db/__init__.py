"""Unit tests of `stocktake.db`."""
