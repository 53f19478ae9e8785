"""Unit tests of `stocktake.schema`."""
